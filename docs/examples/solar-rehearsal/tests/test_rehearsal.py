"""Plans that take their whole way, and change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from solar_orch.testing import TasksDriverConformance, task
from solar_orch.testing.hosting import Solar


class TestRehearse(TasksDriverConformance):
    name = "rehearse"
    # What lasts is a sleep; and a task type of another package has a result although it does not run.
    options = {"rehearse": {"longest_sleep": 3600, "results": "call:hello"}}


@pytest.fixture
def rehearsing(solar: Solar) -> Solar:
    solar.options(tasks_driver="rehearse")
    return solar


def test_what_would_run_is_shown_and_does_not_run(rehearsing: Solar, tmp_path: Path):
    file = tmp_path / "a file"
    ended = rehearsing.run(
        task("shell", "cmd", f"touch '{file}'", kwargs={"cwd": "/srv", "env": {"A": "b c"}}),
        task("words", "cmd", ["touch", str(file), 2], kwargs={"stdin": "text"}),
        task("far", "ssh", "restart web", target="web1", kwargs={"user": "deploy", "port": 2222}),
        task("long", "sleep", 3600),
        task("resource", "solar_resource", "db1", "run"),
        task("asked", "approval", "now?"),
    )
    assert ended.status == "finished", str(ended)
    assert {name: ended[name]["output"] for name in ended.states} == {
        "shell": f"would run here: touch '{file}'\n  in /srv\n  with A='b c'\n",
        "words": f"would run here: touch '{file}' 2\n  with 4 characters on stdin\n",
        "far": "would run on deploy@web1:2222: restart web\n",
        "long": "would wait 3600 s\n",
        "resource": "would run action run of resource db1\n",
        "asked": "would ask: now?\n",
    }
    assert not file.exists()


def test_what_a_plan_gives_to_all_commands_is_shown(rehearsing: Solar):
    plan = {"name": "p", "env": {"STAGE": "test"}, "cwd": "/srv", "tasks": [task("a", "cmd", "true")]}
    assert rehearsing.run(plan)["a"]["output"] == "would run here: true\n  in /srv\n  with STAGE=test\n"


def test_results_are_those_of_the_rehearsal(rehearsing: Solar):
    rehearsing.options("rehearse", results="look:2.3,host:web 1")
    ended = rehearsing.run(
        task("look", "cmd", "./version"),
        task("host", "cmd", "hostname"),
        task("old", "noop", after=["look"], when="${tasks.look.result} == 2.3"),
        task("new", "noop", after=["look"], when="${tasks.look.result} == 2.4"),
        task("say", "echo", "${tasks.host.result}", after=["host"]),
    )
    assert (ended.states["old"], ended.states["new"]) == ("SUCCESS", "NOOP")
    assert ended["say"]["output"] == "web 1\n"


def test_what_follows_a_failure_can_be_seen(rehearsing: Solar):
    rehearsing.options("rehearse", failing="db")
    ended = rehearsing.run(task("db", "cmd", "./migrate", retry=1), task("web", "cmd", "true", after=["db"]))
    assert ended.states == {"db": "ERROR", "web": "PENDING"}
    assert (ended["db"]["errmsg"], ended["db"]["attempt"]) == ("fails in this rehearsal", 2)


def test_what_has_no_effect_runs_as_ever(rehearsing: Solar):
    ended = rehearsing.run(task("echo", "echo", "hello"), task("error", "error", "no luck"))
    assert (ended["echo"]["output"], ended["error"]["errmsg"]) == ("hello\n", "no luck")


def test_arguments_that_do_not_fit_are_found(rehearsing: Solar):
    ended = rehearsing.run(task("a", "cmd", "true", kwargs={"shell": True}, retry=2))
    assert ended["a"]["attempt"] == 1
    assert "it takes cmd(command, *, env=None" in ended["a"]["errmsg"]


def test_a_sleep_that_is_none_is_found(rehearsing: Solar):
    ended = rehearsing.run(task("a", "sleep", "long"), task("b", "sleep", -1))
    assert {found["errmsg"] for found in map(ended.__getitem__, "ab")} == {
        "sleep: seconds must be a number that is not negative, not 'long'",
        "sleep: seconds must be a number that is not negative, not -1",
    }


def test_secrets_are_not_shown(rehearsing: Solar, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOKEN", "t0p-s3cret")
    ended = rehearsing.run(task("a", "cmd", "login ${env.TOKEN}"))
    assert ended["a"]["output"] == "would run here: login ***\n"
