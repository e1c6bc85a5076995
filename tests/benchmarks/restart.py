"""A worker that is killed in the middle of a large plan, and started again."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.measure import Late
from benchmarks.results import Results
from benchmarks.subjects.ledger import Ledger
from benchmarks.subjects.solar import create, fresh_site, wait_for_end, wanted
from benchmarks.workloads import LARGE

_LOOK = 0.02


def restart(results: Results, rounds: int, limit: float) -> None:
    """Seconds from the start of the new process to the first task ended, and the rate from there on."""
    with fresh_site() as site:
        uids = create(site, LARGE.graphs)
        worker = site.worker()
        ledger = Ledger(site.database)
        with wanted(site, uids):
            _wait(lambda: ledger.logged() >= LARGE.size / 2, limit)
        worker.kill()
        before, done = ledger.last_event(), ledger.ended()
        began = time.time()
        site.begin_worker()
        _wait(lambda: ledger.first_end_after(before) is not None, limit)
        first = ledger.first_end_after(before)
        assert first is not None
        ended = wait_for_end(ledger, LARGE.size, limit)
        results.note("restart_first", first - began)
        results.note("restart_rate", (LARGE.size - done) / (ended - first))
        if problem := ledger.problem(LARGE.size):
            results.problems.append(f"after a restart: {problem}")
        ledger.close()


def _wait(condition: Callable[[], bool], limit: float) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise Late(f"a restart in the middle of {LARGE.size:,} tasks: not there in {limit:g} s")
        time.sleep(_LOOK)
