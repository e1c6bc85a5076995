"""Which edges of a graph are implied by others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from solar_orch.plan.graph import Predecessors

#: How many possible ancestors are looked at in one pass over the graph: the bits that are kept of each node.
_BLOCK = 4096


def implied(
    after: Predecessors, order: Sequence[int], through: Sequence[bool] | None = None
) -> Iterator[tuple[int, int, int]]:
    """The edges without which a node still comes after the same others.

    Takes memory in proportion to the number of nodes, and time to that of the
    edges for each few thousand of nodes.

    :param after: of each node its predecessors, without duplicates
    :param order: all nodes, each behind its predecessors
    :param through: of each node whether what is after it is also after what it is after itself;
        None: all are so
    :return: of each such edge the node where it begins, the node where it ends, and the predecessor
        of the latter by which it is implied
    """
    # The bit of a node is its place in `order`.
    place = [0] * len(order)
    for number, node in enumerate(order):
        place[node] = number
    for start in range(0, len(order), _BLOCK):
        yield from _implied_by_block(after, order[start:], through, place, start)


def _implied_by_block(
    after: Predecessors,
    nodes: Sequence[int],
    through: Sequence[bool] | None,
    place: Sequence[int],
    start: int,
) -> Iterator[tuple[int, int, int]]:
    """Those edges that begin at one of the first `_BLOCK` of `nodes`, which stand from `start` on."""
    end = start + _BLOCK
    # Of a node those in the block that come before it, and those that do so for what is after it.
    above: dict[int, int] = {}
    for node in nodes:
        far = near = 0
        for other in after[node]:
            if through is None or through[other]:
                far |= above.get(other, 0)
            if start <= place[other] < end:
                near |= 1 << (place[other] - start)
        if far & near:
            for other in after[node]:
                if start <= place[other] < end and far >> (place[other] - start) & 1:
                    yield other, node, _via(after[node], above, through, place[other] - start)
        if far | near:
            above[node] = far | near


def _via(before: Sequence[int], above: dict[int, int], through: Sequence[bool] | None, bit: int) -> int:
    return next(
        other for other in before if (through is None or through[other]) and above.get(other, 0) >> bit & 1
    )
