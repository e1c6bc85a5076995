"""Order and cycles of a graph whose nodes are 0 .. n-1, the places of tasks in a file.

A graph is given by each node's predecessors, without duplicates.  Nothing here recurses.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence

Predecessors = Sequence[Sequence[int]]


def topological_order(after: Predecessors) -> list[int]:
    """All nodes, each behind its predecessors; among equals the lower number first.

    Nodes on a cycle, and what is behind one, are left out: the result is shorter than
    `after` if and only if there is a cycle.
    """
    following = _successors(after)
    missing = [len(before) for before in after]
    ready = [node for node, count in enumerate(missing) if not count]
    order: list[int] = []
    while ready:
        node = heapq.heappop(ready)
        order.append(node)
        for successor in following[node]:
            missing[successor] -= 1
            if not missing[successor]:
                heapq.heappush(ready, successor)
    return order


def longest_below(children: Sequence[Sequence[int]]) -> list[int]:
    """Of each node the number of nodes on the longest path below it.

    :param children: of each node those that follow it; no node comes before one that it follows
    """
    below = [0] * len(children)
    for node in range(len(children) - 1, -1, -1):
        for child in children[node]:
            if below[child] >= below[node]:
                below[node] = below[child] + 1
    return below


def find_cycles(after: Predecessors, limit: int = 10) -> list[list[int]]:
    """Up to `limit` cycles that have no node in common, so that each needs a repair of its own.

    :return: each cycle as nodes of which every one precedes the next, and the last the
        first; it begins at its lowest number, and is short where that is cheap to find.
        Empty if there is no cycle.
    """
    following = _successors(after)
    missing = [len(before) for before in after]
    left = set(range(len(after)))
    _peel(left, [node for node in left if not missing[node]], following, missing)
    cycles: list[list[int]] = []
    while left and len(cycles) < limit:
        start = min(_some_cycle(min(left), after, left))
        cycle = _shortest_through(start, following, left)
        lowest = cycle.index(min(cycle))
        cycles.append(cycle[lowest:] + cycle[:lowest])
        _peel(left, cycle, following, missing)
    return cycles


def _successors(after: Predecessors) -> list[list[int]]:
    following: list[list[int]] = [[] for _ in after]
    for node, before in enumerate(after):
        for predecessor in before:
            following[predecessor].append(node)
    return following


def _peel(left: set[int], gone: list[int], following: list[list[int]], missing: list[int]) -> None:
    """Take `gone` out of `left`, and what then has no predecessor left in it, and so on."""
    left.difference_update(gone)
    waiting = list(gone)
    while waiting:
        for successor in following[waiting.pop()]:
            missing[successor] -= 1
            if not missing[successor] and successor in left:
                left.discard(successor)
                waiting.append(successor)


def _some_cycle(node: int, after: Predecessors, left: set[int]) -> list[int]:
    """Walk from `node` to predecessors; every node of `left` has one there, so the walk closes."""
    step_of: dict[int, int] = {}
    walk: list[int] = []
    while node not in step_of:
        step_of[node] = len(walk)
        walk.append(node)
        node = next(predecessor for predecessor in after[node] if predecessor in left)
    return walk[step_of[node] :]


def _shortest_through(start: int, following: list[list[int]], left: set[int]) -> list[int]:
    came_from: dict[int, int] = {}
    waiting = deque([start])
    while start not in came_from:
        node = waiting.popleft()
        for successor in following[node]:
            if successor in left and successor not in came_from:
                came_from[successor] = node
                waiting.append(successor)
    cycle = [start]
    while came_from[cycle[-1]] != start:
        cycle.append(came_from[cycle[-1]])
    return [start, *reversed(cycle[1:])]
