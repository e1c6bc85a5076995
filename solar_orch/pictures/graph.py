"""The graph of a plan as SVG: tasks from left to right, each to the right of those that it waits for."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

from solar_orch.errors import PictureError
from solar_orch.pictures import svg
from solar_orch.pictures.looks import LOOKS
from solar_orch.pictures.ordering import ordered
from solar_orch.pictures.placing import Measures, Placed, path, place
from solar_orch.plan.model import Task
from solar_orch.plan.picture import Picture, depths
from solar_orch.plan.report import shown
from solar_orch.states import State

#: Tasks up to which there is room for two lines in each box.
_FEW = 150
#: Tasks that a picture may have.
MOST_TASKS = 5000
#: Names in a tooltip.
_MOST_NAMED = 12

_EDGE = "#80868b"
_PALE_EDGE = "#b9bec4"
_STRIPE = 20.0
_PAD = 6.0


def graph(picture: Picture, now: float) -> str:
    """The graph as an SVG file.

    :param now: Unix seconds, told in the picture
    :raises MissingExtra: if igraph is not there
    :raises PictureError: if it has more tasks than one could read
    """
    if len(picture.tasks) > MOST_TASKS:
        raise PictureError(
            f"the plan has {len(picture.tasks)} tasks, and a picture of more than {MOST_TASKS} could not be"
            " read; without -o, or into a .dot file, the graph is written as text"
        )
    return _Drawing(picture).document(now)


class _Drawing:
    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._roomy = len(picture.tasks) <= _FEW
        self._size = 11.0 if self._roomy else 9.5
        self._characters = min(25, max((svg.cells(shown(t.name)) for t in picture.tasks), default=0))
        # Where names tell the target already there is no room for it.
        self._target_characters = min(
            12,
            max(
                (svg.cells(t.target) for t in picture.tasks if t.target and t.target not in t.name), default=0
            ),
        )
        self._measures = self._chosen_measures()

    def document(self, now: float) -> str:
        picture = self._picture
        placed = place(ordered(picture.after, depths(picture.after)), len(picture.tasks), self._measures)
        line = self._line(now)
        width = max(placed.width + 2 * svg.MARGIN, svg.head_width(picture.title, line, picture.counts))
        height = placed.height + svg.HEAD + 2 * svg.MARGIN
        top = svg.HEAD + svg.MARGIN
        parts = [
            _ARROW if self._roomy else "",
            svg.head(picture.title, line, picture.counts),
            f'<g transform="translate({svg.MARGIN} {top})">',
            *self._edges(placed),
            *self._boxes(placed),
            "</g>",
        ]
        return svg.document(width, height, filter(None, parts))

    def _chosen_measures(self) -> Measures:
        edges = sum(map(len, self._picture.after))
        if self._roomy:
            width = max(90.0, math.ceil(self._characters * 11 * 0.61) + _STRIPE + 2 * _PAD)
            return Measures(width, 36.0, 12.0, 16.0, min(62.0, 44.0 + edges / 4), 2100.0)
        characters = self._characters + (self._target_characters and self._target_characters + 1)
        width = max(70.0, math.ceil(characters * 9.5 * 0.61) + 16.0 + 2 * 4)
        return Measures(width, 16.0, 5.0, 14.0, min(150.0, 50.0 + 4 * math.sqrt(edges)), 4200.0)

    def _line(self, now: float) -> str:
        picture = self._picture
        edges = sum(map(len, picture.after))
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        parts = [f"{len(picture.tasks)} tasks", f"{edges} edges from left to right"]
        if picture.left_out:
            parts.append(f"{picture.left_out} more are implied")
        return ", ".join([*parts, when])

    # -- edges -----------------------------------------------------------------------

    def _edges(self, placed: Placed) -> Iterator[str]:
        """Those behind failed tasks are drawn last, in their colour."""
        plain: list[str] = []
        failed: list[str] = []
        for (one, _), points in placed.routes.items():
            behind = self._picture.tasks[one].status is State.ERROR
            (failed if behind else plain).append(path(points))
        # No opacity, which takes resvg twice the time, and makes a blot where many edges meet.
        colour = _EDGE if self._roomy else _PALE_EDGE
        yield from self._strokes(plain, colour, "arrow")
        yield from self._strokes(failed, LOOKS[State.ERROR].strong, "arrow-failed")

    def _strokes(self, paths: Sequence[str], colour: str, arrow: str) -> Iterator[str]:
        if paths:
            width, marker = (1.2, f' marker-end="url(#{arrow})"') if self._roomy else (0.8, "")
            yield f'<g fill="none" stroke="{colour}" stroke-width="{width}">'
            for drawn in paths:
                yield f'<path d="{drawn}"{marker}/>'
            yield "</g>"

    # -- tasks -----------------------------------------------------------------------

    def _boxes(self, placed: Placed) -> Iterator[str]:
        draw = self._roomy_box if self._roomy else self._small_box
        for number, (task, (x, y)) in enumerate(zip(self._picture.tasks, placed.boxes, strict=True)):
            content = svg.title(self._told(number, task)) + draw(task)
            yield svg.element("g", content, transform=f"translate({svg.number(x)} {svg.number(y)})")

    def _told(self, number: int, task: Task) -> Iterator[str]:
        yield task.name
        yield f"{task.status}, {task.type}" + (f" on {task.target}" if task.target else "")
        before = [self._picture.tasks[other].name for other in self._picture.after[number]]
        if before:
            yield f"after {_listed(before)}"

    def _roomy_box(self, task: Task) -> str:
        width, height = self._measures.box_width, self._measures.box_height
        room = svg.room(width - _STRIPE - 2 * _PAD + 1, 11)
        below = " ".join([task.type, *(["on", task.target] if task.target else [])])
        return "".join(
            (
                _frame(task.status, width, height, _STRIPE),
                svg.mark(task.status, 4.0, height / 2 - 6, "#ffffff"),
                svg.text(_STRIPE + _PAD, 15.0, 11, svg.cut(task.name, room)),
                svg.text(
                    _STRIPE + _PAD,
                    28.5,
                    9.5,
                    svg.cut(below, svg.room(width - _STRIPE - 2 * _PAD, 9.5)),
                    fill=svg.DIM,
                ),
            )
        )

    def _small_box(self, task: Task) -> str:
        width, height = self._measures.box_width, self._measures.box_height
        target = svg.cut(task.target or "", self._target_characters)
        return "".join(
            (
                _frame(task.status, width, height, 15.0),
                svg.mark(task.status, 3.0, 3.5, "#ffffff", 9),
                svg.text(19.0, 11.5, 9.5, svg.cut(task.name, self._characters)),
                svg.text(width - 4, 11.5, 9.5, target, fill=svg.DIM, text_anchor="end") if target else "",
            )
        )


def _frame(state: State, width: float, height: float, stripe: float) -> str:
    """The box of a task, with a stripe at its left for the mark."""
    look = LOOKS[state]
    dashes = ' stroke-dasharray="4 2"' if look.dashed else ""
    return (
        f'<rect width="{svg.number(width)}" height="{svg.number(height)}" rx="3" fill="{look.pale}"'
        f' stroke="{look.strong}"{dashes}/>'
        f'<path d="M3 0H{stripe:.0f}V{height:.0f}H3A3 3 0 0 1 0 {height - 3:.0f}V3A3 3 0 0 1 3 0Z"'
        f' fill="{look.strong}"/>'
    )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _arrow(name: str, colour: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7"'
        f' orient="auto"><path d="M0 0.8L8 4L0 7.2Z" fill="{colour}"/></marker>'
    )


_ARROW = f"<defs>{_arrow('arrow', _EDGE)}{_arrow('arrow-failed', LOOKS[State.ERROR].strong)}</defs>"
