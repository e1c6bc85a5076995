"""What is measured: the contract of all subjects."""

from __future__ import annotations

from typing import Protocol

from benchmarks.measure import Run
from benchmarks.workloads import Workload


class Unavailable(Exception):
    """A subject cannot be run here; the message says why."""


class Subject(Protocol):
    """Something that runs graphs of tasks."""

    name: str
    #: For people.
    title: str
    #: What it keeps over a crash, for people.
    durable: str
    #: In how many of the rounds it takes part at most.
    rounds: int

    def prepare(self) -> str:
        """Install what it needs; the versions of that.

        :raises Unavailable: if that fails
        """

    def size_of(self, workload: Workload) -> Workload | None:
        """The workload in the size in which this subject can do it in reasonable time; None if it cannot at all."""

    def run(self, workload: Workload, turn: int, limit: float) -> Run:
        """Run a workload once, from fresh processes and an empty database.

        :param turn: number of the round
        :param limit: seconds after which it is given up
        """
