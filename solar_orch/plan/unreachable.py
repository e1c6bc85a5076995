"""Tasks that can never run, because of the states that others are in from the start."""

from __future__ import annotations

from collections.abc import Sequence

from solar_orch.plan.graph import Predecessors
from solar_orch.plan.model import FAULT_TOLERANCE, OnError, Task
from solar_orch.plan.verdict import are_enough
from solar_orch.states import SETTLED, State


def never_runs(tasks: Sequence[Task], after: Predecessors, order: Sequence[int]) -> dict[int, int]:
    """The tasks that can never run, each with a predecessor that keeps it from that.

    :param after: of each task its predecessors
    :param order: all tasks in topological order
    """
    kept: dict[int, int] = {}
    #: Those that will not have succeeded, whatever happens.
    lost: set[int] = set()
    #: Of these, those that let no other start.
    blocking: set[int] = set()
    for index in order:
        task = tasks[index]
        failed = task.status in (State.ERROR, State.SKIPPED)
        if task.status not in SETTLED:
            if task.type == FAULT_TOLERANCE:
                good = sum(other not in lost for other in after[index])
                failed = not are_enough(good, len(after[index]), float(task.args[0]))
            elif (cause := next((other for other in after[index] if other in blocking), None)) is not None:
                kept[index] = cause
        if failed or index in kept:
            lost.add(index)
            if index in kept or task.status is State.SKIPPED or task.on_error is not OnError.IGNORE:
                blocking.add(index)
    return kept
