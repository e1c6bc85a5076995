"""The fixture ``solar``: a host in the process of the tests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import gevent
import pytest

from solar_orch import plugins
from solar_orch.errors import ConfigError, PlanError, PluginError, SolarError, UnknownTask, WrongState
from solar_orch.testing import Call, task
from solar_orch.testing.hosting import Solar

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"


def pytest_in_a_process(tmp_path: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


# -- plans ---------------------------------------------------------------------


def test_the_examples_of_the_documentation(tmp_path):
    done = pytest_in_a_process(tmp_path, str(EXAMPLES / "test_deploy.py"))
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


def test_a_whole_plan_is_run(solar: Solar):
    ended = solar.run({"name": "whole", "tasks": [task("a", "echo", "${word}")], "vars": {"word": "hello"}})
    assert (ended.status, ended.results) == ("finished", {"a": "hello"})
    assert ended.uid.startswith("whole:")
    with pytest.raises(KeyError):
        ended["b"]


def test_what_is_no_plan_is_told_before_a_host_is_made(solar: Solar):
    with pytest.raises(PlanError, match="missing"):
        solar.run(task("a", "noop", after=["missing"]))
    assert not (solar.root / "s").exists()


def test_a_plan_is_cancelled(solar: Solar):
    with solar.running(task("a", "sleep", 600), task("b", "noop", after=["a"])) as plan:
        plan.wait_for("a", "INPROGRESS")
        plan.cancel()
    ended = plan.look()
    assert (ended.status, ended.states) == ("stopped", {"a": "ERROR", "b": "SKIPPED"})


def test_what_cannot_be_killed_is_told(solar: Solar):
    with solar.running(task("a", "noop")) as plan:
        plan.end()
        with pytest.raises(WrongState):
            plan.kill("a")
        with pytest.raises(UnknownTask):
            plan.kill("b")


def test_what_stands_still_is_said(solar: Solar):
    with solar.running(task("a", "sleep", 600)) as plan:
        with pytest.raises(AssertionError) as caught:
            plan.end(seconds=0.3)
        plan.kill("a")
    said = str(caught.value)
    assert said.startswith("not within 0.3 s: the end of the plan\nplan test:")
    assert "a (sleep): INPROGRESS" in said
    assert "task a waits here:" in said
    assert "gevent.sleep(_seconds(seconds))" in said


def test_a_call_that_takes_no_notice_of_a_kill_is_shown(solar: Solar, packages):
    module = """
import gevent
from solar_orch.workers.calls import Cancelled
GO = gevent.event.Event()
def stubborn(ctxt):
    while not GO.is_set():
        try:
            GO.wait()  # and on
        except Cancelled:
            pass
"""
    packages.add("deaf", {plugins.TASK_TYPES: {"stubborn": "deaf:stubborn"}}, modules={"deaf": module})
    with solar.running(task("a", "stubborn")) as plan:
        plan.wait_for("a", "INPROGRESS")
        plan.kill("a")
        with pytest.raises(AssertionError, match=r"GO.wait\(\)  # and on"):
            plan.end(seconds=0.3)
        sys.modules["deaf"].GO.set()


def test_a_state_that_cannot_come_is_not_waited_for(solar: Solar):
    solar.patience = 60
    begun = time.monotonic()
    with solar.running(task("a", "noop")) as plan, pytest.raises(AssertionError, match="and is SUCCESS"):
        plan.wait_for("a", "ERROR")
    assert time.monotonic() - begun < 60


# -- the host ------------------------------------------------------------------


def test_a_part_that_is_refused_is_told_as_it_is(solar: Solar, packages):
    packages.add("bad", {plugins.TASK_TYPES: {"bad": "bad:missing"}}, modules={"bad": ""})
    with pytest.raises(PluginError) as caught:
        solar.run(task("a", "noop"))
    assert caught.value.package == "bad 1.0"
    frames = [entry.path.name for entry in caught.traceback]
    assert "plugins.py" not in frames


def test_options_that_cannot_be_used_are_told(solar: Solar):
    solar.options(pool_size="many")
    with pytest.raises(ConfigError) as caught:
        solar.run(task("a", "noop"))
    assert (caught.value.option, caught.value.value) == ("pool_size", "many")


def test_options_of_a_part_and_of_the_environment(packages, monkeypatch, request):
    module = """
from oslo_config import cfg
from solar_orch.workers.task_types import conf
def list_opts(): return [("ours", [cfg.StrOpt("greeting"), cfg.ListOpt("names")])]
def greet(ctxt): return [conf().ours.greeting, conf().ours.names, conf().orchestration.executor]
"""
    packages.add("ours", {plugins.TASK_TYPES: {"greet": "ours:greet"}}, modules={"ours": module})
    monkeypatch.setenv("OS_ORCHESTRATION__EXECUTOR", "zerorpc")
    monkeypatch.setenv("OS_OURS__GREETING", "of the machine")
    solar: Solar = request.getfixturevalue("solar")
    solar.options("ours", greeting="hello", names=["a", "b"])
    assert solar.run(task("a", "greet")).results == {"a": ["hello", ["a", "b"], "inline"]}


def test_options_come_before_the_host(solar: Solar):
    solar.host  # noqa: B018 - makes it
    with pytest.raises(SolarError, match="before the host is made"):
        solar.options(pool_size=1)
    solar.stop()
    solar.options(pool_size=1)
    assert solar.host.executors["tasks"].pool_size == 1


def test_a_host_that_fails_is_told(solar: Solar):
    def fail(stopping: object) -> None:
        raise ValueError("as the test wants it")

    solar.host.workers["tasks"].background(fail)
    with pytest.raises(ValueError, match="as the test wants it"):
        solar.run(task("a", "sleep", 600))


def test_a_call_that_blocks_is_ended_and_others_go_on(solar: Solar, packages):
    module = """
