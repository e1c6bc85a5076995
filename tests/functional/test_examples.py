"""The plans of ``docs/examples`` are run, and do what they say; README shows what is really printed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

from harness import PATIENCE, Ended, Site, plan, task

ROOT = Path(__file__).parents[2]
PLANS = ROOT / "docs" / "examples" / "plans"

#: Of plans that do not end well, on purpose.
CODES = {"failure.yaml": 1}


def run(site: Site, name: str, **options: object) -> Ended:
    """Run an example as README says; its report."""
    site.set(**options)
    done = site.orch("run", str(PLANS / name))
    assert done.returncode == CODES.get(name, 0), done.stderr
    return last(site)


def last(site: Site) -> Ended:
    return Ended(json.loads(site.orch("report", "last", "--format", "json").stdout))


def overlap(ended: Ended, names: Iterable[str]) -> int:
    """How many of these tasks ran at once, at most; by the last attempt of each."""
    moments = []
    for name in names:
        moments += [(ended[name]["start_time"], 1), (ended[name]["end_time"], -1)]
    most = now = 0
    # Of equal moments the ends come first.
    for _, step in sorted(moments):
        now += step
        most = max(most, now)
    return most


def order(ended: Ended) -> list[str]:
    """The names of the tasks in the order of their starts."""
    return sorted(ended.tasks, key=lambda name: float(ended[name]["start_time"]))


def test_each_plan_that_is_there_is_tested():
    tested = ["diamond", "failure", "fleet", "hello", "language", "limits", "retries", "rollout"]
    assert sorted(path.name for path in PLANS.iterdir()) == [f"{name}.yaml" for name in tested]


def test_hello(site: Site):
    ended = run(site, "hello.yaml")
    assert set(ended.states.values()) == {"SUCCESS"}
    assert ended["greet"]["output"] == "hello world\n"
    assert f"the task is look of {ended.report['uid']}\n" in ended["look"]["output"]


def test_diamond(site: Site):
    ended = run(site, "diamond.yaml")
    assert set(ended.states.values()) == {"SUCCESS"}
    assert overlap(ended, ended.tasks) == overlap(ended, ["left", "right"]) == 2
    assert [order(ended)[0], order(ended)[-1]] == ["top", "bottom"]


def test_rollout_goes_to_the_canary_first_and_spares_one_server_at_a_time(site: Site):
    ended = run(site, "rollout.yaml")
    assert set(ended.states.values()) == {"SUCCESS"}
    assert {name: n for name, n in ended.attempts.items() if n != 1} == {"web1.smoke": 2}
    switches = [name for name in order(ended) if name.endswith(".switch")]
    assert switches == ["web1.switch", "web3.switch", "web2.switch"]
    assert overlap(ended, switches) == 1
    assert ended["web1.smoke"]["end_time"] <= ended["web3.switch"]["start_time"]
    assert ended["db1.migrate"]["end_time"] <= ended["web1.switch"]["start_time"]
    assert overlap(ended, ["web1.download", "web2.download", "web3.download"]) == 2
    for target in ("db1", "web1", "web2", "web3"):
        assert (
            overlap(ended, [task["name"] for task in ended.tasks.values() if task["target"] == target]) == 1
        )
    assert order(ended)[-1] == "release.announce"


def test_limits(site: Site):
    ended = run(site, "limits.yaml")
    assert set(ended.states.values()) == {"SUCCESS"}
    assert overlap(ended, ["db1.vacuum", "db1.analyze"]) == 1
    assert order(ended).index("db1.analyze") < order(ended).index("db1.vacuum")
    assert overlap(ended, ["film-1", "film-2", "film-3", "film-4"]) == 2


def test_limits_one_after_the_other_by_weight(site: Site):
    ended = run(site, "limits.yaml", max_inprogress=1)
    assert overlap(ended, ended.tasks) == 1
    assert order(ended) == ["film-4", "db1.analyze", "db1.vacuum", "film-1", "film-2", "film-3", "report"]


def test_retries_leave_nothing_running(site: Site):
    ended = run(site, "retries.yaml")
    assert set(ended.states.values()) == {"SUCCESS"}
    assert ended.attempts == {"connect": 3, "transfer": 2, "done": 1}
    assert site.others() == []


def test_the_fleet(site: Site):
    ended = run(site, "fleet.yaml")
    assert (len(ended.states), set(ended.states.values())) == (40, {"SUCCESS"})
    assert ended["db.migrate"]["output"] == "migrating to release-2.4.0\n"
    assert ended["summary"]["output"] == "release 2.4.0 is out\n"


def test_what_the_language_can_do(site: Site):
    site.env["RELEASE_TOKEN"] = "s3cret"
    done = site.orch("run", str(PLANS / "language.yaml"), "--var", "version=2.4.1")
    assert done.returncode == 0, done.stdout
    ended = last(site)
    assert ended.status == "finished"
    assert {name: state for name, state in ended.states.items() if state != "SUCCESS"} == {
        "make-room": "NOOP",
        "warm-caches": "ERROR",
        "mirror.west": "ERROR",
    }
    assert ended["tell"]["output"] == "release-2.4.1 goes to shop & sons\n"
    assert ended["announce"]["output"] == "release-2.4.1 is out, said sh\n"
    lower = site.orch("run", str(PLANS / "language.yaml"), "--var", "share=70")
    assert lower.returncode == 1
    assert last(site).states["mirrors"] == "ERROR"
    assert "s3cret" not in done.stdout + lower.stdout


def test_a_program_that_gives_a_second_chance(site: Site):
    site.worker()
    once = ["[ -e tried ] || { touch tried; exit 1; }"]
    tasks = [task("unlucky", "cmd", *once, kwargs={"cwd": str(site.root)}), task("next", after=["unlucky"])]
    program = ROOT / "docs" / "examples" / "steering.py"
    done = subprocess.run(
        [sys.executable, program, site.write("plan.json", plan(*tasks))],
        env=site.env, cwd=site.root, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("unlucky SUCCESS\nnext SUCCESS\n", "")
    assert last(site).attempts == {"unlucky": 2, "next": 1}


def test_a_failure_and_how_it_is_repeated(site: Site):
    ended = run(site, "failure.yaml")
    assert ended.status == "failed"
    assert ended.states == {"test": "ERROR", "deploy": "PENDING", "tidy": "SUCCESS"}
    shown = site.orch("show", "last").stdout
    mended = re.sub(r"^uid: .*\n|^ *status: ERROR\n", "", shown, flags=re.MULTILINE).replace(
        "exit 1", "exit 0"
    )
    assert site.orch("run", site.write("again.yaml", mended)).returncode == 0
    again = last(site)
    assert again.states == {"test": "SUCCESS", "deploy": "SUCCESS", "tidy": "SUCCESS"}
    assert again["tidy"]["attempt"] == 0


# -- README ----------------------------------------------------------------------


def plain(text: str) -> list[str]:
    """Lines without what differs from run to run: times, uids, and the width of columns."""
    text = re.sub(r"\d+\.\d+ s", "TIME", re.sub(r":[0-9a-f]{8}\b", ":UID", text))
    return [" ".join(line.split()) for line in text.splitlines()]


def block(first_line: str) -> str:
    """The indented block of README that begins so."""
    text = ROOT.joinpath("README.rst").read_text()
    [found] = re.findall(rf"\n\n((?:    {re.escape(first_line)}.*\n)(?:    .*\n)*)", text)
    return textwrap.dedent(found)


def test_readme_shows_what_the_rollout_prints(site: Site):
    done = site.orch("run", str(PLANS / "rollout.yaml"))
    shown = plain(block("plan rollout:"))
    report = plain(done.stdout)
    assert shown[-len(report) :] == report
    progress = [line.split(" ")[:2] for line in shown[: -len(report)]]
    # Tasks that run side by side may end in another order.
    assert sorted(progress) == sorted(line.split(" ")[:2] for line in plain(done.stderr))


def test_readme_shows_what_the_session_with_a_worker_prints(site: Site):
    site.worker()
    shown = re.split(r"^\$ solar-orch (.*)\n", block("$ solar-orch create"), flags=re.MULTILINE)[1:]
    commands = list(zip(shown[::2], shown[1::2], strict=True))
    assert [command.split(" ")[0] for command, _ in commands] == ["create", "run-once", "report"]
    for command, output in commands:
        done = site.orch(*command.replace("docs/examples/plans", str(PLANS)).split(" "))
        assert (done.returncode, plain(done.stdout)) == (0, plain(output))
