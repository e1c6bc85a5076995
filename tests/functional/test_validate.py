"""``validate``, ``--var`` and ``--dry-run``: what is told of a plan before anything of it is written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from harness import PATIENCE, Site, plan, script, task

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

GREETING = """\
name: greeting
vars: {WORD: null, TIMES: 2}
tasks:
- {uid: greet, parameters: {type: cmd, args: ["echo ${WORD} ${TIMES}"]}}
"""


def untouched(site: Site) -> bool:
    """Whether no database came into being."""
    return not site.database.exists()


# -- validate ------------------------------------------------------------------


def test_mistakes_are_shown_with_their_lines_and_carets(site: Site):
    done = site.orch("validate", str(EXAMPLES / "mistakes.yaml"), str(EXAMPLES / "plans" / "diamond.yaml"))
    assert done.returncode == 2
    lines = done.stdout.replace(f"{EXAMPLES}/", "").splitlines()
    told = EXAMPLES.joinpath("mistakes.txt").read_text().splitlines()[:-1]
    assert lines[::3] == told
    text = EXAMPLES.joinpath("mistakes.yaml").read_text().splitlines()
    for line, shown, caret in zip(told, lines[1::3], lines[2::3], strict=True):
        number, column = map(int, line.split(":")[1:3])
        assert shown == f"  {text[number - 1]}"
        assert caret.index("^") == len(caret) - 1 == column + 1
    assert done.stderr.replace(f"{EXAMPLES}/", "").splitlines() == [
        "mistakes.yaml: 6 errors",
        "plans/diamond.yaml: nothing wrong",
    ]
    assert untouched(site)


def test_all_examples_are_fine(site: Site):
    done = site.orch("validate", "--strict", *map(str, sorted(EXAMPLES.joinpath("plans").glob("*.yaml"))))
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_odd_is_a_warning(site: Site):
    path = site.write(
        "odd.yaml",
        """\
