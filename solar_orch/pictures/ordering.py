"""In which order the tasks of a layer stand, so that few edges cross; igraph finds it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from solar_orch.pictures.extra import load

#: Edges through more layers than there are tasks, times this, are drawn straight: bends take room.
_MOST_BENDS = 6
_SWEEPS = 60


@dataclass(frozen=True, slots=True)
class Layers:
    """Tasks, and the bends of edges that pass through layers, numbered from that of the tasks on."""

    #: Of each layer what is in it, in order.
    members: list[list[int]]
    #: Of each edge, (from, to), its bends.
    bends: dict[tuple[int, int], list[int]]
    #: Between what stands in layers side by side, or else is joined.
    links: list[tuple[int, int]]


def ordered(after: Sequence[Sequence[int]], depths: Sequence[int]) -> Layers:
    """Layers in which few edges cross.

    :param after: of each task its predecessors
    :param depths: of each task the number of its layer, higher than those of its predecessors
    :raises MissingExtra: if igraph is not there
    """
    igraph = load("igraph")
    layer_of = list(depths)
    edges = [(other, node) for node, before in enumerate(after) for other in before]
    passed = sum(depths[node] - depths[other] - 1 for other, node in edges)
    bends: dict[tuple[int, int], list[int]] = {}
    links: list[tuple[int, int]] = []
    for other, node in edges:
        through: list[int] = []
        if passed <= _MOST_BENDS * len(after):
            between = range(depths[other] + 1, depths[node])
            through = list(range(len(layer_of), len(layer_of) + len(between)))
            layer_of += between
        bends[other, node] = through
        stops = [other, *through, node]
        links += itertools.pairwise(stops)
    layout = igraph.Graph(len(layer_of), links, directed=True).layout_sugiyama(
        layers=layer_of, maxiter=_SWEEPS
    )
    members: list[list[int]] = [[] for _ in range(max(layer_of, default=-1) + 1)]
    for _, one in sorted((layout[one][0], one) for one in range(len(layer_of))):
        members[layer_of[one]].append(one)
    return Layers(members, bends, links)
