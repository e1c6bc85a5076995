"""The attempts of a plan and when they ran, and how time is laid out in a line."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from solar_orch.states import State


@dataclass(slots=True)
class Attempt:
    """One dispatch of a task; times are Unix seconds by the database's clock."""

    #: The task's place in topological order.
    position: int
    task: str
    target: str | None
    #: Counts from 1.
    attempt: int
    dispatched: float
    #: When a worker claimed it, where that is known: of a task's earlier attempts only `dispatched` is kept,
    #: and stands here as well.  None: it was not claimed.
    start: float | None
    #: None while it is in progress.
    end: float | None
    #: INPROGRESS, or the state that it ended in: PENDING if it was lost or handed back, and
    #: SKIPPED if the plan was stopped before it was claimed.
    state: State

    @property
    def begin(self) -> float:
        """Its start, or else its dispatch."""
        return self.dispatched if self.start is None else self.start

    def seconds(self, now: float) -> float:
        """How long it has run."""
        return 0.0 if self.start is None else max(0.0, self._until(now) - self.start)

    def span(self, now: float) -> tuple[float, float]:
        """From its dispatch to its end, which is now if it has none."""
        return self.dispatched, max(self.dispatched, self._until(now))

    def _until(self, now: float) -> float:
        return now if self.end is None else self.end


class Change(NamedTuple):
    """An event."""

    position: int
    attempt: int
    old: State
    new: State
    at: float


class Ran(NamedTuple):
    """A task, with what is known of its latest attempt."""

    name: str
    target: str | None
    attempt: int
    start_time: float | None


#: States in which an attempt ends that was not claimed.
_UNCLAIMED = frozenset({State.SKIPPED, State.INPROGRESS})


def attempts(changes: Iterable[Change], tasks: Mapping[int, Ran]) -> list[Attempt]:
    """The attempts that a plan's events tell of, in the order in which they began.

    :param changes: in their order
    :param tasks: by position
    """
    found: dict[tuple[int, int], Attempt] = {}
    for change in changes:
        key = change.position, change.attempt
        if change.new is State.INPROGRESS:
            task = tasks[change.position]
            found[key] = Attempt(
                change.position, task.name, task.target, change.attempt, change.at, None, None, change.new
            )
        elif change.old is State.INPROGRESS and key in found:
            found[key].end = change.at
            found[key].state = change.new
    for attempt in found.values():
        task = tasks[attempt.position]
        if attempt.attempt == task.attempt and task.start_time is not None:
            attempt.start = task.start_time
        elif attempt.state not in _UNCLAIMED:
            attempt.start = attempt.dispatched
    return sorted(found.values(), key=lambda one: (one.begin, one.position, one.attempt))


def as_dict(attempt: Attempt) -> dict[str, Any]:
    """One attempt as it is printed in JSON."""
    return {
        "task": attempt.task,
        "attempt": attempt.attempt,
        "target": attempt.target,
        "dispatched": attempt.dispatched,
        "start": attempt.start,
        "end": attempt.end,
        "state": str(attempt.state),
    }


# -- time in a line ------------------------------------------------------------


#: A time in which nothing ran is cut out if it is longer than this part of that in which something did.
_LONG = 0.25

#: Seconds; what lasts less is a point.
_SHORTEST = 1e-6

_STEPS = (
    *(base * 10.0**power for power in range(-3, 1) for base in (1, 2, 5)),
    *(10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0),
    *(hours * 3600.0 for hours in (1, 2, 3, 6, 12, 24, 48, 120, 240)),
)


class Axis:
    """Where times stand in a line of a given length, less the times in which nothing ran for long.

    :param spans: times in which something ran, in Unix seconds
    :param length: of the line, in whatever it is measured in
    :param gap: how much of the line stands for a time that is left out
    """

    def __init__(self, spans: Iterable[tuple[float, float]], length: float, gap: float) -> None:
        #: Those times of which the line consists; always one at least.
        self.spans = _less_idle(sorted(spans)) or [(0.0, 0.0)]
        self.length = length
        self._gap = gap if gap * len(self.spans) < length / 2 else 0.0
        total = sum(end - start for start, end in self.spans)
        self._scale = (length - self._gap * (len(self.spans) - 1)) / total if total > _SHORTEST else 0.0
        self._starts = [start for start, _ in self.spans]
        self._places = []
        place = 0.0
        for start, end in self.spans:
            self._places.append(place)
            place += (end - start) * self._scale + self._gap

    @property
    def first(self) -> float:
        """The time at which the line begins."""
        return self._starts[0]

    def at(self, time: float) -> float:
        """Where a time stands, from 0 to the line's length."""
        number = max(0, bisect_right(self._starts, time) - 1)
        start, end = self.spans[number]
        return self._places[number] + (min(max(time, start), end) - start) * self._scale

    def cuts(self) -> list[float]:
        """The middles of the gaps."""
        return [place - self._gap / 2 for place in self._places[1:]]

    def ticks(self, least: float) -> list[tuple[float, str]]:
        """Where the line is to be marked, and with what: the time since its beginning.

        :param least: how far the marks are apart, in the measure of the line
        """
        step = next((one for one in _STEPS if one * self._scale >= least), None)
        marks: list[tuple[float, str]] = []
        for number, (start, end) in enumerate(self.spans):
            begin = self._places[number]
            # The time behind a gap is told before all others, however odd it is.
            while len(marks) > 1 and begin - marks[-1][0] < least:
                marks.pop()
            for offset in (start - self.first, *_multiples(step, start - self.first, end - self.first)):
                place = begin + (offset - (start - self.first)) * self._scale
                if not marks or place - marks[-1][0] >= least:
                    marks.append((place, elapsed(offset)))
        return marks


def _multiples(step: float | None, start: float, end: float) -> Iterator[float]:
    """Those of `step` from `start` to `end`."""
    if step is not None:
        for count in range(math.ceil(start / step), int(end / step) + 1):
            yield count * step


def _less_idle(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Times that do not overlap, in order; those that stand near each other are made one."""
    busy: list[tuple[float, float]] = []
    for start, end in spans:
        if busy and start <= busy[-1][1]:
            busy[-1] = busy[-1][0], max(end, busy[-1][1])
        else:
            busy.append((start, end))
    long = _LONG * sum(end - start for start, end in busy)
    kept: list[tuple[float, float]] = []
    for start, end in busy:
        if kept and start - kept[-1][1] <= long:
            kept[-1] = kept[-1][0], end
        else:
            kept.append((start, end))
    return kept


def elapsed(seconds: float) -> str:
    """A time since a beginning: ``0``, ``0.25s``, ``30s``, ``1m30s``, ``2h``, ``3d04h``."""
    if seconds < 60:
        return f"{seconds:.3f}".rstrip("0").rstrip(".") + ("s" if seconds else "")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s" if rest else f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h{minutes:02}m" if minutes else f"{hours}h"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02}h" if hours else f"{days}d"
