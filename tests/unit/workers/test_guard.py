"""The guard against real processes: what lives and what dies when a worker is killed, stopped or replaced."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solar_orch.errors import Interrupted, TaskError
from solar_orch.store.instance import instance
from solar_orch.workers import guard, guarding, process, session
from solar_orch.workers.guarding import ProcessGuard, end_attempts_of
from solar_orch.workers.output import BoundedOutput

PATIENCE = 20.0
KEY = "plan~tásk 1\n"

#: Runs commands as a worker does and says how they end; the guard of its commands is ``keeper``.
WORKER = """
import json, os, sys, time
import gevent
from solar_orch.errors import Interrupted
from solar_orch.store.instance import instance
from solar_orch.workers import guarding, process
from solar_orch.workers.output import BoundedOutput

options = json.loads(sys.argv[1])
keeper = guarding.ProcessGuard()

def say(text):
    os.write(1, (text + "\\n").encode())

def run(command, attempt=1):
    try:
        ended = process.run(
            command, output=BoundedOutput(1024), guard=keeper, key=options["key"], attempt=attempt)
        say(f"{attempt}: ended with {ended.code}")
    except Interrupted as error:
        say(f"{attempt}: interrupted: {error}")

def beat():
    while True:
        keeper.beat(options["fence"])
        gevent.sleep(options["fence"] / 10)

register = guarding._become_a_command
def slowly(pipe, guarded):
    if options["slow"] == "before":
        open("forked", "w").close(); time.sleep(0.5)
    register(pipe, guarded)
    if options["slow"] == "after":
        open("forked", "w").close(); time.sleep(0.5)
guarding._become_a_command = slowly

say(instance())
if options["fence"]:
    gevent.spawn(beat)
if options["fork"]:
    run("true")
    if os.fork() == 0:
        time.sleep(1000)
