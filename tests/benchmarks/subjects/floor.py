"""The yardsticks: programs of this project's own, with nothing between ZeroMQ and SQLite."""

from __future__ import annotations

from benchmarks.subjects.program import Program

FLOOR = Program("floor", "floor: two commits a round", "all", "run_floor.py", rounds=99)

#: With as many tasks of a plan in progress at once as solar_orch has by default.
CONTRACT = Program(
    "contract",
    "floor with the promises for each task",
    "all",
    "run_contract.py",
    rounds=99,
    options={"window": 100},
)
