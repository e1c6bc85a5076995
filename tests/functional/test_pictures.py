"""``dg`` and ``timeline``, of plans that real workers have run."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from typing import Any
from xml.etree import ElementTree

import pytest
from harness import PATIENCE, Site, gated, plan, script, task, wait_until

from solar_orch.states import State

SVG = "{http://www.w3.org/2000/svg}"

ROLLOUT = plan(
    task("fetch", "cmd", "true"),
    task("web1.copy", "cmd", "true", target="web1", after=["fetch"]),
    task("web1.restart", "cmd", "echo no such unit >&2; exit 3", retry=1, after=["web1.copy", "fetch"]),
    task("web1.probe", after=["web1.restart", "web1.copy"]),
    task("web2.copy", "cmd", "true", target="web2", after=["fetch"]),
    task("web2.restart", status="NOOP", after=["web2.copy"]),
    name="rollout",
)
NAMES = ["fetch", "web1.copy", "web1.restart", "web1.probe", "web2.copy", "web2.restart"]
EDGES = {
    '"fetch" -> "web1.copy"',
    '"web1.copy" -> "web1.restart"',
    '"web1.restart" -> "web1.probe"',
    '"fetch" -> "web2.copy"',
    '"web2.copy" -> "web2.restart"',
}


def told(document: str | bytes) -> list[str]:
    """What a picture is about: the first lines of its tooltips."""
    return [(one.text or "").splitlines()[0] for one in ElementTree.fromstring(document).iter(f"{SVG}title")]


def written(document: str | bytes) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(document).iter(f"{SVG}text")]


def edges(dot: str) -> set[str]:
    return {line.strip(" ;") for line in dot.splitlines() if "->" in line}


def refused(site: Site, *args: str, code: int = 2) -> str:
    """The one line in which a command says why it does nothing."""
    before = sorted(os.listdir(site.root))
    done = site.orch(*args)
    assert (done.returncode, done.stdout) == (code, "")
    assert sorted(set(os.listdir(site.root)) - {"s", "r"}) == sorted(set(before) - {"s", "r"})
    [line] = [line for line in done.stderr.splitlines() if "error: " in line.lower()]
    assert "Traceback" not in done.stderr
    return line


@pytest.fixture
def failed(site: Site) -> str:
    """The uid of a plan that was run and has failed."""
    site.worker()
    ended = site.run(ROLLOUT)
    assert ended.states["web1.restart"] == "ERROR"
    return str(ended.report["uid"])


# -- dg ------------------------------------------------------------------------


def test_the_graph_of_a_plan_that_was_run(site: Site, failed: str) -> None:
    done = site.orch("dg", failed)
    assert (done.returncode, done.stderr) == (0, "")
    assert edges(done.stdout) == EDGES
    assert 'label="web1.restart\\nERROR, cmd"' in done.stdout

    assert site.orch("dg", "last", "-o", "plan.dot").stdout == ""
    assert (site.root / "plan.dot").read_text() == done.stdout

    assert site.orch("dg", "last", "-o", "plan.svg").returncode == 0
    document = (site.root / "plan.svg").read_bytes()
    assert sorted(told(document)) == sorted(NAMES)
    assert {failed, "3 SUCCESS", "1 ERROR", "1 NOOP", "1 PENDING"} <= set(written(document))

    # It takes the place of what is there.
    (site.root / "plan.png").write_bytes(b"before")
    assert site.orch("dg", "last", "-o", "plan.png").returncode == 0
    assert (site.root / "plan.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert not [name for name in os.listdir(site.root) if name.endswith(".tmp")]


def test_the_graph_of_a_plan_file_that_was_never_created(site: Site) -> None:
    path = site.write("rollout.json", ROLLOUT)
    assert edges(site.orch("dg", path).stdout) == EDGES
    assert site.orch("dg", path, "-o", "plan.svg").returncode == 0
    assert sorted(told((site.root / "plan.svg").read_bytes())) == sorted(NAMES)
    assert not site.database.exists()


@pytest.mark.parametrize("command", ["dg", "timeline"])
def test_an_unknown_plan(site: Site, command: str) -> None:
    line = refused(site, command, "nope", "-o", "plan.svg")
    assert "there is no plan with the uid nope" in line
    assert ("there is no such file" in line) == (command == "dg")


def test_a_plan_file_with_mistakes(site: Site) -> None:
    path = site.write("wrong.yaml", "name: wrong\ntasks:\n- {uid: a, parameters: {type: noop}, after: [b]}\n")
    done = site.orch("dg", path, "-o", "plan.svg")
    assert done.returncode == 2
    assert "wrong.yaml:3:" in done.stderr
    assert not (site.root / "plan.svg").exists()


@pytest.mark.parametrize(
    ("command", "name", "known"),
    [
        ("dg", "plan.pdf", ".svg or .png or .dot"),
        ("dg", "plan", ".svg or .png or .dot"),
        ("timeline", "plan.png", ".svg,"),
    ],
)
def test_another_ending_is_refused(site: Site, command: str, name: str, known: str) -> None:
    site.create(ROLLOUT)
    assert f"it has to end in {known}" in refused(site, command, "last", "-o", name)


def test_a_file_that_cannot_be_written(site: Site) -> None:
    site.create(ROLLOUT)
    line = refused(site, "dg", "last", "-o", "none/plan.svg", code=1)
    assert "none/plan.svg cannot be written: No such file or directory" in line


def test_without_the_extra_only_dot_is_written(site: Site) -> None:
    site.create(ROLLOUT)
    blocked = site.root / "blocked"
    blocked.mkdir()
    for module in ("igraph", "resvg_py"):
        (blocked / f"{module}.py").write_text("raise ImportError('not here')")
    site.env["PYTHONPATH"] = str(blocked)
    for name in ("plan.svg", "plan.png"):
        assert "pip install 'solar-orch[pictures]'" in refused(site, "dg", "last", "-o", name)
    assert edges(site.orch("dg", "last").stdout) == EDGES
    assert site.orch("dg", "last", "-o", "plan.dot").returncode == 0
    assert site.orch("timeline", "last", "-o", "plan.svg").returncode == 0


# -- timeline ------------------------------------------------------------------


def rows(site: Site) -> list[dict[str, Any]]:
    return json.loads(site.orch("timeline", "last", "--format", "json").stdout)  # type: ignore[no-any-return]


def test_the_timeline_of_a_plan_that_was_run(site: Site, failed: str) -> None:
    found = rows(site)
    assert sorted((row["task"], row["attempt"], row["state"]) for row in found) == [
        ("fetch", 1, "SUCCESS"),
        ("web1.copy", 1, "SUCCESS"),
        ("web1.restart", 1, "ERROR_RETRY"),
        ("web1.restart", 2, "ERROR"),
        ("web2.copy", 1, "SUCCESS"),
    ]
    assert [row["start"] for row in found] == sorted(row["start"] for row in found)
    assert all(row["dispatched"] <= row["start"] <= row["end"] for row in found)
    assert {row["task"]: row["target"] for row in found}["web1.copy"] == "web1"

    done = site.orch("timeline", failed)
    assert (done.returncode, done.stderr) == (0, "")
    head, marks, *lines, _, legend = done.stdout.splitlines()
    assert head == f"plan {failed}: failed"
    assert marks.split()[0] == "0"
    assert [line.split("  ")[0] for line in lines] == [
        row["task"] + (f" #{row['attempt']}" if row["attempt"] > 1 else "") for row in found
    ]
    bars = {"SUCCESS": "=", "ERROR_RETRY": "~", "ERROR": "x"}
    assert all(line.endswith(bars[row["state"]]) for line, row in zip(lines, found, strict=True))
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "= SUCCESS" in legend

    assert site.orch("timeline", failed, "-o", "time.svg").stdout == ""
    document = (site.root / "time.svg").read_bytes()
    assert sorted(told(document)) == sorted(row["task"] for row in found)
    assert f"{failed}: failed" in written(document)


def test_the_timeline_of_a_plan_that_runs_and_of_one_that_never_did(site: Site) -> None:
    site.create(ROLLOUT)
    done = site.orch("timeline", "last")
    assert (done.returncode, done.stderr) == (0, "nothing of the plan has been started yet\n")
    assert rows(site) == []
    assert site.orch("timeline", "last", "-o", "time.svg").returncode == 0
    assert told((site.root / "time.svg").read_bytes()) == []

    site.worker()
    uid = site.want(plan(task("long", "cmd", gated()), task("then", after=["long"])))
    wait_until(lambda: [row["start"] for row in rows(site)] not in ([], [None]))
    [row] = rows(site)
    assert (row["task"], row["end"], row["state"]) == ("long", None, "INPROGRESS")
    assert site.orch("timeline", uid).stdout.splitlines()[2].endswith(">")
    site.open()
    assert site.ended(uid).states == {"long": "SUCCESS", "then": "SUCCESS"}


@pytest.mark.parametrize("plain", [False, True])
def test_in_a_terminal_it_is_coloured_unless_that_is_unwanted(site: Site, plain: bool) -> None:
    long = "a-name-that-is-much-too-long-for-a-line-of-eighty-characters"
    uid = site.create(plan(task(long), task("fails", "error", "no luck")))
    site.worker()
    site.run(uid)
    shown = in_terminal(site, "timeline", uid, **({"NO_COLOR": "1"} if plain else {}))
    assert ("\x1b[1;31mx" in shown) is not plain
    lines = shown.splitlines()
    assert any(line.startswith("a-name-that-is-..ghty-characters") for line in lines)
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines) <= 80


def in_terminal(site: Site, *args: str, **env: str) -> str:
    """What a command writes to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [script("solar-orch"), *args],
            env={**site.env, "TERM": "xterm-256color", "COLUMNS": "80", **env},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)


