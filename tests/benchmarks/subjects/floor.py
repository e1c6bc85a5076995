"""The yardstick, see programs/run_floor.py."""

from __future__ import annotations

from benchmarks.subjects.program import Program

FLOOR = Program("floor", "floor: pyzmq, msgpack, SQLite", "all", "run_floor.py", rounds=99)
#: With as many tasks in progress at once as solar_orch has by default.
FLOOR_100 = Program(
    "floor100",
    "floor, 100 tasks in progress",
    "all",
    "run_floor.py",
    rounds=99,
    options={"window": 100},
)
