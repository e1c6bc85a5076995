"""What is odd about a plan that has no mistakes."""

from __future__ import annotations

from solar_orch.plan.checker import Checker
from solar_orch.plan.complaints import Complaints
from solar_orch.plan.model import FAULT_TOLERANCE, Task
from solar_orch.plan.reader import shortened
from solar_orch.plan.unreachable import never_runs
from solar_orch.states import VISITED, State

#: Edges that are followed in search of those that others imply.
_MAX_STEPS = 2_000_000


def advise(checker: Checker, complaints: Complaints) -> None:
    """Tell of variables that nothing uses, tasks that can never run, and edges that others imply.

    :param checker: of a plan without mistakes, which has not been asked for it yet
    """
    for name in checker.variables.unused():
        complaints.add(("vars", name), f"nothing uses the variable {shortened(name)}", on_key=True)
    tasks = [Task(str(entry.name), **entry.parameters) for entry in checker.entries]
    _tell_of_unreachable(checker, tasks, complaints)
    _tell_of_implied(checker, tasks, complaints)


def _tell_of_unreachable(checker: Checker, tasks: list[Task], complaints: Complaints) -> None:
    edges = checker.edges
    kept = never_runs(tasks, edges.after, edges.order)
    for index, cause in kept.items():
        other = tasks[cause]
        why = f"is {other.status}" if other.status in (State.ERROR, State.SKIPPED) else "is bound to fail"
        if cause in kept:
            why = "cannot either"
        message = f"the task {shortened(tasks[index].name)} can never run: {shortened(other.name)} {why}"
        complaints.add(("tasks", index, "uid"), message)


def _tell_of_implied(checker: Checker, tasks: list[Task], complaints: Complaints) -> None:
    edges = checker.edges
    place = {index: number for number, index in enumerate(edges.order)}
    # An edge from a task that ends well whatever was before it implies nothing.
    through = [task.type != FAULT_TOLERANCE and task.status not in VISITED for task in tasks]
    steps = 0
    for number, index in enumerate(edges.order):
        before = edges.after[index]
        if len(before) < 2 or tasks[index].type == FAULT_TOLERANCE:
            continue
        if steps > _MAX_STEPS:
            message = f"edges that others imply were looked for in the first {number} tasks only"
            complaints.add((), message)
            return
        used = {use.reference.task for use in checker.variables.uses.get(index, ())}
        lowest = min(place[other] for other in before)
        # Task -> the direct predecessor by which it was come to.
        seen: dict[int, int] = {}
        waiting = [(other, other) for other in before if through[other]]
        while waiting:
            found, by = waiting.pop()
            for above in edges.after[found]:
                steps += 1
                if above not in seen and place[above] >= lowest:
                    seen[above] = by
                    if through[above]:
                        waiting.append((above, by))
        for other in before:
            if other in seen and tasks[other].name not in used:
                message = (
                    f"{shortened(tasks[index].name)} waits for {shortened(tasks[other].name)} anyway,"
                    f" because it waits for {shortened(tasks[seen[other]].name)}"
                )
                complaints.add(edges.path(other, index), message)
