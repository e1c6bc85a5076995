"""Executors that write down what a runner does with them, and the process in which they run.

``python -m solar_orch.testing.run_notes RUNNER SCENARIO FILE [--config-file PATH]``
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from oslo_config import cfg

#: Names and drain orders of the executors, in the order in which the runner gets them.
DRAIN_ORDERS = {"last": 20, "first": 0, "second": 10}
#: The executor that fails in the scenario ``failure``, and what it says.
FAILING, FAILURE = "second", "failed as the test wants it"
#: Seconds for which a test of the kit goes on at most.
_PATIENCE = 60.0


@dataclass(frozen=True)
class Note:
    """One thing that was done."""

    #: Of the executor, or ``runner``.
    who: str
    what: str
    detail: str = ""


def read(file: Path) -> list[Note]:
    """What has been written down so far, in order."""
    lines = file.read_text().splitlines() if file.exists() else []
    return [Note(*line.split("\t", 2)) for line in lines]


class _Event(Protocol):
    def set(self) -> None: ...
    def is_set(self) -> bool: ...
    def wait(self, timeout: float | None = None) -> bool: ...


@dataclass
class Recorder:
    """An executor that serves nobody, and notes what it is told in a file that processes can share.

    :param holds: whether it takes all the time that it is given to stop
    :param fails: whether it fails when all have begun
    """

    name: str
    drain_order: int
    file: Path
    holds: bool = False
    fails: bool = False
    address: str = "nowhere"
    worker: Any = None
    stopping: bool = False
    _stopped: Any = None
    _deadline: float = field(default=float("inf"))

    def __post_init__(self) -> None:
        self.worker = SimpleNamespace(name=self.name, drain_order=self.drain_order)

    def run(self) -> None:
        note(self.file, self.name, "run", str(os.getpid()))
        try:
            until = time.monotonic() + _PATIENCE
            while not self._is_to_end() and time.monotonic() < until:
                if self.fails and self._all_run():
                    raise RuntimeError(FAILURE)
                time.sleep(0.01)  # patched by gevent, as in solar-worker
        finally:
            note(self.file, self.name, "end")
            self._event.set()

    def stop(self, timeout: float) -> None:
        note(self.file, self.name, "stop", repr(timeout))
        self._deadline = min(self._deadline, time.monotonic() + (timeout if self.holds else 0.0))
        self.stopping = True
        self._event.wait(_PATIENCE)

    def kill(self, task_id: str, attempt: int | None = None, error: Exception | None = None) -> bool:
        return False

    def _is_to_end(self) -> bool:
        return self.stopping and time.monotonic() >= self._deadline

    def _all_run(self) -> bool:
        return {each.who for each in read(self.file) if each.what == "run"} == DRAIN_ORDERS.keys()

    @property
    def _event(self) -> _Event:
        # Not before it runs: a runner may fork.
        if self._stopped is None:
            import threading

            self._stopped = threading.Event()
        stopped: _Event = self._stopped
        return stopped


def note(file: Path, who: str, what: str, detail: str = "") -> None:
    """Write down one thing, at the end of a file to which other processes write too."""
    text = " ".join(detail.split())
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, f"{who}\t{what}\t{text}\n".encode())
    finally:
        os.close(descriptor)


def executors(scenario: str, file: Path) -> dict[str, Recorder]:
    """Those of a scenario: ``nothing``, ``plain``, ``failure`` or ``holding``."""
    if scenario == "nothing":
        return {}
    return {
        name: Recorder(
            name,
            order,
            file,
            holds=scenario == "holding",
            fails=scenario == "failure" and name == FAILING,
        )
        for name, order in DRAIN_ORDERS.items()
    }


def main(name: str, scenario: str, file: Path, conf: cfg.ConfigOpts) -> int:
    """Have a runner run the executors of a scenario, and note how that ends; the exit code."""
    from solar_orch import plugins

    run = plugins.load_one(plugins.RUNNERS, name, option="runner", conf=conf).obj
    main_process = os.getpid()
    try:
        run(executors(scenario, file), conf)
    except Exception as error:
        note(file, "runner", "raised", f"{type(error).__name__}: {error}")
        return 1
    if os.getpid() != main_process:
        note(file, "runner", "returned in a child")
        return 1
    note(file, "runner", "returned")
    return 0


if __name__ == "__main__":
    from gevent import monkey

    monkey.patch_all()

    import logging

    from solar_orch import config

    logging.basicConfig(level=logging.INFO)
    sys.exit(
        main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), config.load(sys.argv[4:], prog="solar-worker"))
    )
