"""The runner: order, failures and signals, the last in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from types import SimpleNamespace

import gevent
import pytest
from gevent.event import Event

from solar_orch.errors import AddressInUse, SolarError
from solar_orch.runners import gevent as runner

ROOT = Path(__file__).parents[3]
CONF = SimpleNamespace(orchestration=SimpleNamespace(drain_timeout=30.0))


class Part:
    """An executor that does nothing until it is stopped, and notes when that is."""

    def __init__(self, name, order=0, *, notes, fail=None, drains=None):
        self.name = name
        self.worker = SimpleNamespace(drain_order=order)
        self.address = name
        self.notes = notes
        self.fail = fail
        self.drains = drains
        self.asked = Event()
        self.ended = Event()

    def run(self):
        self.notes.append(f"run {self.name}")
        try:
            if self.fail is not None:
                if isinstance(self.fail, BaseException):
                    raise self.fail
                return
            while not self.asked.wait(1):
                pass
            if self.drains:
                self.drains.wait()
        finally:
            self.notes.append(f"end {self.name}")
            self.ended.set()

    def stop(self, timeout):
        self.notes.append(f"stop {self.name} {timeout:g}")
        self.asked.set()
        self.ended.wait()


def run(*parts):
    """What ``run`` raises, within ten seconds."""
    with gevent.Timeout(10, AssertionError("the runner does not end")):
        try:
            runner.run({part.name: part for part in parts}, CONF)
        except SolarError as error:
            return error
        except ValueError as error:
            return error
    return None


def test_nothing_to_run_is_no_error():
    assert run() is None


def test_it_says_once_when_all_take_calls(caplog):
    notes: list[str] = []
    first, second = Part("first", notes=notes), Part("second", notes=notes)
    first.taking = False
    caplog.set_level("INFO", logger=runner.__name__)
    running = gevent.spawn(run, first, second)

    def ready():
        return [r.getMessage() for r in caplog.records if r.getMessage().startswith("ready")]

    while len(notes) < 2:
        gevent.sleep(0)
    assert ready() == []
    first.taking = True
    with gevent.Timeout(10, AssertionError("it is not said")):
        while not ready():
            gevent.sleep(0.001)
    first.asked.set()
    second.asked.set()
    running.get()
    assert ready() == ["ready: first, second"]


def test_a_failure_stops_the_others_in_order_and_is_raised():
    notes: list[str] = []
    error = ValueError("broken")
    parts = [
        Part("log", 20, notes=notes),
        Part("tasks", 0, notes=notes),
        Part("scheduler", 10, notes=notes),
        Part("broken", 30, notes=notes, fail=error),
    ]
    assert run(*parts) is error
    assert notes[:5] == ["run log", "run tasks", "run scheduler", "run broken", "end broken"]
    assert notes[5:] == [
        "stop tasks 30",
        "end tasks",
        "stop scheduler 30",
        "end scheduler",
        "stop log 30",
        "end log",
        "stop broken 30",
    ]


def test_what_comes_after_one_that_has_failed_is_not_begun():
    notes: list[str] = []
    error = ValueError("broken")
    assert (
        run(Part("first", notes=notes), Part("broken", notes=notes, fail=error), Part("last", notes=notes))
        is error
    )
    assert not [note for note in notes if note.endswith("last")]


def test_calls_are_refused_from_the_signal_on():
    notes: list[str] = []
    part, later = Part("tasks", 0, notes=notes), Part("log", 20, notes=notes)
    part.refuse = later.refuse = lambda: notes.append("refuse")
    part.forewarn = later.forewarn = lambda: notes.append("forewarn")
    gevent.spawn_later(0.1, os.kill, os.getpid(), signal.SIGTERM)
    assert run(part, later) is None
    assert notes.count("refuse") == 1
    assert notes.count("forewarn") == 2
    assert notes.index("forewarn") < notes.index("stop tasks 30")
    assert notes.index("refuse") < notes.index("stop tasks 30")


def test_those_of_one_order_are_stopped_together():
    notes: list[str] = []
    drained = Event()
    slow = Part("slow", 0, notes=notes, drains=drained)
    quick = Part("quick", 0, notes=notes)
    later = Part("later", 1, notes=notes)
    quick.ended.rawlink(lambda _: drained.set())  # slow ends only after quick has been stopped
    assert isinstance(run(slow, quick, later, Part("broken", 2, notes=notes, fail=ValueError())), ValueError)
    assert notes.index("end slow") > notes.index("end quick")
    assert notes.index("stop later 30") > notes.index("end slow")


def test_the_error_keeps_its_type():
    error = AddressInUse("tcp://127.0.0.1:1", 7)
    assert run(Part("a", notes=[]), Part("b", notes=[], fail=error)) is error


@pytest.mark.parametrize("fail", [SystemExit(0), gevent.GreenletExit()], ids=repr)
def test_what_would_end_the_process_quietly_is_a_failure(fail):
    error = run(Part("a", notes=[]), Part("b", notes=[], fail=fail))
    assert isinstance(error, SolarError)
    assert type(fail).__name__ in str(error)


def test_a_return_that_nobody_asked_for_is_a_failure():
    notes: list[str] = []
    error = run(Part("a", notes=notes), Part("b", notes=notes, fail="returns"))
    assert isinstance(error, SolarError)
    assert "the executor of b ended without having been asked to" in str(error)
    assert "end a" in notes


def test_a_return_that_an_embedding_program_asked_for_is_none():
    part, other = Part("a", notes=[]), Part("b", notes=[])

    def stop_all():
        for each in (part, other):
            each.stopping = True
            each.stop(1)

    gevent.spawn_later(0, stop_all)
    assert run(part, other) is None


def test_a_stop_that_raises_does_not_keep_the_others():
    notes: list[str] = []
    unwilling = Part("unwilling", 0, notes=notes)
    willing = unwilling.stop

    def stop(timeout):
        willing(timeout)
        raise RuntimeError("unwilling")

    unwilling.stop = stop
    error = ValueError("broken")
    assert run(unwilling, Part("late", 9, notes=notes), Part("broken", 10, notes=notes, fail=error)) is error
    assert "end late" in notes


def test_an_executor_that_does_not_end_is_reported(monkeypatch):
    monkeypatch.setattr(runner, "MARGIN", 0.1)
    stuck = Part("stuck", notes=[])
    stuck.stop = lambda timeout: None
    error = ValueError("broken")
    assert run(stuck, Part("broken", notes=[], fail=error)) is error


def test_when_the_runner_itself_is_ended_all_are_stopped():
    notes: list[str] = []
    parts = {name: Part(name, notes=notes) for name in "ab"}
    running = gevent.spawn(runner.run, parts, CONF)
    gevent.sleep(0)
    gevent.sleep(0)
    running.kill(timeout=10)
    assert {"stop a 0", "stop b 0", "end a", "end b"} <= set(notes)


# -- signals -----------------------------------------------------------------

PROGRAM = """
    from gevent import monkey
    monkey.patch_all()

    import logging, os, signal, subprocess, sys, time
    import gevent
    from solar_orch import config
    from solar_orch.executors import inline, zerorpc
    from solar_orch.errors import SolarError
    from solar_orch.runners import gevent as runner
    from solar_orch.workers.base import Worker

    def say(*words):
        print(*words, flush=True)

    class Holder(Worker):
        drain_order = 0
        name = "tasks"
        def hold(self, ctxt, how):
            say("running")
            try:
                if how == "command":
                    command = subprocess.Popen(["sleep", "600"], start_new_session=True)
                    say(command.pid)
                    try:
                        command.wait()
                    finally:
                        os.killpg(command.pid, signal.SIGKILL)
                gevent.sleep(600 if how != "short" else 0.3)
            finally:
                if how == "spin":
                    say("spinning")
                    while True:
                        pass
                say("over")

    class Scheduler(Holder):
        drain_order = 10
        name = "scheduler"

    class Log(Holder):
        drain_order = 20
        name = "system_log"

    class Executor(zerorpc.Executor):
        def stop(self, timeout):
            say("stop", self.worker.name, format(timeout, "g"))
            super().stop(timeout)

    directory, how = sys.argv[1:3]
    conf = config.load(overrides={"runtime_dir": directory, "state_dir": directory, "drain_timeout": 20.0})
    executors = {}
    for kind in (Log, Scheduler, Holder):
        worker = kind(conf, {})
        worker.backgrounds.clear()
        executors[worker.name] = Executor(worker, f"ipc://{directory}/{worker.name}.sock")
    client = zerorpc.Client(executors["tasks"].address)
    gevent.spawn(client.hold, {}, how)
    runner.HARD_LIMIT = 1.0
    try:
        runner.run(executors, conf)
        say("returned")
    except SolarError as error:
        say(type(error).__name__)
        sys.exit(error.exit_code)
    client.close(0)
    if how == "short":
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        except KeyboardInterrupt:
            say("interrupted as usual")
