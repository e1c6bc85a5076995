"""Real ``solar-worker`` and ``solar-orch`` processes in private directories, and plans that are run by them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

from solar_orch import config
from solar_orch.plan import parse, report
from solar_orch.states import PlanStatus
from solar_orch.store import Store

T = TypeVar("T")

#: Seconds after which what a test waits for will not come any more.
PATIENCE = 60.0

WORKERS = ("scheduler", "system_log", "tasks")

_OVER = {PlanStatus.FINISHED, PlanStatus.FAILED, PlanStatus.STOPPED}


def script(name: str) -> str:
    """The console script of the environment in which the tests run."""
    return str(Path(sys.executable).with_name(name))


def wait_until(
    condition: Callable[[], T], what: str | Callable[[], str] = "", seconds: float = PATIENCE
) -> T:
    """Wait until `condition()` is true and return what it gave.

    :param what: is said when it does not come true in time
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() >= deadline:
            said = what() if callable(what) else what
            raise AssertionError(f"not within {seconds:g} s: {said or condition}")
        time.sleep(0.02)
    return found


# -- plans ---------------------------------------------------------------------


def task(
    uid: str,
    type_: str = "noop",
    *args: Any,
    after: Sequence[str] = (),
    before: Sequence[str] = (),
    **parameters: Any,
) -> dict[str, Any]:
    """One task of a plan; `parameters` are those beside type and args."""
    return {
        "uid": uid,
        "parameters": {"type": type_, "args": list(args), **parameters},
        "after": list(after),
        "before": list(before),
    }


def plan(*tasks: Mapping[str, Any], name: str = "plan") -> dict[str, Any]:
    """A plan of these tasks."""
    return {"name": name, "tasks": list(tasks)}


def marked(*commands: str) -> str:
    """A command that notes in ``site.marks`` its task's beginning and, when `commands` have run, its end."""
    note = 'echo "{} $SOLAR_PLAN_UID $SOLAR_TASK_NAME $SOLAR_ATTEMPT" >> "$SITE/marks"'
    return "; ".join([note.format("+"), *commands, note.format("-")])


def gated(name: str = "gate") -> str:
    """A command that waits for ``site.open(name)``, though not for ever."""
    return f'n=0; until [ -e "$SITE/{name}" ] || [ $n -ge 3000 ]; do sleep 0.02; n=$((n+1)); done'


@dataclass(frozen=True)
class Mark:
    """What a task has noted of itself."""

    #: Whether it is its beginning.
    begins: bool
    plan: str
    task: str
    attempt: int


def at_once(marks: Sequence[Mark], names: Sequence[str] | None = None) -> int:
    """How many of the tasks with these names ran at once, at most."""
    most = now = 0
    for mark in marks:
        if names is None or mark.task in names:
            now += 1 if mark.begins else -1
            most = max(most, now)
    return most


@dataclass(frozen=True)
class Ended:
    """What became of a plan: its report."""

    report: dict[str, Any]

    @property
    def status(self) -> str:
        return str(self.report["status"])

    @property
    def tasks(self) -> dict[str, dict[str, Any]]:
        return {task["name"]: task for task in self.report["tasks"]}

    @property
    def states(self) -> dict[str, str]:
        return {name: task["status"] for name, task in self.tasks.items()}

    @property
    def attempts(self) -> dict[str, int]:
        return {name: task["attempt"] for name, task in self.tasks.items()}

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self.tasks[name]


# -- processes -----------------------------------------------------------------


