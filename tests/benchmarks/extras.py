"""What only solar_orch is asked for."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.results import Results

EXTRAS: dict[str, Callable[[Results, int, float], None]] = {}
