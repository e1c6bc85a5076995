"""The timeline of a plan as SVG: a bar for each attempt, from its start to its end."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from solar_orch.errors import PictureError
from solar_orch.pictures import svg
from solar_orch.pictures.lanes import Bar, Lane, lanes_of_targets, lanes_of_tasks
from solar_orch.pictures.looks import LOOKS
from solar_orch.plan import report
from solar_orch.plan.picture import STATES
from solar_orch.plan.timeline import Attempt, Axis
from solar_orch.states import State

#: Tasks up to which each has a row of its own; more share those of their target.
_FEW = 150
#: Attempts that a picture may have.
MOST_ATTEMPTS = 20_000

#: Pixels that the line of time is long, at least, and at most with few and with many tasks.
_LEAST_LENGTH, _MOST_ROOMY, _MOST_SMALL = 1000.0, 1400.0, 3600.0
#: Pixels of a bar of middling length, where there is no name in it.
_BAR_LENGTH = 24.0
#: Pixels that stand for a time in which nothing ran.
_GAP = 22.0
#: Between the labels of the line of time.
_TICKS = 80.0

_GRID = "#e3e6e8"


@dataclass(frozen=True, slots=True)
class _Measures:
    row: float
    bar: float
    size: float
    most_characters: int


_ROOMY = _Measures(22.0, 16.0, 11.0, 34)
_SMALL = _Measures(15.0, 13.0, 9.0, 20)


def gantt(uid: str, status: str, attempts: Sequence[Attempt], now: float) -> str:
    """The timeline as an SVG file.

    :param status: of the plan
    :param attempts: in the order in which they began
    :param now: Unix seconds, until which what is in progress is drawn
    :raises PictureError: if there are more attempts than one could read
    """
    if len(attempts) > MOST_ATTEMPTS:
        raise PictureError(
            f"the plan has {len(attempts)} attempts, and a picture of more than {MOST_ATTEMPTS} could not be"
            " read; without -o the timeline is written as text"
        )
    return _Drawing(uid, status, attempts, now).document()


class _Drawing:
    def __init__(self, uid: str, status: str, attempts: Sequence[Attempt], now: float) -> None:
        self._heading = f"{uid}: {status}"
        self._attempts = attempts
        self._now = now
        self._roomy = len({one.position for one in attempts}) <= _FEW
        self._m = _ROOMY if self._roomy else _SMALL
        self._axis = Axis((one.span(now) for one in attempts), self._length(), _GAP)
        make = lanes_of_tasks if self._roomy else lanes_of_targets
        self._lanes = make(attempts, self._axis, now)
        longest = max((svg.cells(report.shown(lane.label)) for lane in self._lanes), default=0)
        self._characters = min(longest, self._m.most_characters)
        self._left = svg.MARGIN + svg.width("x" * self._characters, self._m.size) + 12
        self._top = svg.HEAD + svg.MARGIN + 18.0

    def document(self) -> str:
        counted = Counter(one.state for one in self._attempts)
        counts = {state: counted[state] for state in STATES if counted[state]}
        line = self._line()
        bottom = self._top + len(self._lanes) * self._m.row
        parts = [
            svg.head(self._heading, line, counts),
            *self._groups(bottom),
            *self._grid(bottom),
            *self._rows(),
        ]
        width = self._left + self._axis.length + svg.MARGIN + (60 if self._roomy else 0)
        width = max(width, svg.head_width(self._heading, line, counts))
        return svg.document(width, bottom + svg.MARGIN, parts)

    def _length(self) -> float:
        """So long that most bars can be seen as such."""
        spans = [one.span(self._now) for one in self._attempts]
        whole = sum(end - start for start, end in Axis(spans, 1.0, 0.0).spans)
        lengths = [end - start for start, end in spans if end > start]
        if not lengths:
            return _LEAST_LENGTH
        most, bar = _MOST_ROOMY, _BAR_LENGTH
        if not self._roomy:
            names = [svg.width(report.shown(one.task), self._m.size - 1) for one in self._attempts]
            most, bar = _MOST_SMALL, self._m.bar + 6 + statistics.median(names)
        return min(max(_LEAST_LENGTH, bar * whole / statistics.median(lengths)), most)

    def _line(self) -> str:
        tasks = len({one.position for one in self._attempts})
        if not tasks:
            return "nothing has been started yet"
        first = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self._axis.first))
        parts = [f"{tasks} tasks, {len(self._attempts)} attempts since {first}"]
        if len(self._axis.spans) > 1:
            parts.append("times in which nothing ran are cut out")
        if not self._roomy:
            parts.append("a row holds tasks of one target that ran one after another")
        return "; ".join(parts)

    # -- behind the bars ---------------------------------------------------------

    def _groups(self, bottom: float) -> Iterator[str]:
        """Bands that tell the rows of one target from those of the next, or one row from the next."""
        right = self._left + self._axis.length
        grey = False
        start = 0
        for number, lane in enumerate([*self._lanes[1:], Lane("", True, [])], 1):
            if lane.begins:
                if grey:
                    yield svg.element(
                        "rect",
                        x=float(svg.MARGIN) - 4,
                        y=self._top + start * self._m.row,
                        width=right - svg.MARGIN + 8,
                        height=(number - start) * self._m.row,
                        fill="#f6f7f8",
                    )
                grey, start = not grey, number

    def _grid(self, bottom: float) -> Iterator[str]:
        for place, label in self._axis.ticks(_TICKS):
            x = self._left + place
            yield f'<path d="M{x:.1f} {self._top - 6:.0f}V{bottom:.0f}" stroke="{_GRID}"/>'
            yield svg.text(x, self._top - 9, 10, label, fill=svg.DIM, text_anchor="middle")
        for place in self._axis.cuts():
            x = self._left + place
            yield (
                f'<path d="M{x:.1f} {self._top - 6:.0f}V{bottom:.0f}" stroke="{svg.DIM}"'
                f' stroke-dasharray="2 4" stroke-width="3"/>'
            )

    # -- bars --------------------------------------------------------------------

    def _rows(self) -> Iterator[str]:
        for number, lane in enumerate(self._lanes):
            y = self._top + number * self._m.row
            if lane.begins:
                label = svg.cut(lane.label, self._characters)
                base = y + self._m.row / 2 + self._m.size * 0.36
                told = svg.title([lane.label]) if label != lane.label else ""
                yield f"<g>{told}{svg.text(svg.MARGIN, base, self._m.size, label)}</g>"
            for bar in lane.bars:
                yield self._bar(bar, y)

    def _bar(self, bar: Bar, y: float) -> str:
        attempt, m = bar.attempt, self._m
        look = LOOKS[attempt.state]
        x, width = self._left + bar.start, bar.end - bar.start
        y += (m.row - m.bar) / 2
        parts = [svg.title(self._told(attempt))]
        if bar.start - bar.waiting > 2:
            middle = y + m.bar / 2
            parts.append(
                f'<path d="M{self._left + bar.waiting:.1f} {middle:.1f}H{x:.1f}" stroke="{look.strong}"'
                f' stroke-dasharray="1 3" stroke-width="2"/>'
            )
        if attempt.start is not None:
            parts.append(
                svg.element(
                    "rect",
                    x=x,
                    y=y,
                    width=width,
                    height=m.bar,
                    rx=2,
                    fill=look.pale if width > 5 else look.strong,
                    stroke=look.strong,
                    stroke_dasharray="4 2" if look.dashed else None,
                )
            )
        parts.append(self._inside(bar, x, y, width))
        return f"<g>{''.join(parts)}</g>"

    def _inside(self, bar: Bar, x: float, y: float, width: float) -> str:
        """The mark, and what more there is room for: names in shared rows, else how long it took."""
        attempt, m = bar.attempt, self._m
        size = m.bar - 4
        base = y + m.bar / 2 + m.size * 0.34
        if width < size + 3:
            beside = x + width + 3
            marked = attempt.state is not State.SUCCESS and self._roomy
            parts = [svg.mark(attempt.state, beside, y + 2, size=size)] if marked else []
            if self._roomy and bar.room > 60:
                after = beside + (size + 3 if marked else 0)
                parts.append(svg.text(after, base, 9.5, self._time(attempt), fill=svg.DIM))
            return "".join(parts)
        parts = [svg.mark(attempt.state, x + 2, y + 2, size=size)]
        label = self._time(attempt) if self._roomy else report.shown(attempt.task)
        room = svg.room(width - size - 6, m.size - 1)
        if self._roomy and svg.cells(label) > room:
            if bar.room > 60:
                parts.append(svg.text(x + width + 4, base, 9.5, label, fill=svg.DIM))
        elif room >= 3:
            parts.append(svg.text(x + size + 4, base, m.size - 1, svg.cut(label, room)))
        return "".join(parts)

    def _time(self, attempt: Attempt) -> str:
        number = f"#{attempt.attempt} " if attempt.attempt > 1 else ""
        if attempt.start is None:
            return f"{number}not started"
        return number + report.seconds(attempt.seconds(self._now))

    def _told(self, attempt: Attempt) -> Iterator[str]:
        yield attempt.task
        yield f"attempt {attempt.attempt}, {attempt.state}" + (
            f", on {attempt.target}" if attempt.target else ""
        )
        began = time.strftime("%H:%M:%S", time.localtime(attempt.begin))
        yield f"{began}, {self._time(attempt)}"
