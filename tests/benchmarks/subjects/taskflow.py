"""TaskFlow, see programs/run_taskflow.py."""

from __future__ import annotations

from benchmarks.environments import Environment
from benchmarks.subjects.program import Program

TASKFLOW = Program(
    "taskflow",
    "TaskFlow, SQLite",
    "state of each task",
    "run_taskflow.py",
    environment=Environment(
        "taskflow", ["taskflow==6.5.0", "SQLAlchemy==2.1.9", "alembic", "SQLAlchemy-Utils"]
    ),
    sizes={
        "chain": (1, 100, 1),
        "fan": (1, 1, 100),
        "layers": (1, 10, 10),
        "many": (10, 1, 10),
        "small": None,
        "large": None,
    },
    options={"engine": "serial"},
)
