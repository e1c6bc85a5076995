"""DBOS, see programs/run_dbos.py."""

from __future__ import annotations

from benchmarks.environments import Environment
from benchmarks.subjects.program import Program

DBOS = Program(
    "dbos",
    "DBOS, SQLite (layer by layer)",
    "result of each step",
    "run_dbos.py",
    environment=Environment("dbos", ["dbos==3.4.0", "SQLAlchemy==2.1.9"]),
    sizes={"fan": (1, 1, 1000), "layers": (1, 10, 100), "many": (50, 1, 10), "small": None, "large": None},
)
