"""A construct hook of a third party: how late a timer of the tasks worker's event loop is.

This file is installed as a package of its own for the worker that it looks into, see lateness.py.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import gevent

#: Seconds for which the timer is set.
TIMER = 0.01

#: Names the file to which all that was seen is written when the worker stops.
FILE = "SOLAR_BENCH_LATENESS"


def hook(worker: Any, clients: Any) -> None:
    worker.background(watch)


def watch(stopping: Any) -> None:
    """Set the timer again and again; when it went off, by Unix time, and how many seconds too late."""
    seen = []
    while not stopping.is_set():
        began = time.perf_counter()
        gevent.sleep(TIMER)
        seen.append((time.time(), time.perf_counter() - began - TIMER))
    Path(os.environ[FILE]).write_text(json.dumps(seen))