import time
def block(ctxt): time.sleep(600)
"""
    packages.add("blocking", {plugins.TASK_TYPES: {"block": "blocking:block"}}, modules={"blocking": module})
    solar.standstill = 0.2
    ended = solar.run(task("a", "block"), task("b", "noop"))
    assert ended.states == {"a": "ERROR", "b": "SUCCESS"}
    assert ended["a"]["errmsg"].startswith("the call has blocked the event loop for 0.2 s")
    assert "time.sleep(600)" in ended["a"]["errmsg"]
    assert [str(error) for error in solar.blocking] == [ended["a"]["errmsg"]]


def test_a_test_that_blocks_is_left_alone(solar: Solar):
    solar.standstill = 0.05
    with solar.running(task("a", "sleep", 0.01)) as plan:
        plan.wait_for("a", "INPROGRESS")
        time.sleep(0.2)  # of the test itself
    assert plan.look().status == "finished"
    assert solar.blocking == []


def test_nothing_is_left_behind(tmp_path):
    module = tmp_path / "test_two.py"
    module.write_text(
        "import os, signal\n"
        "from solar_orch.testing import task\n"
        "ROOTS, HANDLERS = [], []\n"
        "def test_one(solar):\n"
        "    ROOTS.append(solar.root)\n"
        "    HANDLERS.append([signal.getsignal(n) for n in (15, 2, signal.SIGURG)])\n"
        "    assert solar.run(task('a', 'cmd', 'true')).status == 'finished'\n"
        "def test_two(solar):\n"
        "    assert not ROOTS[0].exists() and solar.root != ROOTS[0]\n"
        "    assert HANDLERS[0] == [signal.getsignal(n) for n in (15, 2, signal.SIGURG)]\n"
        "    assert solar.store.plans.summaries() == []\n"
    )
    done = pytest_in_a_process(tmp_path, str(module))
    assert done.returncode == 0, done.stdout


# -- calls of tests ------------------------------------------------------------


def test_a_call_takes_its_arguments_as_a_sequence():
    with pytest.raises(TypeError, match=r"as one sequence: Call\(\['x'\]\)"):
        Call("x")  # type: ignore[arg-type]
    assert str(Call(["x", 1], {"y": None})) == "('x', 1, y=None)"


# -- the plug-in -----------------------------------------------------------------


def test_the_plugin_imports_nothing_heavy_and_patches_nothing(tmp_path):
    module = tmp_path / "test_foreign.py"
    module.write_text(
        "import sys\n"
        "def test_foreign():\n"
        "    assert 'solar_orch.testing.plugin' in sys.modules\n"
        "    heavy = {'gevent', 'sqlalchemy', 'zmq', 'oslo_config', 'stevedore'}\n"
        "    assert not heavy & sys.modules.keys()\n"
    )
    done = pytest_in_a_process(tmp_path, "-W", "error", str(module))
    assert done.returncode == 0, done.stdout


def test_gevent_patches_where_that_is_asked_for(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\nsolar_orch_patch = true\n")
    (tmp_path / "conftest.py").write_text(
        "import time, gevent.monkey\nassert gevent.monkey.is_module_patched('socket')\n"
    )
    (tmp_path / "test_patched.py").write_text(
        "import time\n"
        "from solar_orch.testing import task\n"
        "def test_patched(solar):\n"
        "    solar.standstill = 0.2\n"
        "    tasks = solar.host.workers['tasks']\n"
        "    tasks.add_method('wait', lambda ctxt: time.sleep(0.6))\n"
        "    ended = solar.run(task('a', 'wait'), task('b', 'cmd', 'echo hello'))\n"
        "    assert ended.status == 'finished', ended\n"
    )
    done = pytest_in_a_process(tmp_path, "-W", "error", "-n", "1", ".")
    assert done.returncode == 0, done.stdout
    done = pytest_in_a_process(tmp_path, "-W", "error", ".")
    assert done.returncode == 0, done.stdout


def test_the_names_of_the_kit():
    from solar_orch import testing

    for name in testing.PLACES:
        assert getattr(testing, name).__name__ == name
        assert name in dir(testing)
    with pytest.raises(AttributeError, match="no attribute 'Conformity'"):
        testing.Conformity  # noqa: B018


def test_importing_the_kit_imports_neither_pytest_nor_gevent():
    code = "import sys, solar_orch.testing; sys.exit(bool({'pytest', 'gevent'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False, env=dict(os.environ)).returncode == 0


def test_the_loop_is_not_watched_afterwards(solar: Solar):
    solar.start()
    solar.stop()
    gevent.sleep(0.05)
    assert solar.blocking == []
