"""How high each row of each layer stands: near what it is joined to, and not in the way of others."""

from __future__ import annotations

from collections.abc import Sequence

_SWEEPS = 12


def level(layers: Sequence[Sequence[float]], links: Sequence[tuple[int, int]], gap: float) -> list[float]:
    """The middle of each row, in pixels below the highest edge.

    Rows have numbers, from the first of the first layer to the last of the last.

    :param layers: of each layer the heights of its rows, from above
    :param links: rows that are joined, the one of the lower layer first
    :param gap: pixels that are left between two rows
    """
    heights = [height for layer in layers for height in layer]
    ranges: list[range] = []
    for layer in layers:
        start = ranges[-1].stop if ranges else 0
        ranges.append(range(start, start + len(layer)))
    before: list[list[int]] = [[] for _ in heights]
    behind: list[list[int]] = [[] for _ in heights]
    for one, other in links:
        behind[one].append(other)
        before[other].append(one)
    middles = [0.0] * len(heights)
    for rows in ranges:
        _settle(rows, middles, heights, gap)
    for sweep in range(_SWEEPS):
        forth = sweep % 2 == 0
        sides = (before, behind) if sweep < _SWEEPS - 2 else (_joined(before, behind),) * 2
        for rows in ranges if forth else reversed(ranges):
            _draw_near(rows, middles, sides[0] if forth else sides[1])
            _settle(rows, middles, heights, gap)
    top = min((middle - height / 2 for middle, height in zip(middles, heights, strict=True)), default=0.0)
    return [middle - top for middle in middles]


def _joined(before: list[list[int]], behind: list[list[int]]) -> list[list[int]]:
    return [[*one, *other] for one, other in zip(before, behind, strict=True)]


def _draw_near(rows: range, middles: list[float], neighbours: list[list[int]]) -> None:
    for row in rows:
        near = neighbours[row]
        if near:
            middles[row] = sum(middles[other] for other in near) / len(near)


def _settle(rows: range, middles: list[float], heights: list[float], gap: float) -> None:
    """Move rows apart, as little as can be, until they do not overlap and stand in order.

    Rows that get into each other's way become one block, which stands where they would be on average.
    """
    # The sum and number of a block's wishes: where its first row would have to be.
    blocks: list[tuple[float, int]] = []
    offsets = []
    offset = 0.0
    for row in rows:
        if row > rows.start:
            offset += (heights[row - 1] + heights[row]) / 2 + gap
        offsets.append(offset)
        total, number = middles[row] - offset, 1
        while blocks and blocks[-1][0] * number >= total * blocks[-1][1]:
            other, more = blocks.pop()
            total, number = total + other, number + more
        blocks.append((total, number))
    settled = [total / number for total, number in blocks for _ in range(number)]
    for row, wish, offset in zip(rows, settled, offsets, strict=True):
        middles[row] = wish + offset
