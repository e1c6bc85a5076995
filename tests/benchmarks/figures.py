"""Figures that only solar_orch has, and what each bar asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.results import Results

#: Name of each figure to what it is, and its unit.
FIGURES = {
    "help": ("``solar-orch --help``", "s"),
    "report": ("``solar-orch report --format json`` of 1,000 tasks", "s"),
    "run": ("``solar-orch run`` of a plan of one task", "s"),
    "ready": ("``solar-worker`` until all its workers take calls", "s"),
    "create_yaml": ("``solar-orch create`` of 100,000 tasks from YAML", "s"),
    "create_json": ("``solar-orch create`` of 100,000 tasks from JSON", "s"),
    "lateness_p50": ("lateness of a timer of 10 ms within the worker, layers 10 x 1,000, median", "ms"),
    "lateness_p99": ("the same, 99 of 100", "ms"),
    "lateness_max": ("the same, the latest", "ms"),
    "restart_first": (
        "kill -9 in the middle of 100,000 tasks, from the new start to the first task ended",
        "s",
    ),
    "restart_rate": ("the rate after that, tasks/s", ""),
}


@dataclass(frozen=True)
class Bar:
    """Something that is to be reached."""

    title: str
    value: Callable[[Results], float | None]
    bound: float
    #: Whether more is better.
    at_least: bool = False

    def verdict(self, results: Results) -> tuple[float | None, str]:
        """The value, and in one word how it stands against the bound."""
        value = self.value(results)
        if value is None:
            return None, "not measured"
        held = value >= self.bound if self.at_least else value <= self.bound
        return value, "pass" if held else "FAIL"


def _ratio(workload: str, subject: str, other: str) -> Callable[[Results], float | None]:
    def ratio(results: Results) -> float | None:
        mine, theirs = results.rate(workload, subject), results.rate(workload, other)
        return mine.median / theirs.median if mine and theirs else None

    return ratio


def _figure(name: str) -> Callable[[Results], float | None]:
    def median(results: Results) -> float | None:
        found = results.figure(name)
        return found.median if found else None

    return median


def _growth(results: Results) -> float | None:
    small, large = results.time_per_task("small", "solar"), results.time_per_task("large", "solar")
    return large / small if small and large else None


def _memory_of_large(results: Results) -> float | None:
    memory = results.memory("large", "solar")
    return memory.most * 1024**2 / 1e6 if memory else None


def _rates() -> list[Bar]:
    bars = []
    for workload, times in (("layers", 4.0), ("fan", 4.0), ("chain", 3.0)):
        bars += [
            Bar(f"{workload}, one process / floor", _ratio(workload, "solar", "floor"), 0.6, True),
            Bar(
                f"{workload}, one process / floor with the promises",
                _ratio(workload, "solar", "contract"),
                0.6,
                True,
            ),
            Bar(f"{workload}, one process / Dask", _ratio(workload, "solar", "dask"), times, True),
        ]
    bars += [
        Bar(f"{workload}, three processes / one process", _ratio(workload, "solar3", "solar"), 1.0, True)
        for workload in ("layers", "fan")
    ]
    return bars


BARS = [
    *_rates(),
    Bar("time per task, layers of 100,000 / of 1,000", _growth, 1.3),
    Bar("peak memory with 100,000 tasks, MB", _memory_of_large, 400.0),
    Bar("create of 100,000 from YAML, s", _figure("create_yaml"), 12.0),
    Bar("create of 100,000 from JSON, s", _figure("create_json"), 5.0),
    Bar("report of 1,000 as JSON, s", _figure("report"), 0.4),
    Bar("run of a plan of one task, s", _figure("run"), 1.0),
    Bar("solar-worker until ready, s", _figure("ready"), 0.7),
    Bar("lateness of a 10 ms timer, 99 of 100, ms", _figure("lateness_p99"), 50.0),
]
