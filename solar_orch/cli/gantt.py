"""The timeline of a plan as text: a line for each attempt, with a bar from its start to its end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from solar_orch.cli.display import STYLES
from solar_orch.cli.table import terminal, width_of, write_line
from solar_orch.plan import report
from solar_orch.plan.timeline import Attempt, Axis
from solar_orch.states import State

if TYPE_CHECKING:
    from solar_orch.store.plans import PlanRow

#: What bars are made of; those told apart without colours, and in any encoding.
_FILLED = {
    State.SUCCESS: "=",
    State.ERROR: "x",
    State.ERROR_RETRY: "~",
    State.INPROGRESS: ">",
    State.PENDING: "-",
    State.SKIPPED: "-",
}
_WAITING = "."
_CUT = ":"

#: Cells between the labels above the bars, and that the bars get at least.
_TICKS = 8
_LEAST = 20
#: Part of the line that names may take.
_NAMES = 0.4

#: A piece of a line and its style.
_Piece = tuple[str, str]


def print_timeline(plan: PlanRow, attempts: Sequence[Attempt], now: float) -> None:
    """Write the timeline to stdout, as wide as the terminal, or as COLUMNS says, or 80 cells.

    :param attempts: in the order in which they began
    :param now: Unix seconds
    """
    write_line(report.headline(plan.uid, plan.name, plan.status))
    if attempts:
        _print(_lines(attempts, now, shutil.get_terminal_size((80, 24)).columns))


def _lines(attempts: Sequence[Attempt], now: float, width: int) -> Iterator[list[_Piece]]:
    names = [_name(attempt) for attempt in attempts]
    times = [report.seconds(one.seconds(now)) if one.start is not None else "" for one in attempts]
    left = min(max(map(width_of, names)), max(8, int(width * _NAMES)))
    middle = max(map(len, times))
    length = max(_LEAST, width - left - middle - 4)
    axis = Axis((one.span(now) for one in attempts), length, 3)
    indent = " " * (left + middle + 4)
    yield [(indent + _labels(axis, length), "bold")]
    for name, time, attempt in zip(names, times, attempts, strict=True):
        short = _cut(name, left)
        head = f"{short}{' ' * (left - width_of(short))}  {time:>{middle}}  "
        yield [(head, ""), *_bar(attempt, axis, length, now)]
    yield []
    yield [(_legend(attempts, bool(axis.cuts())), "dim")]


def _name(attempt: Attempt) -> str:
    number = f" #{attempt.attempt}" if attempt.attempt > 1 else ""
    return report.shown(attempt.task) + number


def _labels(axis: Axis, length: int) -> str:
    """The times since the beginning, each from where it stands on."""
    line = ""
    for place, label in axis.ticks(_TICKS):
        start = min(int(place), length - len(label))
        if start > len(line) or not line:
            line = line.ljust(start) + label
    return line


def _bar(attempt: Attempt, axis: Axis, length: int, now: float) -> list[_Piece]:
    dispatched, until = attempt.span(now)
    last = length - 1
    waiting = min(int(axis.at(dispatched)), last)
    start = min(int(axis.at(min(max(attempt.begin, dispatched), until))), last)
    end = min(max(int(axis.at(until)), start + 1), length)
    if attempt.start is None:
        start = end
    pieces = [(_blank(axis, 0, waiting), "dim")] if waiting else []
    if start > waiting:
        pieces.append((_WAITING * (start - waiting), "dim"))
    pieces.append((_FILLED[attempt.state] * (end - start), STYLES.get(attempt.state, "")))
    return pieces


def _blank(axis: Axis, start: int, end: int) -> str:
    """What is left of a bar; where time is left out there is a mark."""
    cuts = {int(place) for place in axis.cuts()}
    return "".join(_CUT if place in cuts else " " for place in range(start, end))


def _legend(attempts: Sequence[Attempt], cut: bool) -> str:
    there = {attempt.state for attempt in attempts}
    told = [f"{char} {state}" for state, char in _FILLED.items() if state in there - {State.PENDING}]
    if State.PENDING in there:
        told.append("- lost or handed back")
    told.append(f"{_WAITING} waiting for a worker")
    if cut:
        told.append(f"{_CUT} nothing ran for long")
    return "   ".join(told)


def _cut(text: str, most: int) -> str:
    """`text`, or its beginning and its end, if it is too long."""
    if width_of(text) <= most:
        return text
    from rich.cells import set_cell_size

    half = (most - 2) // 2
    return set_cell_size(text, most - 2 - half).rstrip() + ".." + text[-half:]


def _print(lines: Iterator[list[_Piece]]) -> None:
    console = terminal()
    if console is None:
        for line in lines:
            write_line("".join(text for text, _ in line).rstrip())
        return
    from rich.text import Text

    with console.capture() as capture:
        for line in lines:
            console.print(Text.assemble(*line), soft_wrap=True)
    write_line(capture.get().removesuffix("\n"))
