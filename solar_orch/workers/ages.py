"""For how long attempts have been running, whatever becomes of the wall clock."""

from __future__ import annotations

from collections.abc import Sequence

from solar_orch.states import State
from solar_orch.store.loading import TaskState

#: States in which it matters for how long a task has been so.
_AGEING = frozenset({State.INPROGRESS, State.ERROR_RETRY})


class Ages:
    """For how long attempts have been running, or waiting after a failure, by the monotonic clock.

    A plan is loaded anew whenever it was steered, and the database's clock may
    have been set since: it is asked only for what this process has not seen itself.
    """

    def __init__(self) -> None:
        #: Position to attempt, its state, and since when it is in that.
        self._since: dict[int, tuple[int, State, float]] = {}
        #: When all that had happened was known.
        self._looked: float | None = None

    def note(self, position: int, attempt: int, state: State, now: float) -> None:
        """A task's state became `state`; repeated news changes nothing."""
        if state not in _AGEING:
            self._since.pop(position, None)
        elif self._since.get(position, (0, None))[:2] != (attempt, state):
            self._since[position] = (attempt, state, now)

    def note_look(self, now: float) -> None:
        """All that had happened before `now` has been noted."""
        self._looked = now

    def corrected(self, tasks: Sequence[TaskState], now: float) -> list[TaskState]:
        """The tasks of a plan as they were loaded, with the ages that are right."""
        return [task if (age := _age(task)) is None else self._corrected(task, age, now) for task in tasks]

    def _corrected(self, task: TaskState, age: float, now: float) -> TaskState:
        attempt, state, since = self._since.get(task.position, (0, None, 0.0))
        if (attempt, state) == (task.attempt, task.status):
            age = now - since
        elif self._looked is not None:
            age = min(age, now - self._looked)
        age = max(age, 0.0)
        self._since[task.position] = (task.attempt, task.status, now - age)
        return task._replace(dispatched_for=age, ended_for=age)


def _age(task: TaskState) -> float | None:
    """What of a task's ages matters in its state, by the database's clock; None if nothing does."""
    if task.status == State.INPROGRESS:
        return task.dispatched_for
    return task.ended_for if task.status in _AGEING else None
