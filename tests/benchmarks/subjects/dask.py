"""Dask distributed, see programs/run_dask.py."""

from __future__ import annotations

from benchmarks.environments import Environment
from benchmarks.subjects.program import Program

DASK = Program(
    "dask",
    "Dask distributed, two processes",
    "nothing",
    "run_dask.py",
    rounds=3,
    environment=Environment("dask", ["distributed==2026.8.0", "dask==2026.8.0"]),
    sizes={"large": None},
)
