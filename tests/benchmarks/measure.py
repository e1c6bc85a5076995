"""What a run gave, and how the memory of its processes is measured."""

from __future__ import annotations

import contextlib
import statistics
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_MIB = 1024 * 1024

#: Seconds between looks for processes and their peaks.
_LOOK = 0.5


@dataclass(frozen=True)
class Run:
    """One workload, run once by one subject."""

    workload: str
    #: Of the workload, in the size that was run.
    title: str
    subject: str
    round: int
    tasks: int
    #: From the moment at which the plans were wanted to the end of the last task and its entry in the log.
    seconds: float
    #: Sum of the peaks of all processes, in MiB.
    memory: float
    #: What was wrong: it was not done in time (`late`), or not done well.
    problem: str | None = None
    late: bool = False

    @property
    def rate(self) -> float:
        """Tasks in a second; 0 if it was not done."""
        return 0.0 if self.problem else self.tasks / self.seconds


@dataclass(frozen=True)
class Spread:
    """Several values of one thing."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        return cls(tuple(sorted(values))) if values else None

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def least(self) -> float:
        return self.values[0]

    @property
    def most(self) -> float:
        return self.values[-1]


class Peaks:
    """The peak of the resident set of each process that was seen."""

    def __init__(self) -> None:
        self._roots: list[int] = []
        self._peaks: dict[int, float] = {}

    def watch(self, pid: int) -> None:
        """Mind this process and all that it starts."""
        self._roots.append(pid)

    def look(self) -> None:
        """Look once; each kernel's figure is a peak, so that nothing between two looks is missed."""
        for pid in _trees(self._roots):
            with contextlib.suppress(OSError, ValueError, IndexError):  # it may end while it is looked at
                self._peaks[pid] = max(self._peaks.get(pid, 0.0), _peak(pid))

    @property
    def total(self) -> float:
        """Sum of all peaks in MiB, even if they were not at one time."""
        return sum(self._peaks.values())

    @contextlib.contextmanager
    def watching(self) -> Iterator[Peaks]:
        """Look again and again, and once more at the end."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(_LOOK):
                self.look()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join()
            self.look()


def _trees(roots: Sequence[int]) -> Iterator[int]:
    for root in roots:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(root)
            yield root
            yield from (child.pid for child in process.children(recursive=True))


def _peak(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / _MIB


class Late(Exception):
    """Something was not over in the time that it was given."""