greenlets = [gevent.spawn(run, command, attempt) for attempt, command in enumerate(options["commands"], 1)]
gevent.joinall(greenlets)
"""

DEAF = "trap '' TERM; echo $$ >> pids; sh -c 'echo $$ >> pids; while :; do sleep 0.05; done' & wait; wait"
LONG = "echo $$ >> pids; sleep 1000"
IN_A_GROUP = "echo $$ >> pids; timeout 60 sh -c 'echo $$ >> pids; sleep 50'"


def wait_until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        gevent.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class Workshop:
    """A directory in which workers run commands; all that began in it is found by its environment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workers: list[subprocess.Popen[str]] = []
        self.guards: set[int] = set()
        (root / "pids").touch()

    def worker(self, *commands: str, fence: float = 0, slow: str = "", fork: bool = False) -> Worker:
        options = {"commands": commands, "fence": fence, "slow": slow, "fork": fork, "key": KEY}
        popen = subprocess.Popen(
            [sys.executable, "-c", WORKER, json.dumps(options)],
            cwd=self.root,
            env={**os.environ, "WORKSHOP": str(self.root)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=(self.root / "stderr").open("w"),
            text=True,
            start_new_session=True,
        )
        self.workers.append(popen)
        assert popen.stdout is not None
        return Worker(self, popen, popen.stdout.readline().strip())

    def pids(self, count: int) -> list[int]:
        """What commands have noted as their processes, once there are so many."""
        wait_until(lambda: len((self.root / "pids").read_text().splitlines()) >= count)
        return [int(line) for line in (self.root / "pids").read_text().splitlines()]

    def left(self) -> set[int]:
        """The living commands, and children that are not commands yet."""
        mine = {worker.pid for worker in self.workers}
        found = set()
        for other in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                is_mine = other.pid in mine or other.status() == psutil.STATUS_ZOMBIE
                if not is_mine and other.environ().get("WORKSHOP") == str(self.root):
                    found.add(other.pid)
        return found

    def end(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()
            assert worker.stdout is not None
            worker.stdout.close()
        for pid in self.left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(alive(pid) for pid in self.guards))
        # What was sent SIGKILL takes a moment to go.
        wait_until(lambda: not self.left())


@dataclass
class Worker:
    workshop: Workshop
    popen: subprocess.Popen[str]
    instance: str

    def send(self, signum: signal.Signals) -> None:
        self.popen.send_signal(signum)

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def line(self) -> str:
        """What it says next."""
        assert self.popen.stdout is not None
        return self.popen.stdout.readline().strip()

    @property
    def guard(self) -> int:
        """Its guard's process, once it has one that is up."""
        found: list[int] = []

        def is_up() -> bool:
            children = psutil.Process(self.popen.pid).children()
            found[:] = [child.pid for child in children if alive(child.pid) and child.name() == "solar-guard"]
            return bool(found)

        wait_until(is_up)
        self.workshop.guards.add(found[0])
        return found[0]


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    made = Workshop(tmp_path)
    yield made
    made.end()


@pytest.fixture
def keeper() -> Iterator[ProcessGuard]:
    """A guard of this process's own commands."""
    made = ProcessGuard()
    yield made
    link = made._link
    made.close()
    if link is not None:
        wait_until(lambda: not psutil.pid_exists(link.pid))


def guard_of(keeper: ProcessGuard) -> int:
    assert keeper._link is not None
    return keeper._link.pid


def run(command: str | list[str], keeper: ProcessGuard, attempt: int = 1, **kwargs: Any) -> process.Ended:
    return process.run(command, output=BoundedOutput(1024), guard=keeper, key=KEY, attempt=attempt, **kwargs)


@dataclass
class Running:
    """A command in a greenlet; its value is what ended it."""

    greenlet: gevent.Greenlet
    pid: int

    @property
    def end(self) -> object:
        return self.greenlet.get(timeout=PATIENCE)


@pytest.fixture
def start(tmp_path: Path, keeper: ProcessGuard) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def call(command: str, attempt: int = 1) -> Running:
        pids = tmp_path / "pids"
        pids.touch()
        before = len(pids.read_text().splitlines())

        def follow() -> object:
            try:
                return run(command, keeper, attempt, cwd=str(tmp_path))
            except Exception as error:
                return error

        greenlet = gevent.spawn(follow)
        wait_until(lambda: len(pids.read_text().splitlines()) > before)
        started.append(Running(greenlet, int(pids.read_text().splitlines()[before])))
        return started[-1]

    yield call
    gevent.killall([running.greenlet for running in started])


# -- the worker is gone ---------------------------------------------------------


def test_what_a_killed_worker_has_started_is_ended_side_by_side(workshop: Workshop) -> None:
    worker = workshop.worker(DEAF, LONG, IN_A_GROUP, DEAF, LONG, DEAF)
    pids = workshop.pids(10)
    killed = time.monotonic()
    worker.kill()
    wait_until(lambda: not workshop.left())
    assert not any(alive(pid) for pid in pids)
    assert time.monotonic() - killed < 2 * session.GRACE


def test_daemons_and_what_an_ended_command_left_behind_live_on(workshop: Workshop) -> None:
    daemon = "setsid sh -c 'echo $$ >> pids; exec sleep 1000' & wait"
    leaves = "sleep 1000 > /dev/null 2>&1 & echo $! >> pids"
    worker = workshop.worker(daemon, leaves)
    assert worker.line() == "2: ended with 0"
    pids = workshop.pids(2)
    its_guard = worker.guard
    worker.kill()
    wait_until(lambda: not alive(its_guard))
    # The shell that waited for the daemon goes, the two that left it stay.
    wait_until(lambda: workshop.left() <= set(pids))
    assert workshop.left() == set(pids)


@pytest.mark.parametrize("slow", ["before", "after"])
def test_what_is_about_to_begin_when_the_worker_is_killed_does_not_live(
    workshop: Workshop, slow: str
) -> None:
    worker = workshop.worker("echo begun > mark; sleep 1000", slow=slow)
    wait_until((workshop.root / "forked").exists)
    worker.kill()
    assert workshop.left()
    wait_until(lambda: not workshop.left())


@pytest.mark.parametrize("count", [1, 30])
def test_killed_while_it_starts_many(workshop: Workshop, count: int) -> None:
    worker = workshop.worker(*[LONG] * 40)
    workshop.pids(count)
    worker.kill()
    wait_until(lambda: not workshop.left())


def test_a_fork_that_lives_on_does_not_hide_that_the_worker_is_gone(workshop: Workshop) -> None:
    worker = workshop.worker(LONG, fork=True)
    [command] = workshop.pids(1)
    its_guard = worker.guard
    worker.kill()
    wait_until(lambda: not alive(command))
    [fork] = workshop.left()
    assert alive(its_guard)  # for a while: somebody could still register
    wait_until(lambda: not alive(its_guard))
    # The fork holds the socket, and has nothing to answer.
    assert alive(fork)
    assert end_attempts_of(worker.instance, KEY, 1, 10)


def test_a_worker_that_ends_takes_its_guard_with_it(workshop: Workshop) -> None:
    worker = workshop.worker("echo $$ >> pids; until [ -e go ]; do sleep 0.02; done")
    its_guard = worker.guard
    (workshop.root / "go").touch()
    assert worker.popen.wait(PATIENCE) == 0
    wait_until(lambda: not alive(its_guard))
    assert (workshop.root / "stderr").read_text() == ""


def test_the_end_of_what_was_left_is_said_in_one_line(workshop: Workshop) -> None:
    worker = workshop.worker(LONG)
    [command] = workshop.pids(1)
    its_guard = worker.guard
    worker.kill()
    wait_until(lambda: not alive(its_guard))
    assert (workshop.root / "stderr").read_text() == (
        f"solar-guard of process {worker.popen.pid}: "
        f"the worker is gone: ending what it started, session {command}\n"
    )


# -- the guard itself -------------------------------------------------------------


def test_a_guard_that_is_killed_is_replaced(workshop: Workshop) -> None:
    worker = workshop.worker(LONG, IN_A_GROUP)
    workshop.pids(3)
    first = worker.guard
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not alive(first))
    assert worker.guard != first
    worker.kill()
    wait_until(lambda: not workshop.left())
    assert "is replaced: it has ended" in (workshop.root / "stderr").read_text()


