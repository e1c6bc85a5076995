"""Where the tasks of a graph stand, and how its edges go; all lengths in pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from solar_orch.pictures.levelling import level
from solar_orch.pictures.ordering import Layers

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Measures:
    """How large things are drawn."""

    box_width: float
    box_height: float
    #: Between rows; edges run there to tasks that stand in a second or later column of their layer.
    row_gap: float
    #: Between columns of one layer.
    column_gap: float
    #: Between layers.
    layer_gap: float
    #: Layers that would stand further to the right go below the others.
    most_width: float


@dataclass(frozen=True, slots=True)
class Placed:
    """A graph laid out, from left to right."""

    #: Of each task the left upper corner of its box.
    boxes: list[Point]
    #: Of each edge, (from, to), points between which it goes: every second piece is a straight line.
    routes: dict[tuple[int, int], list[Point]]
    width: float
    height: float


#: Width by height of a good picture.
_ASPECT = 1.5
_LEAST_ROWS = 24
_BAND_GAP = 44.0


def place(layers: Layers, size: int, measures: Measures) -> Placed:
    """Lay out a graph.

    :param size: the number of its tasks
    """
    return _Placing(layers, size, measures).placed()


class _Placing:
    def __init__(self, layers: Layers, size: int, measures: Measures) -> None:
        self._layers = layers
        self._size = size
        self._m = measures
        #: Of each layer the number of its columns.
        self._columns = self._chosen_columns()
        #: Of each task or bend (layer, row, column).
        self._cell: dict[int, tuple[int, int, int]] = {}
        self._rows: list[list[float]] = []
        for number, members in enumerate(layers.members):
            self._rows.append(self._fill(number, members))
        self._first_row = [0]
        for rows in self._rows:
            self._first_row.append(self._first_row[-1] + len(rows))

    def placed(self) -> Placed:
        m = self._m
        bands = self._bands()
        band_of = {layer: number for number, band in enumerate(bands) for layer in band}
        links = [
            (self._row(one), self._row(other))
            for one, other in self._layers.links
            if band_of[self._cell[one][0]] == band_of[self._cell[other][0]]
        ]
        levels = level(self._rows, links, m.row_gap)
        lefts: list[float] = []
        shifts: list[float] = []
        tops: list[float] = []
        bottom = 0.0
        for band in bands:
            spans = [
                (levels[row] - height / 2, levels[row] + height / 2)
                for layer in band
                for row, height in enumerate(self._rows[layer], self._first_row[layer])
            ]
            top = min(low for low, _ in spans)
            start = bottom + (_BAND_GAP if tops else 0.0)
            tops.append(start)
            left = 0.0
            for layer in band:
                lefts.append(left)
                shifts.append(start - top)
                left += self._layer_width(layer) + m.layer_gap
            bottom = start + max(high for _, high in spans) - top
        self._lefts, self._shifts, self._levels = lefts, shifts, levels
        self._band_of, self._tops = band_of, tops
        boxes = [self._corner(node) for node in range(self._size)]
        routes = {edge: self._route(edge, bends) for edge, bends in self._layers.bends.items()}
        width = max((lefts[layer] + self._layer_width(layer) for layer in range(len(lefts))), default=0.0)
        return Placed(boxes, routes, width, bottom)

    # -- columns and rows ----------------------------------------------------------

    def _chosen_columns(self) -> list[int]:
        """As many columns for each layer as make the whole neither too high nor too wide."""
        numbers = [sum(one < self._size for one in members) for members in self._layers.members]
        widest = max(numbers, default=0)
        found = [1] * len(numbers)
        best = math.inf
        rows = max(widest, _LEAST_ROWS)
        while True:
            columns = [math.ceil(number / rows) or 1 for number in numbers]
            wide = sum(self._width_of(count) + self._m.layer_gap for count in columns)
            high = min(rows, widest) * (self._m.box_height + self._m.row_gap)
            if wide > self._m.most_width > 0 and rows < widest:
                return found
            badness = abs(math.log(max(wide, 1.0) / max(high, 1.0) / _ASPECT))
            if badness < best:
                best, found = badness, columns
            if rows <= _LEAST_ROWS:
                return found
            rows = max(_LEAST_ROWS, int(rows * 0.85))

    def _fill(self, number: int, members: Sequence[int]) -> list[float]:
        """Give each member of a layer its cell; the heights of the rows."""
        heights: list[float] = []
        column = 0
        for one in members:
            is_task = one < self._size
            if is_task and column and heights[-1]:
                self._cell[one] = (number, len(heights) - 1, column)
            else:
                heights.append(self._m.box_height if is_task else 0.0)
                column = 0
                self._cell[one] = (number, len(heights) - 1, 0)
            column = (column + 1) % self._columns[number] if is_task else 0
        return heights

    def _row(self, one: int) -> int:
        layer, row, _ = self._cell[one]
        return self._first_row[layer] + row

    def _bands(self) -> list[list[int]]:
        """The layers that stand side by side; all bands are about as wide."""
        widths = [self._layer_width(layer) + self._m.layer_gap for layer in range(len(self._rows))]
        # The last gap is not drawn.
        most = self._m.most_width + self._m.layer_gap
        number = len(_packed(widths, most))
        # The narrowest that need no more bands than the widest.
        low, high = max(widths, default=0.0), max([most, *widths])
        while high - low > 1.0:
            middle = (low + high) / 2
            low, high = (low, middle) if len(_packed(widths, middle)) <= number else (middle, high)
        return _packed(widths, high)

    # -- places ----------------------------------------------------------------------

    def _width_of(self, columns: int) -> float:
        return columns * (self._m.box_width + self._m.column_gap) - self._m.column_gap

    def _layer_width(self, layer: int) -> float:
        return self._width_of(self._columns[layer])

    def _middle(self, one: int) -> float:
        return self._levels[self._row(one)] + self._shifts[self._cell[one][0]]

    def _corner(self, node: int) -> Point:
        layer, _, column = self._cell[node]
        x = self._lefts[layer] + column * (self._m.box_width + self._m.column_gap)
        return x, self._middle(node) - self._m.box_height / 2

    # -- edges -----------------------------------------------------------------------

    def _route(self, edge: tuple[int, int], bends: Sequence[int]) -> list[Point]:
        one, other = edge
        if self._band_of[self._cell[one][0]] != self._band_of[self._cell[other][0]]:
            return self._route_between_bands(one, other)
        points = self._out_of(one)
        for bend in bends:
            layer = self._cell[bend][0]
            y = self._middle(bend)
            points += [(self._lefts[layer], y), (self._lefts[layer] + self._layer_width(layer), y)]
        return points + self._into(other)

    def _out_of(self, node: int) -> list[Point]:
        """From the right side of its box to that of its layer."""
        layer, _, column = self._cell[node]
        x, y = self._corner(node)
        x, y = x + self._m.box_width, y + self._m.box_height / 2
        if column == self._columns[layer] - 1:
            return [(x, y), (x, y)]
        gutter = y + (self._m.box_height + self._m.row_gap) / 2
        right = self._lefts[layer] + self._layer_width(layer)
        return [(x, y), (x, y), (x + self._m.column_gap, gutter), (right, gutter)]

    def _into(self, node: int) -> list[Point]:
        """From the left side of its layer to that of its box."""
        layer, _, column = self._cell[node]
        x, y = self._corner(node)
        y += self._m.box_height / 2
        if not column:
            return [(x, y), (x, y)]
        gutter = y - (self._m.box_height + self._m.row_gap) / 2
        return [(self._lefts[layer], gutter), (x - self._m.column_gap, gutter), (x, y), (x, y)]

    def _route_between_bands(self, one: int, other: int) -> list[Point]:
        """Down to the space above the band, along it, and down again."""
        out, into = self._out_of(one), self._into(other)
        lane = self._tops[self._band_of[self._cell[other][0]]] - _BAND_GAP / 2
        right, left = out[-1][0] + self._m.layer_gap / 4, into[0][0] - self._m.layer_gap / 4
        return [*out, (right, lane), (left, lane), *into]


def _packed(widths: Sequence[float], most: float) -> list[list[int]]:
    """The places of `widths` in runs that are not wider than `most`, unless one alone is."""
    runs: list[list[int]] = []
    taken = math.inf
    for place_, width in enumerate(widths):
        if taken + width > most:
            runs.append([])
            taken = 0.0
        runs[-1].append(place_)
        taken += width
    return runs


def path(points: Sequence[Point]) -> str:
    """The edge as a path of SVG: curves, and between them straight lines."""
    x, y = points[0]
    pieces = [f"M{x:.0f} {y:.1f}"]
    for number, ((x1, y1), (x2, y2)) in enumerate(pairwise(points)):
        if number % 2 == 0:
            if (x1, y1) != (x2, y2):
                pieces.append(f"L{x2:.0f} {y2:.1f}")
        else:
            bend = abs(x2 - x1) / 2
            pieces.append(f"C{x1 + bend:.0f} {y1:.1f} {x2 - bend:.0f} {y2:.1f} {x2:.0f} {y2:.1f}")
    return "".join(pieces)