def test_looking_imports_neither_transport_nor_what_draws(site: Site) -> None:
    site.create(ROLLOUT)
    for args in (["dg", "last"], ["timeline", "last"]):
        program = (
            f"import sys; sys.argv = ['solar-orch', *{args!r}]\n"
            "from solar_orch.cli.entry import orch\n"
            "try: orch()\n"
            "except SystemExit as stop: assert not stop.code\n"
            "print(sorted({n.partition('.')[0] for n in sys.modules}"
            " & {'gevent', 'zmq', 'zerorpc', 'rich', 'igraph', 'resvg_py', 'yaml'}), file=sys.stderr)"
        )
        done = subprocess.run(
            [str(script("python")), "-c", program], env=site.env, capture_output=True, text=True, check=True
        )
        assert done.stderr.splitlines()[-1] == "[]"


def test_a_thousand_tasks_are_drawn(site: Site) -> None:
    tasks = [
        task(
            f"layer{n // 100}.task{n % 100}",
            after=[f"layer{n // 100 - 1}.task{(n * k) % 100}" for k in (1, 3, 7)],
        )
        if n >= 100
        else task(f"layer0.task{n}", status=State.SUCCESS)
        for n in range(1000)
    ]
    for one in tasks:
        one["after"] = list(dict.fromkeys(one["after"]))
    path = site.write("large.json", plan(*tasks, name="large"))
    assert site.orch("dg", path, "-o", "large.svg").returncode == 0
    assert len(told((site.root / "large.svg").read_bytes())) == 1000
