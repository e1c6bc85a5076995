"""Which bars of a timeline share a row; all lengths in pixels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from solar_orch.plan.timeline import Attempt, Axis

#: Shorter bars could not be seen.
_LEAST = 2.0
#: Between bars of one row.
_APART = 1.5


@dataclass(slots=True)
class Bar:
    """An attempt in a row, from the beginning of the line of time."""

    attempt: Attempt
    #: Where it was dispatched.
    waiting: float
    start: float
    end: float
    #: What is free behind it.
    room: float = 0.0


@dataclass(slots=True)
class Lane:
    """A row."""

    label: str
    #: Whether it is the first of those with its label.
    begins: bool
    #: In order; they do not overlap.
    bars: list[Bar]


def lanes_of_tasks(attempts: Iterable[Attempt], axis: Axis, now: float) -> list[Lane]:
    """A row for each task, in the order in which they began."""
    lanes: dict[int, Lane] = {}
    for attempt in attempts:
        lane = lanes.get(attempt.position)
        if lane is None:
            lane = lanes[attempt.position] = Lane(attempt.task, True, [])
        bar = _bar(attempt, axis, now)
        if lane.bars:
            behind = lane.bars[-1].end + _APART
            bar.waiting, bar.start = max(bar.waiting, behind), max(bar.start, behind)
            bar.end = max(bar.end, bar.start + _LEAST)
        lane.bars.append(bar)
    return _with_room(list(lanes.values()), axis)


def lanes_of_targets(attempts: Iterable[Attempt], axis: Axis, now: float) -> list[Lane]:
    """As few rows for each target as its attempts need, the targets in the order of their names."""
    groups: dict[str, list[Bar]] = {}
    for attempt in attempts:
        groups.setdefault(attempt.target or "", []).append(_bar(attempt, axis, now))
    lanes: list[Lane] = []
    for target, bars in sorted(groups.items(), key=lambda group: _in_order(group[0])):
        label = target or "(no target)"
        rows = _packed(sorted(bars, key=lambda bar: (bar.waiting, bar.end)))
        lanes += [Lane(label, number == 0, row) for number, row in enumerate(rows)]
    return _with_room(lanes, axis)


def _in_order(name: str) -> list[tuple[int, str]]:
    """A key by which numbers within names are in the order of numbers."""
    pieces = re.split(r"([0-9]+)", name)
    return [(int(piece) if number % 2 else 0, piece) for number, piece in enumerate(pieces)]


def _packed(bars: Sequence[Bar]) -> list[list[Bar]]:
    """Bars in the order in which they begin, each in the first row that is free."""
    rows: list[list[Bar]] = []
    # The rows that are free, and those in use with where that ends.
    free: list[int] = []
    used: list[tuple[float, int]] = []
    for bar in bars:
        while used and used[0][0] <= bar.waiting:
            heappush(free, heappop(used)[1])
        row = heappop(free) if free else len(rows)
        if row == len(rows):
            rows.append([])
        rows[row].append(bar)
        heappush(used, (bar.end + _APART, row))
    return rows


def _bar(attempt: Attempt, axis: Axis, now: float) -> Bar:
    dispatched, until = attempt.span(now)
    start = axis.at(min(max(attempt.begin, dispatched), until))
    end = axis.at(until)
    if attempt.start is None:
        start = end
    start = min(start, axis.length - _LEAST)
    return Bar(attempt, min(axis.at(dispatched), start), start, max(end, start + _LEAST))


def _with_room(lanes: list[Lane], axis: Axis) -> list[Lane]:
    for lane in lanes:
        after = [bar.waiting for bar in lane.bars[1:]] + [axis.length + 80]
        for bar, until in zip(lane.bars, after, strict=True):
            bar.room = until - bar.end
    return lanes
