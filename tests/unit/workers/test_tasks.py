"""The task types that ship, through the same door as every call: ``Worker.call``."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import psutil
import pytest

from solar_orch import config
from solar_orch.errors import (
    CommandFailed,
    DatabaseUnavailable,
    Killed,
    TaskError,
    UnknownTaskType,
    Unrunnable,
)
from solar_orch.plan.verdict import TIMED_OUT
from solar_orch.workers.base import Worker
from solar_orch.workers.calls import Cancelled, Ctxt
from solar_orch.workers.tasks import Tasks

TYPES = ["cmd", "echo", "error", "fault_tolerance", "noop", "sleep", "solar_resource", "ssh"]


class Recorder:
    """A ledger that writes down what it is told, the output among it."""

    def __init__(self, worker: Tasks) -> None:
        self.worker = worker
        self.admitted: list[Ctxt] = []
        self.settled: list[tuple[Any, BaseException | None]] = []
        self.outputs: list[str | None] = []
        self.kills: list[tuple[str, int | None, str]] = []

    def admit(self, ctxt: Ctxt) -> None:
        self.admitted.append(ctxt)

    def settle(self, ctxt: Ctxt, result: Any, error: BaseException | None) -> bool:
        self.settled.append((result, error))
        self.outputs.append(self.worker.take_output(ctxt))
        return True

    def record_kill(self, task_id: str, attempt: int | None, reason: str) -> None:
        self.kills.append((task_id, attempt, reason))


class FakeExecutor:
    """Notes what it is asked to kill; real executors have tests of their own."""

    address = "nowhere"

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.killed: list[tuple[str, int | None, Exception | None]] = []

    def run(self) -> None: ...

    def stop(self, timeout: float) -> None: ...

    def kill(self, task_id: str, attempt: int | None = None, error: Exception | None = None) -> bool:
        self.killed.append((task_id, attempt, error))
        return task_id == "p~running"


def make_worker(tmp_path: Path, **overrides: object) -> Tasks:
    return Tasks(config.load(overrides={"state_dir": str(tmp_path), **overrides}), {})


@pytest.fixture
def worker(tmp_path: Path, clean_environment: Path) -> Tasks:
    worker = make_worker(tmp_path)
    worker.ledger = Recorder(worker)
    return worker


def recorder(worker: Tasks) -> Recorder:
    assert isinstance(worker.ledger, Recorder)
    return worker.ledger


def ctxt(name: str = "a.b", attempt: int = 1) -> Ctxt:
    return {"task_id": f"p~{name}", "task_name": name, "plan_uid": "p", "attempt": attempt}


def result_of(worker: Tasks, type_: str, *args: Any, **kwargs: Any) -> Any:
    worker.call(type_, ctxt(), args, kwargs)
    result, error = recorder(worker).settled.pop()
    assert error is None
    return result


def error_of(worker: Tasks, type_: str, *args: Any, **kwargs: Any) -> BaseException:
    worker.call(type_, ctxt(), args, kwargs)
    result, error = recorder(worker).settled.pop()
    assert result is None
    assert error is not None
    return error


def unrunnable(worker: Tasks, type_: str, *args: Any, **kwargs: Any) -> str:
    error = error_of(worker, type_, *args, **kwargs)
    assert isinstance(error, Unrunnable)
    assert not error.retriable
    return str(error)


# -- the surface ---------------------------------------------------------------


def test_types_and_controls(worker: Tasks) -> None:
    assert worker.task_types() == TYPES
    assert sorted(worker.methods) == sorted([*TYPES, "kill", "ping", "show_output"])


def test_a_driver_that_derives_from_it_adds_types(tmp_path: Path, clean_environment: Path) -> None:
    class More(Tasks):
        def deploy(self, ctxt: Ctxt, what: str) -> str:
            return f"deployed {what}"

    worker = More(config.load(overrides={"state_dir": str(tmp_path)}), {})
    worker.ledger = Recorder(worker)
    assert worker.task_types() == sorted([*TYPES, "deploy"])
    assert result_of(worker, "deploy", "it") == "deployed it"
    assert unrunnable(worker, "deploy") == (
        "wrong arguments for task type deploy: missing a required argument: 'what'; it takes deploy(what)"
    )


# -- plain types -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "kwargs", "result", "output"),
    [
        ((), {}, [], "\n"),
        (("hello",), {}, "hello", "hello\n"),
        (("a", 1, None), {}, ["a", 1, None], "a 1 None\n"),
        (([1, 2],), {}, [1, 2], "[1, 2]\n"),
        (("a",), {"b": 2}, {"args": ["a"], "kwargs": {"b": 2}}, "a b=2\n"),
        ((), {"ctxt": 1, "method": 2}, {"args": [], "kwargs": {"ctxt": 1, "method": 2}}, "ctxt=1 method=2\n"),
    ],
)  # fmt: skip
def test_echo(worker: Tasks, args: Any, kwargs: Any, result: Any, output: str) -> None:
    assert result_of(worker, "echo", *args, **kwargs) == result
    assert recorder(worker).outputs == [output]


def test_noop_takes_anything(worker: Tasks) -> None:
    assert result_of(worker, "noop", 1, [2], three=3) is None
    assert recorder(worker).outputs == [None]


def test_error_fails_with_its_message(worker: Tasks) -> None:
    error = error_of(worker, "error", "as planned")
    assert isinstance(error, TaskError)
    assert error.retriable
    assert str(error) == "as planned"
    assert str(error_of(worker, "error", message="by name")) == "by name"
    assert str(error_of(worker, "error"))


def test_sleep_lets_others_run(worker: Tasks) -> None:
    sleeping = gevent.spawn(worker.call, "sleep", ctxt("long"), (1000,))
    gevent.sleep(0)
    assert result_of(worker, "sleep", 0) is None
    assert result_of(worker, "sleep", seconds=0.001) is None
    assert not sleeping.ready()
    sleeping.kill()


@pytest.mark.parametrize("seconds", ["1", None, True, -1, -0.1, math.nan, math.inf, [1]])
def test_sleep_takes_numbers_of_seconds_only(worker: Tasks, seconds: Any) -> None:
    assert unrunnable(worker, "sleep", seconds).endswith(f"not {seconds!r}")


@pytest.mark.parametrize(
    ("type_", "args", "kwargs", "problem"),
    [
        ("sleep", (), {}, "missing a required argument: 'seconds'; it takes sleep(seconds)"),
        ("sleep", (1, 2), {}, "too many positional arguments; it takes sleep(seconds)"),
        ("error", (), {"text": "x"}, "got an unexpected keyword argument 'text'; it takes error("),
        ("cmd", ("true", "/tmp"), {}, "it takes cmd(command, *, env=None, cwd=None, stdin=None, parse=None)"),
        ("cmd", (), {}, "missing a required argument: 'command'; it takes cmd(command, *, env=None"),
    ],
)
def test_arguments_that_do_not_fit_are_named_with_the_signature(
    worker: Tasks, type_: str, args: Any, kwargs: Any, problem: str
) -> None:
    message = unrunnable(worker, type_, *args, **kwargs)
    assert message.startswith(f"wrong arguments for task type {type_}: ")
    assert problem in message


# -- types that there are not ---------------------------------------------------


@pytest.mark.parametrize(
    "type_", ["typo", "_target", "call", "output", "task_types", "store", "__init__", ""]
)
def test_an_unknown_type_is_an_error_that_goes_the_way_of_all_calls(worker: Tasks, type_: str) -> None:
    told: list[object] = []
    worker.for_all.on_error(lambda ctxt, error, *args, **kwargs: told.append((error, args, kwargs)))
    worker.for_all.after(lambda ctxt: told.append("after"))
    worker.call(type_, ctxt(), [1], {"two": 2})
    [(result, error)] = recorder(worker).settled
    assert recorder(worker).admitted == [ctxt()]
    assert result is None
    assert isinstance(error, UnknownTaskType)
    assert not error.retriable
    assert str(error) == f"unknown task type {type_!r}; there are: {', '.join(TYPES)}"
    assert told == [(error, (1,), {"two": 2}), "after"]


# -- cmd -----------------------------------------------------------------------


def test_cmd_keeps_the_output_and_returns_the_last_line(worker: Tasks) -> None:
    assert result_of(worker, "cmd", "echo one; echo two; echo three >&2") == "two"
    [output] = recorder(worker).outputs
    assert output is not None
    assert sorted(output.splitlines()) == ["one", "three", "two"]
    assert result_of(worker, "cmd", ["echo", "$HOME", 1, 2.5]) == "$HOME 1 2.5"
    assert result_of(worker, "cmd", "true") == ""


def test_cmd_has_no_result_when_the_last_line_is_huge(
    worker: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    assert result_of(worker, "cmd", "head -c 100000 /dev/zero | tr '\\0' x") is None
    assert "p~a.b: the last line of stdout is longer than 65536 bytes" in caplog.text


def test_cmd_keeps_as_much_output_as_is_configured(tmp_path: Path, clean_environment: Path) -> None:
    worker = make_worker(tmp_path, output_limit=1024)
    worker.ledger = Recorder(worker)
    assert result_of(worker, "cmd", "seq 10000") == "10000"
    [output] = recorder(worker).outputs
    assert output is not None
    assert output.startswith("1\n2\n3\n")
    assert " bytes omitted ...\n" in output
    assert output.endswith("9999\n10000\n")
    assert len(output) < 1100


def test_cmd_that_fails_tells_its_code_and_the_end_of_stderr(worker: Tasks) -> None:
    error = error_of(worker, "cmd", "echo seen; seq 10000 >&2; echo 'disk is full' >&2; exit 7")
    assert isinstance(error, CommandFailed)
    assert error.retriable
    assert error.code == 7
    assert str(error).startswith("exit code 7: ")
    assert str(error).endswith("10000\ndisk is full")
    assert len(str(error)) < 2200
    assert str(error_of(worker, "cmd", "kill -15 $$")) == "ended by signal 15"


def test_cmd_that_cannot_start(worker: Tasks) -> None:
    error = error_of(worker, "cmd", ["no-such-program"])
    assert isinstance(error, TaskError)
    assert str(error) == "cannot run no-such-program: No such file or directory"
    assert "no such directory" in str(error_of(worker, "cmd", "true", cwd="/no/such"))


def test_cmd_env_cwd_and_stdin(worker: Tasks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INHERITED", "yes")
    shown = result_of(
        worker,
        "cmd",
        'echo "$INHERITED $A $B $C $(pwd) $(cat)"',
        env={"A": "x", "B": 1, "C": 2.5},
        cwd=str(tmp_path),
        stdin="typed",
    )
    assert shown == f"yes x 1 2.5 {tmp_path} typed"


def test_cmd_finds_its_attempt_in_its_environment_and_nobody_can_say_otherwise(worker: Tasks) -> None:
    worker.call(
        "cmd",
        ctxt("web.start", 3),
        ['echo "$SOLAR_PLAN_UID $SOLAR_TASK_NAME $SOLAR_ATTEMPT"'],
        {"env": {"SOLAR_ATTEMPT": "1"}},
    )
    assert recorder(worker).settled == [("p web.start 3", None)]


@pytest.mark.parametrize(
    ("args", "kwargs", "problem"),
    [
        ((1,), {}, "cmd: command must be a text or a list of texts, not 1"),
        (({"a": 1},), {}, "cmd: command must be a text or a list of texts, not {'a': 1}"),
        (("  ",), {}, "cmd: the command is empty"),
        (([],), {}, "cmd: the command is empty"),
        ((["echo", True],), {},
         'cmd: an item of command must be a text or a number, not True (put it in quotes: "true")'),
        ((["echo", ["a"]],), {}, "cmd: an item of command must be a text or a number, not ['a']"),
        (("echo \0",), {}, "cmd: command must not hold a NUL character"),
        (("true",), {"env": ["A=1"]}, "cmd: env must be a mapping of names to texts, not ['A=1']"),
        (("true",), {"env": {"A": None}}, "cmd: env: A must be a text or a number, not None"),
        (("true",), {"env": {"A=B": "1"}}, "cmd: env: 'A=B' is no name of a variable"),
        (("true",), {"env": {1: "1"}}, "cmd: env: 1 is no name of a variable"),
        (("true",), {"cwd": 1}, "cmd: cwd must be the path of a directory, not 1"),
        (("true",), {"cwd": ""}, "cmd: cwd must be the path of a directory, not ''"),
        (("true",), {"stdin": 1}, "cmd: stdin must be a text, not 1"),
    ],
)  # fmt: skip
def test_cmd_says_what_is_wrong_with_its_arguments(
    worker: Tasks, args: Any, kwargs: Any, problem: str
) -> None:
    assert unrunnable(worker, "cmd", *args, **kwargs) == problem


def alive(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        gevent.sleep(0.005)


def test_cmd_that_is_killed_is_settled_when_its_group_is_dead_and_keeps_its_output(
    worker: Tasks, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    alive_when_settled: list[int] = []
    ledger = recorder(worker)
    settle = ledger.settle

    def settle_and_look(ctxt: Ctxt, result: Any, error: BaseException | None) -> bool:
        alive_when_settled.extend(pid for pid in map(int, pids.read_text().split()) if alive(pid))
        return settle(ctxt, result, error)

    ledger.settle = settle_and_look  # type: ignore[method-assign]
    command = "echo begun; sleep 1000 & echo $! > pids; echo $$ >> pids; wait"
    call = gevent.spawn(worker.call, "cmd", ctxt(), [command], {"cwd": str(tmp_path)})
    eventually(lambda: pids.exists() and len(pids.read_text().splitlines()) == 2)
    assert all(alive(pid) for pid in map(int, pids.read_text().split()))
    killed = Killed("by the operator")
    call.kill(Cancelled(killed), block=False)
    call.join(timeout=30)
    assert ledger.settled == [(None, killed)]
    assert ledger.outputs == ["begun\n"]
    assert alive_when_settled == []


def test_commands_run_beside_each_other_each_with_its_own_output(worker: Tasks, tmp_path: Path) -> None:
    # Each ends only after the other has begun.
    command = (
        "touch $SOLAR_TASK_NAME; until [ -e one ] && [ -e two ]; do sleep 0.01; done; echo $SOLAR_TASK_NAME"
    )
    calls = [
        gevent.spawn(worker.call, "cmd", ctxt(name), [command], {"cwd": str(tmp_path)})
        for name in ("one", "two")
    ]
    gevent.joinall(calls, timeout=30)
    assert sorted(map(str, recorder(worker).outputs)) == ["one\n", "two\n"]


# -- output without a ledger --------------------------------------------------------


def test_an_output_that_nobody_takes_is_dropped_after_the_subscribers_have_seen_it(
    tmp_path: Path, clean_environment: Path
) -> None:
    worker = make_worker(tmp_path)
    seen: list[str] = []
    worker.for_all.on_success(lambda ctxt, result, *args, **kwargs: seen.append(worker.output(ctxt).text()))
    worker.call("echo", ctxt(), ["x"])
    assert seen == ["x\n"]
    assert worker.outputs == {}


def test_a_control_about_a_task_leaves_its_output_alone(worker: Tasks) -> None:
    worker.executor = FakeExecutor(worker)
    worker.output(ctxt()).write(b"so far")
    worker.call("kill", ctxt())
    assert worker.take_output(ctxt()) == "so far"
    assert worker.take_output(ctxt()) is None


def test_attempts_have_outputs_of_their_own(worker: Tasks) -> None:
    worker.output(ctxt(attempt=1)).write(b"first")
    worker.output(ctxt(attempt=2)).write(b"second")
    assert worker.take_output(ctxt(attempt=2)) == "second"
    assert worker.take_output(ctxt(attempt=1)) == "first"


# -- kill --------------------------------------------------------------------------


def test_kill_passes_on_whom_and_why(worker: Tasks) -> None:
    executor = worker.executor = FakeExecutor(worker)
    assert worker.kill(ctxt("running")) is True
    assert worker.kill(ctxt(), "p~other", attempt=2, reason="cancelled by bob") is False
    (first, second) = executor.killed
    assert (first[0], first[1], str(first[2])) == ("p~running", None, "killed")
    assert (second[0], second[1], str(second[2])) == ("p~other", 2, "cancelled by bob")
    assert isinstance(first[2], Killed)
    # A task that ran into its timeout has been recorded so by who tells of it.
    worker.kill(ctxt("late"), reason=TIMED_OUT)
    assert recorder(worker).kills == [("p~running", None, "killed"), ("p~other", 2, "cancelled by bob")]


def test_kill_goes_on_though_it_cannot_be_recorded(worker: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: object) -> None:
        raise DatabaseUnavailable("db", "away")

    monkeypatch.setattr(recorder(worker), "record_kill", away)
    executor = worker.executor = FakeExecutor(worker)
    assert worker.kill(ctxt("running")) is True
    assert executor.killed


def test_kill_is_a_control_that_the_ledger_does_not_see(worker: Tasks) -> None:
    executor = worker.executor = FakeExecutor(worker)
    worker.call("kill", ctxt("running"))
    assert executor.killed
    assert recorder(worker).admitted == []
    assert recorder(worker).settled == []


def test_kill_without_a_task_is_an_error(worker: Tasks) -> None:
    executor = worker.executor = FakeExecutor(worker)
    with pytest.raises(TaskError, match="no task is named"):
        worker.kill({})
    assert executor.killed == []


# -- Solar core -----------------------------------------------------------------------


def test_solar_resource_without_solar_core_says_how_to_provide_it(worker: Tasks) -> None:
    message = unrunnable(worker, "solar_resource", "node1", "run")
    assert "No module named 'solar'" in message
    assert "install it beside solar_orch" in message
    assert "solar.orchestration.drivers.tasks" in message


def test_solar_resource_takes_texts(worker: Tasks) -> None:
    assert unrunnable(worker, "solar_resource", 1, "run") == "solar_resource: name must be a text, not 1"
    assert (
        unrunnable(worker, "solar_resource", "a", None) == "solar_resource: action must be a text, not None"
    )


@pytest.fixture
def solar_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with the two functions of Solar core that are called."""
    core = tmp_path / "site" / "solar" / "core"
    core.mkdir(parents=True)
    for package in (core, core.parent):
        (package / "__init__.py").touch()
    (core / "resource.py").write_text("def load(name):\n    return 'resource ' + name\n")
    (core / "actions.py").write_text(
        textwrap.dedent(
            """\
            def resource_action(resource, action):
                if action == 'fail':
                    raise RuntimeError(resource + ' failed')
                return action + ' of ' + resource
            """
        )
    )
    monkeypatch.syspath_prepend(str(core.parent.parent))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "solar"]:
        del sys.modules[name]


@pytest.mark.usefixtures("solar_core")
def test_solar_resource_runs_the_action_of_solar_core(worker: Tasks) -> None:
    assert result_of(worker, "solar_resource", "node1", "run") == "run of resource node1"
    error = error_of(worker, "solar_resource", name="node1", action="fail")
    assert isinstance(error, RuntimeError)


def test_making_one_opens_nothing(tmp_path: Path, clean_environment: Path) -> None:
    before = os.listdir("/proc/self/fd")
    make_worker(tmp_path / "state")
    # What is left of earlier tests may be closed meanwhile.
    assert len(os.listdir("/proc/self/fd")) <= len(before)
    assert not (tmp_path / "state").exists()