class Process:
    """A command that was started and runs beside the test; its output is kept.

    :param command: what it is
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str], cwd: Path, output: Path) -> None:
        self.output = output
        with output.open("wb") as file:
            self._popen = subprocess.Popen(
                command,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._popen.pid

    @property
    def code(self) -> int | None:
        """Exit code; None while it runs."""
        return self._popen.poll()

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self.output.read_text(errors="replace")

    def send(self, signum: signal.Signals) -> None:
        self._popen.send_signal(signum)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit code, once it has ended."""
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"process {self.pid} does not end; it wrote:\n{self.log}") from None

    def stop(self) -> int:
        """Send SIGTERM and wait for its exit code."""
        self.send(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """Send SIGKILL and wait until it is dead."""
        self.send(signal.SIGKILL)
        self.wait()

    def wait_for(self, text: str) -> None:
        """Wait until it has written `text`; fails at once if it ends without."""
        wait_until(lambda: text in self.log or self.code is not None, lambda: f"{text!r} in:\n{self.log}")
        assert text in self.log, f"it ended with {self.code} and wrote:\n{self.log}"


class Site:
    """Directories, configuration and processes of one test; the paths are short, because sockets' must be."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / "s"
        self.runtime = root / "r"
        self.database = self.state / "solar.db"
        self.processes: list[Process] = []
        self.env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OS_", "XDG_"))
            and name not in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
        }
        self.env |= {"HOME": str(root), "SITE": str(root)}
        self.set(state_dir=self.state, runtime_dir=self.runtime, poll_interval=0.1)
        self._store: Store | None = None

    def set(self, **options: object) -> None:
        """Configure what is started from now on, through the environment."""
        self.env |= _settings(options)

    @property
    def conf(self) -> Any:
        """The configuration of this site without its environment's other options."""
        return config.load(overrides={"state_dir": str(self.state), "runtime_dir": str(self.runtime)})

    @property
    def store(self) -> Store:
        """The database, opened by the test itself."""
        if self._store is None:
            self._store = Store(self.conf)
        return self._store

    @property
    def elsewhere(self) -> dict[str, object]:
        """Options of a second set of workers, with addresses of its own on the same database."""
        return {"runtime_dir": self.root / "r2"}

    # -- files -------------------------------------------------------------------

    def write(self, name: str, text: str | Mapping[str, Any]) -> str:
        """Write a file; its path."""
        path = self.root / name
        path.write_text(text if isinstance(text, str) else json.dumps(text, indent=1))
        return str(path)

    def open(self, name: str = "gate") -> None:
        """Let go on what waits by :func:`gated`."""
        (self.root / name).touch()

    @property
    def marks(self) -> list[Mark]:
        """What tasks have noted by :func:`marked`, in order."""
        path = self.root / "marks"
        lines = path.read_text().splitlines() if path.exists() else []
        found = [line.split(" ") for line in lines]
        return [
            Mark(sign == "+", uid, name, int(attempt)) for sign, uid, name, attempt in found if sign in "+-"
        ]

    # -- processes ---------------------------------------------------------------

    def orch(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run ``solar-orch`` to its end."""
        return subprocess.run(
            [script("solar-orch"), *args],
            env=self.env,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def start(self, *command: str, faults: str | None = None, **options: object) -> Process:
        """Start a command of this environment and leave it running.

        :param faults: what is injected into it, see ``solar_orch.faults``
        """
        output = self.root / f"output.{len(self.processes)}"
        env = {**self.env, **_settings(options)}
        if faults is not None:
            env["SOLAR_FAULTS"] = faults
        process = Process([script(command[0]), *command[1:]], env, self.root, output)
        self.processes.append(process)
        return process

    def worker(self, *names: str, faults: str | None = None, **options: object) -> Process:
        """Start a ``solar-worker`` and wait until it takes calls.

        :param names: of the workers to run in it; all when there is none
        :param options: of ``[orchestration]``, for this process alone
        """
        process = self.begin_worker(*(f"--worker={name}" for name in names), faults=faults, **options)
        for name in names or WORKERS:
            process.wait_for(f" {name}: ready at ")
        return process

    def begin_worker(self, *args: str, faults: str | None = None, **options: object) -> Process:
        """Start a ``solar-worker``, which may have something else in mind than to serve."""
        return self.start("solar-worker", *args, faults=faults, **options)

    def refused_worker(self, *args: str, code: int = 2, **options: object) -> str:
        """Start a ``solar-worker`` that ends with `code`; the one line in which it says why."""
        process = self.begin_worker(*args, **options)
        assert process.wait() == code, process.log
        assert "Traceback" not in process.log
        [line] = [line for line in process.log.splitlines() if line.startswith("solar-worker: error: ")]
        return line

    def others(self) -> list[psutil.Process]:
        """The living processes that began in this site, those apart that the test has started itself."""
        mine = {process.pid for process in self.processes}
        return [process for process in _processes_of(str(self.root)) if process.pid not in mine]

    def commands(self) -> list[str]:
        """The command lines of :meth:`others`."""
        found = []
        for other in self.others():
            with contextlib.suppress(psutil.Error):  # it may end while it is looked at
                found.append(" ".join(other.cmdline()))
        return found

    def end(self) -> None:
        """Kill everything that was started here, whatever has become of it."""
        for process in self.processes:
            if process.code is None:
                process.kill()
        left = self.others()
        for other in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                other.kill()
        psutil.wait_procs(left, timeout=10)
        if self._store is not None:
            self._store.close()

    # -- plans -------------------------------------------------------------------

    def create(self, made: Mapping[str, Any]) -> str:
        """Write a plan to the database; its uid."""
        return self.store.plans.create(parse.parse(json.dumps(made)))

    def want(self, made: Mapping[str, Any] | str) -> str:
        """Record that a plan is to run; its uid."""
        uid = made if isinstance(made, str) else self.create(made)
        return self.store.plans.want(uid).uid

    def run(self, made: Mapping[str, Any] | str) -> Ended:
        """Have the workers that are up run a plan to its end."""
        return self.ended(self.want(made))

    def look(self, uid: str) -> Ended:
        """How a plan stands now."""
        row, outcomes = self.store.plans.outcomes(uid)
        return Ended(report.as_dict(row.uid, row.name, row.status, outcomes))

    def ended(self, uid: str, seconds: float = PATIENCE) -> Ended:
        """Wait for the end of a plan."""

        def over() -> bool:
            row = self.store.plans.get(uid)
            return row.status in _OVER and not self.store.plans.in_progress(row.id)

        wait_until(over, lambda: f"the plan's end; it stands thus: {self.look(uid).report}", seconds)
        return self.look(uid)

    def wait_for_mark(self, name: str, begins: bool = True) -> None:
        """Wait until a task has noted its beginning, or its end, by :func:`marked`."""
        wait_until(
            lambda: any(mark.task == name and mark.begins is begins for mark in self.marks),
            lambda: f"{'beginning' if begins else 'end'} of {name} among {self.marks}",
        )


def _settings(options: Mapping[str, object]) -> dict[str, str]:
    return {f"OS_ORCHESTRATION__{name.upper()}": str(value) for name, value in options.items()}


def _processes_of(root: str) -> Iterator[psutil.Process]:
    """Living processes in whose environment ``SITE`` is `root`."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("SITE") == root:
                yield process


@contextlib.contextmanager
def open_site() -> Iterator[Site]:
    """A site in a directory of its own, which is gone afterwards, as are its processes."""
    root = Path(tempfile.mkdtemp(prefix="solar-", dir="/tmp"))
    site = Site(root)
    try:
        yield site
    finally:
        try:
            site.end()
        finally:
            shutil.rmtree(root)


def with_free_port(plan: Path) -> None:
    """Have an example serve a port that nobody else on this machine has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    text, count = re.subn(r"(?m)^  port: \d+$", f"  port: {port}", plan.read_text())
    assert count == 1
    plan.write_text(text)
