"""Whether the event loop of a worker stays free while there is much to do."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path

from packages import install

from benchmarks import probe
from benchmarks.results import Results
from benchmarks.subjects.ledger import Ledger
from benchmarks.subjects.solar import create, fresh_site, wait_for_end, wanted
from benchmarks.workloads import LAYERS


def lateness(results: Results, rounds: int, limit: float) -> None:
    """Look at a timer within the worker while it runs the layers."""
    for _ in range(min(rounds, 2)):
        late = _lateness(limit)
        hundredths = statistics.quantiles(late, n=100, method="inclusive")
        results.note("lateness_p50", hundredths[49] * 1000)
        results.note("lateness_p99", hundredths[98] * 1000)
        results.note("lateness_max", max(late) * 1000)


def _lateness(limit: float) -> list[float]:
    """The seconds by which the timer was late, from the time at which the plan was wanted to its end."""
    with fresh_site() as site:
        seen = site.root / "lateness.json"
        install(
            site,
            "solar-bench-probe",
            {"solar.orchestration.hooks.tasks.construct": {"bench-probe": "solar_bench_probe:hook"}},
            {"solar_bench_probe": Path(probe.__file__).read_text()},
        )
        site.env[probe.FILE] = str(seen)
        uids = create(site, LAYERS.graphs)
        worker = site.worker()
        ledger = Ledger(site.database)
        began = time.time()
        with wanted(site, uids):
            ended = wait_for_end(ledger, LAYERS.size, limit)
        ledger.close()
        worker.stop()
        return [late for at, late in json.loads(seen.read_text()) if began <= at <= ended]
