"""What only solar_orch is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.commands import create_large, start
from benchmarks.lateness import lateness
from benchmarks.measure import Late
from benchmarks.restart import restart
from benchmarks.results import Results

#: By name: what takes results, number of rounds, and the seconds after which a wait is given up.
EXTRAS: dict[str, Callable[[Results, int, float], None]] = {
    "start": start,
    "create": create_large,
    "latency": lateness,
    "restart": restart,
}


def run_extras(names: Sequence[str], results: Results, rounds: int, limit: float) -> None:
    """Measure these; one that fails is noted, and the others go on."""
    for name in names:
        print(f"{name} ...", flush=True)
        try:
            EXTRAS[name](results, rounds, limit)
        except Late as error:
            print(f"{name} is given up: {error}", flush=True)
        except Exception as error:
            results.problems.append(f"{name}: {type(error).__name__}: {error}")
