from __future__ import annotations

from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from solar_orch.plan import reduction
from solar_orch.plan.reduction import implied

Graph = list[list[int]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    size = draw(st.integers(1, 12))
    return [
        draw(st.lists(st.integers(0, node - 1), max_size=5, unique=True)) if node else []
        for node in range(size)
    ]


def reached(after: Graph, node: int, through: list[bool]) -> set[int]:
    """What comes before a node, found by walking."""
    seen: set[int] = set()
    waiting = list(after[node])
    while waiting:
        before = waiting.pop()
        if before not in seen:
            seen.add(before)
            waiting.extend(after[before] if through[before] else [])
    return seen


def brute(after: Graph, through: list[bool]) -> set[tuple[int, int]]:
    """Of each edge it is tried whether its end is reached without it."""
    found = set()
    for node, before in enumerate(after):
        for other in before:
            rest = [*after[:node], [one for one in before if one != other], *after[node + 1 :]]
            if other in reached(rest, node, through):
                found.add((other, node))
    return found


@given(graphs(), st.data(), st.integers(1, 5))
def test_it_finds_what_trying_each_edge_finds(after: Graph, data: st.DataObject, block: int) -> None:
    through = data.draw(st.lists(st.booleans(), min_size=len(after), max_size=len(after)))
    with mock.patch.object(reduction, "_BLOCK", block):
        found = list(implied(after, range(len(after)), through))
    assert len(found) == len({(other, node) for other, node, _ in found})
    assert {(other, node) for other, node, _ in found} == brute(after, through)
    for other, node, via in found:
        assert via in after[node]
        assert other in reached(after, via, through)


@given(graphs())
def test_without_what_is_implied_nothing_more_is_and_the_same_is_reached(after: Graph) -> None:
    everything = [True] * len(after)
    order = range(len(after))
    gone = {(other, node) for other, node, _ in implied(after, order)}
    left = [[other for other in before if (other, node) not in gone] for node, before in enumerate(after)]
    assert list(implied(left, order)) == []
    for node in order:
        assert reached(left, node, everything) == reached(after, node, everything)


def test_nodes_may_stand_in_another_order_than_their_numbers() -> None:
    assert list(implied([[1, 2], [2], []], [2, 1, 0])) == [(2, 0, 1)]
    assert list(implied([], [])) == []


def test_a_hundred_thousand_nodes_are_no_burden() -> None:
    size = 100_000
    after = [[], *([node - 1] for node in range(1, size))]
    after[-1] = [size - 2, 0, size - 3]
    assert list(implied(after, range(size))) == [(0, size - 1, size - 2), (size - 3, size - 1, size - 2)]
