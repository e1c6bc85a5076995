"""The yardsticks: programs of this project's own, with nothing between ZeroMQ and SQLite."""

from __future__ import annotations

from benchmarks.subjects.program import Program

#: As many tasks of a plan in progress at once as solar_orch has by default.
_WINDOW = {"window": 100}

FLOOR = Program(
    "floor",
    "floor: a message for each task, two commits a round",
    "all",
    "run_floor.py",
    rounds=99,
    options=_WINDOW,
)

BATCHED = Program("batched", "floor with one message a round", "all", "run_batched.py", rounds=2)

CONTRACT = Program(
    "contract",
    "floor with the promises for each task",
    "all",
    "run_contract.py",
    rounds=99,
    options=_WINDOW,
)
