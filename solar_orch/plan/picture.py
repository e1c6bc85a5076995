"""A plan as it is drawn: its tasks, and those edges that no others imply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from solar_orch.plan.model import FAULT_TOLERANCE, Plan, Task
from solar_orch.plan.reduction import implied
from solar_orch.states import State

#: The states in the order in which they are told, in legends.
STATES = (
    State.SUCCESS,
    State.INPROGRESS,
    State.ERROR,
    State.ERROR_RETRY,
    State.SKIPPED,
    State.NOOP,
    State.PENDING,
)


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn of a plan."""

    #: Its uid, or its name if it has none.
    title: str
    #: In topological order.
    tasks: list[Task]
    #: Of each task the places of those that it is drawn behind.
    after: list[list[int]]
    #: How many edges are not drawn because others imply them.
    left_out: int

    @property
    def counts(self) -> dict[State, int]:
        """Number of the tasks in each state that there is, in the order of legends."""
        found = dict.fromkeys(STATES, 0)
        for task in self.tasks:
            found[task.status] += 1
        return {state: number for state, number in found.items() if number}


def picture(plan: Plan) -> Picture:
    """What is drawn of a plan.

    Edges to a ``fault_tolerance`` task stay, because it counts those that it waits for,
    and edges from one imply no others, because it may succeed without them.
    """
    tasks = plan.tasks
    places = {task.name: place for place, task in enumerate(tasks)}
    after = [[places[name] for name in task.after] for task in tasks]
    through = [task.type != FAULT_TOLERANCE for task in tasks]
    gone: list[set[int]] = [set() for _ in tasks]
    for other, node, _ in implied(after, range(len(tasks)), through):
        if through[node]:
            gone[node].add(other)
    drawn = [[other for other in before if other not in gone[node]] for node, before in enumerate(after)]
    return Picture(plan.uid or plan.name, list(tasks), drawn, sum(map(len, gone)))


def depths(after: Sequence[Sequence[int]]) -> list[int]:
    """Of each node the number of nodes on the longest path above it.

    :param after: of each node its predecessors, which have lower numbers
    """
    found: list[int] = []
    for before in after:
        found.append(1 + max((found[other] for other in before), default=-1))
    return found