def test_commands_go_on_though_their_guard_is_killed_again_and_again(
    keeper: ProcessGuard, start: Callable[..., Running]
) -> None:
    running = start(LONG)
    for _ in range(3):
        os.kill(guard_of(keeper), signal.SIGKILL)
        # Whoever comes before that is noticed finds the pipe broken.
        assert run("true", keeper).code == 0
    assert alive(running.pid)
    assert end_attempts_of(instance(), KEY, 1, 10)
    assert isinstance(running.end, Interrupted)


def test_a_guard_that_does_not_read_is_replaced(
    keeper: ProcessGuard, start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarding, "STUCK", 0.1)
    running = start(LONG)
    stuck = keeper._link
    assert stuck is not None
    os.kill(stuck.pid, signal.SIGSTOP)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(stuck.pipe.number, b"\n" * 1024)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(stuck.pipe.number, b"\n")
    assert run("true", keeper).code == 0
    assert guard_of(keeper) != stuck.pid
    wait_until(lambda: not psutil.pid_exists(stuck.pid))
    assert alive(running.pid)
    assert end_attempts_of(instance(), KEY, 1, 10)
    assert not alive(running.pid)


def test_it_ignores_what_stops_a_worker_and_takes_little(keeper: ProcessGuard) -> None:
    for _ in range(20):
        run("true", keeper)
    its_guard = psutil.Process(guard_of(keeper))
    wait_until(lambda: its_guard.name() == "solar-guard")
    assert end_attempts_of(instance(), KEY, 1, 10)  # it is up
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        its_guard.send_signal(number)
    assert end_attempts_of(instance(), KEY, 1, 10)
    assert guard_of(keeper) == its_guard.pid
    assert its_guard.memory_info().rss < 25_000_000
    assert its_guard.cwd() == "/"
    assert os.getsid(its_guard.pid) == its_guard.pid
    # With nothing to do it does nothing.
    before = its_guard.num_ctx_switches()
    process.run("sleep 0.3", output=BoundedOutput(10))
    assert its_guard.num_ctx_switches() == before