name: odd
vars: {UNUSED: 1}
tasks:
- {uid: a, parameters: {type: noop}}
- {uid: b, parameters: {type: noop}, after: [a]}
- {uid: c, parameters: {type: noop}, after: [b, a]}
- {uid: d, parameters: {type: noop, status: SKIPPED}}
- {uid: e, parameters: {type: noop}, after: [d]}
""",
    )
    done = site.orch("validate", path)
    assert done.returncode == 0
    assert [line.removeprefix(path) for line in done.stdout.splitlines()[::3]] == [
        ":2:8: warning: nothing uses the variable 'UNUSED'",
        ":6:49: warning: 'c' waits for 'a' anyway, because it waits for 'b'",
        ":8:9: warning: the task 'e' can never run: 'd' is SKIPPED",
    ]
    assert done.stderr == f"{path}: 3 warnings\n"
    assert site.orch("validate", "--strict", path).returncode == 2


def test_for_programs(site: Site):
    wrong = site.write("wrong.json", plan(task("a", "noop"), task("b", "noop", after=["A"])))
    missing = str(site.root / "missing.yaml")
    done = site.orch("validate", "--format", "json", wrong, missing)
    assert done.returncode == 2
    found = json.loads(done.stdout)
    assert [list(item) for item in found] == [["file", "line", "column", "severity", "message"]] * 2
    assert found[0]["file"] == wrong
    assert found[0]["message"] == "after names 'A', and there is no such task; did you mean 'a'?"
    line = Path(wrong).read_text().splitlines()[found[0]["line"] - 1]
    assert line[found[0]["column"] - 1 :] == '"A"'
    assert found[1] == {
        "file": missing,
        "line": None,
        "column": None,
        "severity": "error",
        "message": "No such file or directory",
    }
    assert (
        json.loads(site.orch("validate", "--format", "json", str(EXAMPLES / "plans/hello.yaml")).stdout) == []
    )


def test_a_plan_from_stdin_and_long_lines_are_shown_in_part(site: Site):
    text = f"name: p\ntasks: [{{uid: a, parameters: {{type: echo, args: ['{'é' * 300}', '${{X}}']}}}}]\n"
    done = subprocess.run(
        [script("solar-orch"), "validate", "-"],
        input=text,
        env={**site.env, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    message, shown, caret = done.stdout.splitlines()
    assert done.returncode == 2
    assert message.startswith(f"<stdin>:2:{text.splitlines()[1].index('$') + 1}: undefined variable 'X'")
    assert len(shown) <= 80
    assert shown[caret.index("^") :].startswith("${X}")


def test_the_schema_is_printed(site: Site):
    done = site.orch("validate", "--schema")
    assert done.returncode == 0
    validator = jsonschema.Draft202012Validator(json.loads(done.stdout))
    validator.validate(yaml.safe_load(EXAMPLES.joinpath("plans", "language.yaml").read_text()))
    assert not validator.is_valid(yaml.safe_load(EXAMPLES.joinpath("mistakes.yaml").read_text()))


@pytest.mark.parametrize(
    "args", [[], ["--schema", "p.yaml"], ["--var", "1=2", "p.yaml"], ["--var", "X", "p.yaml"]]
)
def test_wrong_usage(site: Site, args: list[str]):
    done = site.orch("validate", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_a_large_plan_is_looked_over_in_part_and_that_is_said(site: Site):
    width, layers = 100, 300
    tasks = [
        task(f"{layer}.{n}", after=[f"{layer - 1}.{(n + k) % width}" for k in range(10)] if layer else [])
        for layer in range(layers)
        for n in range(width)
    ]
    last = tasks[-1]
    last["after"] = [*last["after"], "0.0"]
    done = site.orch("validate", site.write("large.json", plan(*tasks)))
    assert done.returncode == 0
    assert "edges that others imply were looked for in the first " not in done.stderr
    assert "warning: " in done.stdout


def test_nothing_of_gevent_or_zmq_is_imported(site: Site):
    code = (
        "import sys; from solar_orch.cli.orch import orch\n"
        f"orch(['validate', {str(EXAMPLES / 'mistakes.yaml')!r}], standalone_mode=False)\n"
        "sys.exit(bool({'gevent', 'zmq', 'sqlalchemy'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=site.env, check=False, timeout=PATIENCE, capture_output=True
    )
    assert done.returncode == 0, done.stderr


# -- variables -----------------------------------------------------------------


def test_variables_are_filled_in_by_run_and_create(site: Site):
    path = site.write("greeting.yaml", GREETING)
    done = site.orch("run", path, "--var", "WORD=it's = ok", "--var=TIMES=3", "--format", "json")
    assert done.returncode == 1, done.stderr  # the quote is the shell's: a variable is part of the plan
    done = site.orch("run", path, "--var", "WORD=a=b", "--var=TIMES=1", "--var=TIMES=3", "--format", "json")
    assert json.loads(done.stdout)["tasks"][0]["output"] == "a=b 3\n"
    uid = site.orch("create", "--var", "WORD=hello", path).stdout.strip()
    assert "echo hello 2" in site.orch("show", uid).stdout


def test_variables_reach_the_process_that_runs_the_plan_where_this_one_is_not_patched(site: Site):
    path = site.write("greeting.yaml", GREETING)
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from solar_orch.cli import orch; orch()"),
            *("run", path, "--var", "WORD=a=b", "--var", "TIMES=-3", "--format", "json"),
        ],
        env=site.env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tasks"][0]["output"] == "a=b -3\n"


def test_a_variable_without_a_value_is_told_where_it_is_used(site: Site):
    path = site.write("greeting.yaml", GREETING)
    for command in ("run", "create", "validate"):
        done = site.orch(command, path)
        assert done.returncode == 2
        told = (done.stdout + done.stderr).splitlines()
        column = GREETING.splitlines()[3].index("$") + 1
        assert told[0] == f"{path}:4:{column}: the variable 'WORD' has no value; give it one: --var WORD=..."
    done = site.orch("create", path, "--var", "WORD=x", "--var", "TIME=3")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--var gives 'TIME', and the plan has no such variable; did you mean 'TIMES'?" in done.stderr
    assert "TIMES must be a number" in site.orch("create", path, "--var", "WORD=x", "--var", "TIMES=x").stderr
    assert untouched(site)


def test_a_plan_in_the_database_takes_no_variables(site: Site):
    uid = site.orch("create", str(EXAMPLES / "plans" / "hello.yaml")).stdout.strip()
    for more in ([], ["--dry-run"]):
        done = site.orch("run", uid, "--var", "WORD=x", *more)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{uid} is a plan in the database, whose variables have their values" in done.stderr
    assert site.store.plans.get(uid).status == "pending"


# -- dry runs ------------------------------------------------------------------


def test_the_order_is_printed_in_waves_and_nothing_is_written(site: Site):
    site.set(max_inprogress=3)
    done = site.orch("run", "--dry-run", str(EXAMPLES / "plans" / "rollout.yaml"))
    assert done.returncode == 0
    assert done.stderr == "nothing was run or written\n"
    lines = done.stdout.splitlines()
    assert lines[0] == "plan rollout: 15 tasks in 9 waves, at most 3 at once and 1 with one target"
    assert max(map(len, lines)) <= 80
    rows = {line.split()[1]: line for line in lines[2:17]}
    assert rows["web2.switch"].split()[-2:] == ["type", "switch"]
    path = lines[lines.index("critical path, 8 tasks:") + 1 :]
    assert path[0] == "  release.build"
    assert path[-1] == "  release.announce"
    assert len(path) == 8
    assert untouched(site)


def test_a_dry_run_for_programs(site: Site):
    path = site.write(
        "p.yaml",
        plan(
            task("a", target="web1"),
            task("b", target="web1", when="true"),
            task("c", after=["b"]),
            task("d", status="ERROR"),
            task("e", after=["d"]),
        ),
    )
    done = site.orch("run", "--dry-run", "--format", "json", path)
    found = json.loads(done.stdout)
    assert list(found) == ["name", "max_inprogress", "target_limit", "waves", "critical_path", "never"]
    assert [[item["name"] for item in wave] for wave in found["waves"]] == [["b"], ["a", "c"]]
    by_name = {item["name"]: item for wave in found["waves"] for item in wave}
    assert by_name["a"] == {
        "name": "a",
        "type": "noop",
        "target": "web1",
        "when": None,
        "held_back_by": "target web1",
    }
    assert by_name["b"]["when"] == "true"
    assert (found["critical_path"], found["never"]) == (["b", "c"], ["e"])
    assert untouched(site)


def test_a_dry_run_of_a_plan_in_the_database_leaves_it_as_it_is(site: Site):
    uid = site.orch("create", str(EXAMPLES / "plans" / "diamond.yaml")).stdout.strip()
    done = site.orch("run", "--dry-run", uid)
    assert done.returncode == 0
    assert "4 tasks in 3 waves" in done.stdout
    assert site.store.plans.get(uid).status == "pending"
    assert site.store.plans.last_event(site.store.plans.get(uid).id) == 0


def test_a_dry_run_of_what_cannot_be_run(site: Site):
    done = site.orch("run", "--dry-run", str(EXAMPLES / "mistakes.yaml"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "6 mistakes; nothing was written" in done.stderr
