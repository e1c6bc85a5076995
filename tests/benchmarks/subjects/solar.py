"""solar_orch itself: real ``solar-worker`` processes with the options that they have by default."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import gevent
from harness import Process, Site, open_site

import solar_orch
from benchmarks.measure import Late, Peaks, Run
from benchmarks.subjects.ledger import Ledger
from benchmarks.workloads import Parents, Workload, plan
from solar_orch.extensions import make_client
from solar_orch.plan.parse import parse

#: Seconds between looks into the database; a rate is too low by what one lets pass at most.
_LOOK = 0.01


@dataclass
class Solar:
    """All three workers, in one process or in several."""

    name: str = "solar"
    title: str = "solar_orch, one process"
    durable: str = "all"
    rounds: int = 99
    #: The workers of each process; of all that are installed where there is none.
    processes: Sequence[Sequence[str]] = field(default_factory=lambda: [()])

    def prepare(self) -> str:
        return f"solar_orch {solar_orch.__version__}"

    def size_of(self, workload: Workload) -> Workload | None:
        return workload

    def run(self, workload: Workload, turn: int, limit: float) -> Run:
        with fresh_site() as site:
            uids = create(site, workload.graphs)
            with Peaks().watching() as peaks:
                for process in self.start(site):
                    peaks.watch(process.pid)
                ledger = Ledger(site.database)
                began = time.time()
                with wanted(site, uids):
                    ended, problem, late = _follow(ledger, workload.size, limit)
                ledger.close()
            return Run(
                workload.name,
                workload.title,
                self.name,
                turn,
                workload.size,
                ended - began,
                peaks.total,
                problem,
                late,
            )

    def start(self, site: Site) -> list[Process]:
        """Start the processes and wait until all take calls."""
        return [site.worker(*names) for names in self.processes]


ONE_PROCESS = Solar()
THREE_PROCESSES = Solar(
    name="solar3",
    title="solar_orch, three processes",
    processes=[["system_log"], ["tasks"], ["scheduler"]],
)


def _follow(ledger: Ledger, size: int, limit: float) -> tuple[float, str | None, bool]:
    """When all was done, in Unix seconds; what was wrong; whether that is only that it took too long."""
    try:
        ended = wait_for_end(ledger, size, limit)
    except Late as error:
        return time.time(), str(error), True
    return ended, ledger.problem(size), False


@contextlib.contextmanager
def fresh_site() -> Iterator[Site]:
    """A site with the options that are the default, unlike those of the tests."""
    with open_site() as site:
        del site.env["OS_ORCHESTRATION__POLL_INTERVAL"]
        # What lets this program find its own modules is not for those that it starts.
        site.env.pop("PYTHONPATH", None)
        yield site


def create(site: Site, graphs: Sequence[Parents]) -> list[str]:
    """Write plans to the database; their uids."""
    return [site.store.plans.create(parse(json.dumps(plan(parents)))) for parents in graphs]


@contextlib.contextmanager
def wanted(site: Site, uids: Sequence[str]) -> Iterator[None]:
    """Record that these plans are to run, and hint so, as ``run-once`` does for one; then all waits for them."""
    client = make_client(site.conf, "scheduler")
    for uid in uids:
        site.store.plans.want(uid)
        client.next({"plan_uid": uid}, uid)
        # What is sent leaves when the loop has its turn.
        gevent.sleep(0)
    try:
        yield
    finally:
        # Not before, since it may take a while.
        client.close(1.0)


def wait_for_end(ledger: Ledger, size: int, limit: float) -> float:
    """Wait until all plans are over and the log is complete; when that was, in Unix seconds.

    :raises Late: if it takes longer than `limit` seconds
    """
    deadline = time.monotonic() + limit
    for over in (ledger.is_over, lambda: ledger.logged() >= size):
        while not over():
            if time.monotonic() > deadline:
                raise Late(f"{ledger.ended()} of {size} tasks ended in {limit:g} s")
            time.sleep(_LOOK)
    return max(time.time() - _LOOK / 2, ledger.last_end())