def test_it_is_gone_when_nobody_holds_its_keeper() -> None:
    keeper = ProcessGuard()
    run("true", keeper)
    pid = guard_of(keeper)
    del keeper
    gc.collect()
    wait_until(lambda: not psutil.pid_exists(pid))


def test_a_keeper_that_is_closed_ends_what_runs_and_can_be_used_again(
    keeper: ProcessGuard, start: Callable[..., Running]
) -> None:
    running = start(LONG)
    keeper.close()
    assert isinstance(running.end, Interrupted)
    assert run("true", keeper).code == 0


def test_making_one_opens_nothing_and_a_beat_does_not_either() -> None:
    before = os.listdir("/proc/self/fd")
    ProcessGuard().beat(1.0)
    assert os.listdir("/proc/self/fd") == before
    for seconds in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="positive"):
            ProcessGuard().beat(seconds)


def test_a_fork_has_a_guard_of_its_own() -> None:
    program = (
        "import os, gevent\n"
        "from solar_orch.workers import guarding, process\n"
        "from solar_orch.workers.output import BoundedOutput\n"
        "keeper = guarding.ProcessGuard()\n"
        "def run(): return process.run('true', output=BoundedOutput(10), guard=keeper).code\n"
        "assert run() == 0\n"
        "first = keeper._link.pid\n"
        "pid = gevent.fork()\n"
        "if pid == 0:\n"
        "    keeper.beat(1.0); assert keeper._link.pid == first\n"
        "    assert run() == 0 and keeper._link.pid != first\n"
        "    os._exit(0)\n"
        "assert gevent.os.waitpid(pid, 0)[1] == 0\n"
        "assert run() == 0 and keeper._link.pid == first\n"
        "print('well')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("well\n", "")


def test_without_a_guard_nothing_begins(
    tmp_path: Path, keeper: ProcessGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/no/such/python")
        with pytest.raises(TaskError, match=r"cannot run /bin/sh: no guard for it can be started: .*No such"):
            run("touch begun", keeper, cwd=str(tmp_path))
    assert not (tmp_path / "begun").exists()
    assert run("true", keeper).code == 0


def test_what_does_not_begin_is_not_guarded(keeper: ProcessGuard, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    monkeypatch.setattr(keeper, "_send", sent.append)
    with pytest.raises(TaskError, match="cannot run no-such-program: No such file or directory"):
        run(["no-such-program"], keeper)
    with pytest.raises(TaskError, match="cannot run a command in /no/such: no such directory"):
        run("true", keeper, cwd="/no/such")
    assert sent == [b"- 1\n", b"- 2\n"]
    assert keeper._live == {}


def test_a_guarded_command_has_a_session_and_no_descriptor_of_the_guard(keeper: ProcessGuard) -> None:
    shown = run([sys.executable, "-c", "import os; print(len(os.listdir('/proc/self/fd')))"], keeper)
    assert shown.stdout.lines() == "4\n"
    fields = run("echo $$; ps -o pgid=,sid= -p $$", keeper).stdout.lines().split()
    assert len(set(fields)) == 1


def test_a_guard_loads_nothing_of_a_worker() -> None:
    program = (
        "import sys, solar_orch.workers.guard\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in "
        "('gevent', 'zmq', 'oslo_config', 'sqlalchemy', 'solar_orch')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == (
        "['solar_orch', 'solar_orch.workers', 'solar_orch.workers.guard', 'solar_orch.workers.session']\n"
    ), done.stderr


def test_it_works_where_gevent_has_patched_the_standard_library() -> None:
    program = (
        "from gevent import monkey; monkey.patch_all()\n"
        "from solar_orch.store.instance import instance\n"
        "from solar_orch.workers import guarding, process\n"
        "from solar_orch.workers.output import BoundedOutput\n"
        "keeper = guarding.ProcessGuard()\n"
        "assert process.run('exit 3', output=BoundedOutput(9), guard=keeper, key='k', attempt=1).code == 3\n"
        "keeper.beat(10)\n"
        "print(guarding.end_attempts_of(instance(), 'k', 1, 10))\n"
        "keeper.close()"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


# -- signs of life -------------------------------------------------------------------


def test_without_a_sign_of_life_commands_are_ended_and_interrupted(
    keeper: ProcessGuard, start: Callable[..., Running]
) -> None:
    quiet = start("trap 'exit 0' TERM; " + LONG + " & wait")
    deaf = start(DEAF)
    began = time.monotonic()
    keeper.beat(0.5)
    for running in (quiet, deaf):
        assert isinstance(running.end, Interrupted)
        assert "no sign of life" in str(running.end)
        assert session.members(running.pid) == []
    assert time.monotonic() - began >= 0.5
    # What is begun now has its own time, and later beats count again.
    assert run("true", keeper).code == 0


def test_signs_of_life_keep_commands_alive(keeper: ProcessGuard, start: Callable[..., Running]) -> None:
    running = start(LONG)
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        keeper.beat(0.5)
        gevent.sleep(0.05)
    assert alive(running.pid)
    assert not running.greenlet.ready()


def test_the_guard_that_takes_its_place_knows_of_the_limit(
    keeper: ProcessGuard, start: Callable[..., Running]
) -> None:
    keeper.beat(0.5)
    running = start(LONG)
    os.kill(guard_of(keeper), signal.SIGKILL)
    assert isinstance(running.end, Interrupted)


def test_a_worker_that_is_stopped_finds_its_commands_ended(workshop: Workshop) -> None:
    worker = workshop.worker(LONG, DEAF, "until [ -e go ]; do sleep 0.02; done", fence=1.0)
    pids = workshop.pids(3)
    worker.send(signal.SIGSTOP)
    # The third ends by itself meanwhile, and has its own end.
    (workshop.root / "go").touch()
    wait_until(lambda: not workshop.left())
    assert not any(alive(pid) for pid in pids)
    worker.send(signal.SIGCONT)
    said = sorted(worker.line() for _ in range(3))
    assert [line.split(":")[1] for line in said[:2]] == [" interrupted", " interrupted"]
    assert said[2] == "3: ended with 0"
    assert worker.popen.wait(PATIENCE) == 0


# -- by request ----------------------------------------------------------------------


def test_attempts_are_ended_up_to_the_one_that_is_named(start: Callable[..., Running]) -> None:
    first, second, third = (start(LONG, attempt) for attempt in (1, 2, 3))
    assert end_attempts_of(instance(), "another", 3, 10)
    assert end_attempts_of(instance(), KEY, 0, 10)
    assert alive(first.pid)
    assert end_attempts_of(instance(), KEY, 2, 10)
    assert (alive(first.pid), alive(second.pid), alive(third.pid)) == (False, False, True)
    assert isinstance(first.end, Interrupted)
    assert "another attempt" in str(second.end)


def test_one_that_began_too_late_is_ended_and_later_attempts_are_not(
    keeper: ProcessGuard, start: Callable[..., Running]
) -> None:
    run("true", keeper)
    assert end_attempts_of(instance(), KEY, 2, 10)
    with pytest.raises(Interrupted):
        run("sleep 1000", keeper, 2)
    assert alive(start(LONG, 3).pid)


def test_one_that_is_ended_while_it_begins_is_interrupted(
    tmp_path: Path, keeper: ProcessGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    register = guarding._become_a_command
    registered, begun = tmp_path / "registered", tmp_path / "begun"

    def slowly(*args: Any) -> None:
        register(*args)
        registered.touch()
        time.sleep(PATIENCE)

    monkeypatch.setattr(guarding, "_become_a_command", slowly)
    running = gevent.spawn(run, f"touch {begun}", keeper)
    wait_until(registered.exists)
    assert end_attempts_of(instance(), KEY, 1, 10)
    # What is said of it may be heard by another greenlet first.
    keeper.hear()
    with pytest.raises(Interrupted):
        running.get(timeout=PATIENCE)
    assert not begun.exists()


def test_the_answer_comes_when_all_is_dead(workshop: Workshop) -> None:
    def ask(worker: Worker, pids: list[int]) -> list[int]:
        assert end_attempts_of(worker.instance, KEY, 2, 10)
        return [pid for pid in pids if alive(pid)]

    asking = []
    for count, signum in enumerate((signal.SIGCONT, signal.SIGSTOP, signal.SIGKILL)):
        worker = workshop.worker(DEAF, IN_A_GROUP)
        pids = workshop.pids(4 * count + 4)[-4:]
        worker.send(signum)
        asking.append(gevent.spawn(ask, worker, pids))
    assert [greenlet.get(timeout=PATIENCE) for greenlet in asking] == [[], [], []]


def test_nobody_is_left_to_be_asked(workshop: Workshop) -> None:
    worker = workshop.worker("true")
    worker.popen.wait(PATIENCE)
    wait_until(lambda: not workshop.left())
    assert end_attempts_of(worker.instance, KEY, 1, 10)


def test_of_another_host_nothing_is_known() -> None:
    host, _, pid, random = instance().rsplit(":", 3)
    assert not end_attempts_of(f"{host}:01234567:{pid}:{random}", KEY, 1, 10)


def test_what_takes_longer_is_not_known_to_be_dead(
    keeper: ProcessGuard, start: Callable[..., Running]
) -> None:
    deaf = start(DEAF)
    asking = gevent.spawn(end_attempts_of, instance(), KEY, 1, 0.5)
    turns = 0
    while not asking.ready():
        gevent.sleep(0.001)
        turns += 1
    assert not asking.get()
    assert turns > 50  # others run meanwhile
    assert isinstance(deaf.end, Interrupted)
    os.kill(guard_of(keeper), signal.SIGSTOP)
    try:
        assert not end_attempts_of(instance(), KEY, 1, 0.3)
    finally:
        os.kill(guard_of(keeper), signal.SIGCONT)
    assert end_attempts_of(instance(), KEY, 1, 10)


def test_while_the_guard_is_being_replaced_nothing_is_taken_for_dead(workshop: Workshop) -> None:
    worker = workshop.worker(LONG)
    [command] = workshop.pids(1)
    its_guard = worker.guard
    worker.send(signal.SIGSTOP)
    os.kill(its_guard, signal.SIGKILL)
    wait_until(lambda: not alive(its_guard))
    # It cannot be replaced now, but its socket is there.
    assert not end_attempts_of(worker.instance, KEY, 1, 0.3)
    worker.send(signal.SIGCONT)
    assert end_attempts_of(worker.instance, KEY, 1, 10)
    assert not alive(command)


def test_each_guard_of_a_process_is_asked(keeper: ProcessGuard, start: Callable[..., Running]) -> None:
    others = [ProcessGuard() for _ in range(2)]
    for other in others:
        assert run("true", other).code == 0
    running = gevent.spawn(run, "sleep 1000", others[-1])
    wait_until(lambda: others[-1]._live)
    assert end_attempts_of(instance(), KEY, 1, 10)
    with pytest.raises(Interrupted):
        running.get(timeout=PATIENCE)
    for other in others:
        other.close()


def test_more_guards_than_there_are_seats(caplog: pytest.LogCaptureFixture) -> None:
    keepers = [ProcessGuard() for _ in range(guard.SEATS + 1)]
    pids = []
    for keeper in keepers:
        assert run("true", keeper).code == 0
        pids.append(guard_of(keeper))
    assert "more than 8 guards" in caplog.text
    for keeper in keepers:
        keeper.close()
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids))


# -- what it must not be harmed by ------------------------------------------------------

QUIET = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def seat(keeper: ProcessGuard) -> bytes:
    """Where the guard of this process listens."""
    run("true", keeper)
    for number in range(guard.SEATS):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.connect(guard.address(instance(), number))
            return guard.address(instance(), number)
    raise AssertionError


def requests() -> st.SearchStrategy[bytes]:
    words = st.sampled_from([b"end", b"x", b"", b"0" * 64, b"-1", b"9" * 4000, b"\xff", b"1", b"\r"])
    lines = st.lists(words, max_size=5).map(b" ".join)
    return st.one_of(st.binary(max_size=6000), st.lists(lines, max_size=4).map(b"\n".join))


@QUIET
@given(data=requests(), closes=st.booleans())
def test_no_request_harms_it(
    keeper: ProcessGuard, start: Callable[..., Running], seat: bytes, data: bytes, closes: bool
) -> None:
    if not keeper._live:
        start(LONG)
    pid = guard_of(keeper)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(seat)
        client.settimeout(PATIENCE)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(data)
            if closes:
                client.shutdown(socket.SHUT_WR)
                assert client.recv(100) in (b"", guard.DEAD)
    assert end_attempts_of(instance(), "another", 1, 10)
    [running] = keeper._live.values()
    # The command tells of itself before its keeper has been told that it has begun.
    wait_until(lambda: running.pid is not None)
    assert running.pid is not None
    assert alive(running.pid)
    assert guard_of(keeper) == pid


@QUIET
@given(
    data=st.one_of(
        st.binary(max_size=6000),
        st.lists(
            st.sampled_from(
                [
                    b"+",
                    b"-",
                    b"b",
                    b"7",
                    b"0",
                    b"-1",
                    b"1",
                    b"9" * 50,
                    b"9" * 4000,
                    b"nan",
                    b"inf",
                    b"x",
                    b"\xff",
                ]
            ),
            max_size=6,
        ).map(b" ".join),
    )
)
def test_nothing_in_the_pipe_harms_it(
    keeper: ProcessGuard, start: Callable[..., Running], data: bytes
) -> None:
    if not keeper._live:
        start(LONG)
    pid = guard_of(keeper)
    assert keeper._link is not None
    # Serial 1 is the command's: that it has ended must not be said.
    os.write(keeper._link.pipe.number, b"!" + data.replace(b"\n", b"\n!") + b"\n")
    os.write(keeper._link.pipe.number, b"+ 5 0 x 1\n+ 5 1 x 1\n+ 5 99999999999 x 1\nb nan\nb -1\n")
    assert end_attempts_of(instance(), "another", 1, 10)
    assert guard_of(keeper) == pid
    assert isinstance(end_attempts_of(instance(), "another", 1, 10), bool)


def test_clients_that_hang_do_not_hold_up_others(
    keeper: ProcessGuard, start: Callable[..., Running], seat: bytes
) -> None:
    running = start(LONG)
    with contextlib.ExitStack() as clients:
        for number in range(guard.CLIENTS - 2):
            client = clients.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(seat)
            client.sendall(b"end " if number % 2 else b"")
        line = f"end {guarding._token(KEY)} 1\n".encode()
        impatient = socket.socket(socket.AF_UNIX)
        impatient.connect(seat)
        impatient.sendall(line)
        impatient.close()
        assert end_attempts_of(instance(), "another", 1, 10)
        assert end_attempts_of(instance(), KEY, 1, 10)
    assert isinstance(running.end, Interrupted)


def test_who_says_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_IDLE", 0.2)
    pipe, notices = os.pipe(), os.pipe()
    os.set_blocking(pipe[0], False)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(b"")
        listener.listen()
        listener.setblocking(False)
        client.connect(listener.getsockname())
        served = guard.Guard(pipe[0], notices[1], listener, None)

        def close_when_dropped() -> None:
            assert client.recv(1) == b""
            os.close(pipe[1])

        follower = gevent.get_hub().threadpool.spawn(close_when_dropped)
        served.run()
        follower.get()
    for descriptor in (pipe[0], *notices):
        os.close(descriptor)
