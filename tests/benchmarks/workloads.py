"""The graphs of tasks that do nothing, and how they are written as plan files."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

#: Of each task, the numbers of the tasks that it waits for; these stand before it.
Parents = list[list[int]]

_SEED = 20


@dataclass(frozen=True)
class Workload:
    """One or more plans that are run at once."""

    name: str
    shape: str
    #: Of the shape: numbers of plans, layers and tasks in a layer.
    plans: int = 1
    depth: int = 1
    width: int = 1
    #: In how many rounds it is run at most.
    rounds: int = 99

    @property
    def title(self) -> str:
        """For people."""
        return _TITLES[self.shape].format(self)

    @property
    def size(self) -> int:
        """Number of tasks."""
        return sum(len(parents) for parents in self.graphs)

    @cached_property
    def graphs(self) -> list[Parents]:
        return [_SHAPES[self.shape](self.depth, self.width, _SEED + plan) for plan in range(self.plans)]

    def scaled(self, plans: int, depth: int, width: int) -> Workload:
        """The same in another size, for those that are slow."""
        if (plans, depth, width) == (self.plans, self.depth, self.width):
            return self
        return replace(self, plans=plans, depth=depth, width=width)


def _layers(depth: int, width: int, seed: int) -> Parents:
    """Each task waits for three of the layer above, drawn at random."""
    draw = random.Random(seed)
    above = range(0)
    parents: Parents = []
    for layer in range(depth):
        parents += [sorted(draw.sample(above, min(3, len(above)))) for _ in range(width)]
        above = range(layer * width, (layer + 1) * width)
    return parents


def _chain(depth: int, width: int, seed: int) -> Parents:
    return [[number - 1] if number else [] for number in range(depth)]


def _fan(depth: int, width: int, seed: int) -> Parents:
    return [[] for _ in range(width)]


def _diamond(depth: int, width: int, seed: int) -> Parents:
    """One task, then all others but one, then that one."""
    return [[], *([0] for _ in range(width - 2)), list(range(1, width - 1))]


_SHAPES = {"layers": _layers, "chain": _chain, "fan": _fan, "many": _diamond}

_TITLES = {
    "chain": "chain of {0.depth:,}",
    "fan": "fan of {0.width:,}",
    "layers": "layers {0.depth:,} x {0.width:,}",
    "many": "{0.plans:,} plans of {0.width:,}",
}

CHAIN = Workload("chain", "chain", depth=1000)
FAN = Workload("fan", "fan", width=10_000)
LAYERS = Workload("layers", "layers", depth=10, width=1000)
MANY = Workload("many", "many", plans=200, width=10)
#: Against which the time for each task of the large plan is held.
SMALL = Workload("small", "layers", depth=10, width=100)
LARGE = Workload("large", "layers", depth=100, width=1000, rounds=1)

WORKLOADS = {workload.name: workload for workload in (CHAIN, FAN, LAYERS, MANY, SMALL, LARGE)}


def plan(parents: Parents, name: str = "bench") -> dict[str, Any]:
    """The content of a plan file."""
    return {"name": name, "tasks": list(_tasks(parents))}


def as_json(parents: Parents) -> str:
    return json.dumps(plan(parents))


def as_yaml(parents: Parents) -> str:
    """Written by hand, since PyYAML needs longer for the largest plan than is measured then."""
    lines = ["name: bench", "tasks:"]
    for task in _tasks(parents):
        lines += [f"  - uid: {task['uid']}", "    parameters:", "      type: noop"]
        if task["after"]:
            lines.append(f"    after: [{', '.join(task['after'])}]")
    return "\n".join([*lines, ""])


def _tasks(parents: Parents) -> Iterator[dict[str, Any]]:
    for number, above in enumerate(parents):
        yield {
            "uid": _name(number),
            "parameters": {"type": "noop"},
            "after": [_name(parent) for parent in above],
        }


def _name(number: int) -> str:
    return f"t{number:06}"
