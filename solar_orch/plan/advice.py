"""What is odd about a plan that has no mistakes."""

from __future__ import annotations

from solar_orch.plan.checker import Checker
from solar_orch.plan.complaints import Complaints
from solar_orch.plan.model import FAULT_TOLERANCE, Task
from solar_orch.plan.reader import shortened
from solar_orch.plan.reduction import implied
from solar_orch.plan.unreachable import never_runs
from solar_orch.states import VISITED, State


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
    # An edge from a task that ends well whatever was before it implies nothing.
    through = [task.type != FAULT_TOLERANCE and task.status not in VISITED for task in tasks]
    for other, index, by in implied(edges.after, edges.order, through):
        used = {use.reference.task for use in checker.variables.uses.get(index, ())}
        if tasks[index].type == FAULT_TOLERANCE or tasks[other].name in used:
            continue
        message = (
            f"{shortened(tasks[index].name)} waits for {shortened(tasks[other].name)} anyway,"
            f" because it waits for {shortened(tasks[by].name)}"
        )
        complaints.add(edges.path(other, index), message)
