from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from solar_orch.plan import graph


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    size = draw(st.integers(1, 12))
    nodes = st.integers(0, size - 1)
    return [[p for p in draw(st.lists(nodes, max_size=3, unique=True)) if p != node] for node in range(size)]


def reaches_itself(after: list[list[int]], node: int) -> bool:
    seen: set[int] = set()
    waiting = list(after[node])
    while waiting:
        before = waiting.pop()
        if before not in seen:
            seen.add(before)
            waiting.extend(after[before])
    return node in seen


def is_cycle(after: list[list[int]], cycle: list[int]) -> bool:
    return all(cycle[i - 1] in after[node] for i, node in enumerate(cycle))


def test_order_is_that_of_the_file_where_edges_allow() -> None:
    assert graph.topological_order([[], [], []]) == [0, 1, 2]
    assert graph.topological_order([[2], [], []]) == [1, 2, 0]
    assert graph.topological_order([[3], [0], [], []]) == [2, 3, 0, 1]
    assert graph.topological_order([]) == []


def test_each_of_several_cycles_is_found() -> None:
    after = [[1], [0], [4], [2], [3], [4], []]
    assert sorted(graph.find_cycles(after)) == [[0, 1], [2, 3, 4]]
    assert len(graph.find_cycles(after, limit=1)) == 1
    assert graph.find_cycles([[], [0]]) == []


def test_cycles_that_hang_together_but_share_no_task_are_all_found() -> None:
    after = [[1], [0], [3, 0], [2]]
    assert sorted(graph.find_cycles(after)) == [[0, 1], [2, 3]]


def test_a_short_cycle_is_preferred() -> None:
    # A ring of 50, with a chord that makes a cycle of three.
    after = [[(node - 1) % 50] for node in range(50)]
    after[0].append(2)
    assert graph.find_cycles(after) == [[0, 1, 2]]


@settings(max_examples=300, deadline=None)
@given(graphs())
def test_order_or_cycles(after: list[list[int]]) -> None:
    order = graph.topological_order(after)
    cycles = graph.find_cycles(after)
    on_cycle = {node for node in range(len(after)) if reaches_itself(after, node)}
    assert bool(cycles) == bool(on_cycle) == (len(order) < len(after))
    place = {node: i for i, node in enumerate(order)}
    assert all(place[before] < place[node] for node in order for before in after[node])
    # Stable: whenever the order steps down, the lower one could not have gone before.
    for i in range(1, len(order)):
        if order[i] < order[i - 1]:
            assert order[i - 1] in after[order[i]]
    seen: list[int] = []
    for cycle in cycles:
        assert is_cycle(after, cycle)
        assert cycle[0] == min(cycle)
        assert len(set(cycle)) == len(cycle)
        seen += cycle
    assert len(set(seen)) == len(seen)
    # None is left: without the tasks of those cycles there is an order.
    if len(cycles) < 10:
        gone = set(seen)
        rest = [[b for b in before if not {b, node} & gone] for node, before in enumerate(after)]
        assert len(graph.topological_order(rest)) == len(after)


def test_a_hundred_thousand_tasks_in_a_ring_and_layers() -> None:
    size = 100_000
    ring = [[(node - 1) % size] for node in range(size)]
    [cycle] = graph.find_cycles(ring)
    assert cycle == list(range(size))
    chance = random.Random(7)
    layered = [[chance.randrange(node) for _ in range(3)] if node else [] for node in range(size)]
    layered = [list(dict.fromkeys(before)) for before in layered]
    assert graph.topological_order(layered) == list(range(size))
    layered[5].append(size - 1)
    layered[size - 1].append(5)
    assert [5, size - 1] in graph.find_cycles(layered)