"""


class Program:
    def __init__(self, path, how):
        self.directory = tempfile.mkdtemp(prefix="so-")
        path.write_text(textwrap.dedent(PROGRAM))
        self.process = subprocess.Popen(
            [sys.executable, str(path), self.directory, how],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def line(self):
        return self.process.stdout.readline().rstrip("\n")

    def signal(self, number):
        self.process.send_signal(number)

    def rest(self):
        """The lines that are still to come, and what it wrote to stderr."""
        out, err = self.process.communicate(timeout=20)
        return out.splitlines(), err


@pytest.fixture
def program(tmp_path, clean_environment):
    started = []

    def start(how):
        started.append(Program(tmp_path / "program.py", how))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()


@pytest.mark.parametrize("number", runner.STOP_SIGNALS, ids=lambda number: number.name)
def test_a_signal_drains_in_order(program, number):
    running = program("short")
    assert running.line() == "running"
    running.signal(number)
    lines, err = running.rest()
    assert lines == [
        "stop tasks 20",
        "over",
        "stop scheduler 20",
        "stop system_log 20",
        "returned",
        "interrupted as usual",
    ]
    assert (running.process.returncode, err) == (0, "")


def test_a_second_signal_ends_at_once_and_with_the_commands(program):
    running = program("command")
    assert running.line() == "running"
    command = int(running.line())
    running.signal(signal.SIGTERM)
    assert running.line() == "stop tasks 20"
    running.signal(signal.SIGTERM)
    lines, _ = running.rest()
    assert sorted(lines[:3]) == ["stop scheduler 0", "stop system_log 0", "stop tasks 0"]
    assert lines[3] == "over"
    assert lines[-1] == "StoppedAtOnce"
    assert running.process.returncode == 1
    assert not runs(command)


def runs(pid):
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
    return "State:\tZ" not in status


def test_after_a_second_signal_even_what_hangs_is_ended(program):
    running = program("spin")
    assert running.line() == "running"
    running.signal(signal.SIGINT)
    assert running.line() == "stop tasks 20"
    running.signal(signal.SIGTERM)
    lines, _ = running.rest()
    assert lines[-1] == "spinning"
    assert running.process.returncode == 1


def test_importing_the_runner_patches_nothing():
    source = """
        import select, time
        before = time.sleep, select.select
        import solar_orch.runners.gevent, solar_orch.executors.zerorpc, solar_orch.executors.inline
        assert (time.sleep, select.select) == before
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", textwrap.dedent(source)], check=True, env=environment)
