"""In which order a plan would run if all went well: the real machine, with a clock that stands still.

Each wave is what may be in progress at once; all of it ends, well, and then comes the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from solar_orch.plan.graph import longest_below
from solar_orch.plan.limits import Key, Limited, Limits, Rule
from solar_orch.plan.model import FAULT_TOLERANCE, OnError, Plan, Task
from solar_orch.plan.progress import Dispatch, Progress
from solar_orch.plan.verdict import are_enough
from solar_orch.states import DISPATCHABLE, VISITED, State

#: A plan that is only thought of has no worker that could be lost, so that nothing is sent again.
_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Start:
    """A task and what comes before its start."""

    task: Task
    #: The limit that kept it from the wave before: ``target NAME``, ``type NAME``, ``limit NAME`` or
    #: ``max_inprogress``; None if none did.
    held_by: str | None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How a plan would run.

    :ivar waves: the tasks of each in the order of their starts
    :ivar never: tasks that would not run although nothing is wrong with them, in the order of the plan
    :ivar critical: the longest path of tasks that would run and wait for each other; one of them if there
        are several
    """

    waves: list[list[Start]]
    never: list[Task]
    critical: list[Task]


class _Subject(NamedTuple):
    """What the machine and the limits are told of a task; nothing takes any time."""

    position: int
    name: str
    status: State
    tolerant: bool
    ignored: bool
    weight: float | None
    target: str | None
    limited_type: str
    type_limit: int | None
    attempt: int = 0
    claimed: bool = True
    timeout: float | None = None
    dispatched_for: float | None = None
    retry_delay: float = 0.0
    retry_delay_max: float | None = None
    failures: int = 0
    ended_for: float | None = None


def _subject(position: int, task: Task) -> _Subject:
    return _Subject(
        position,
        task.name,
        task.status,
        tolerant=task.type == FAULT_TOLERANCE,
        ignored=task.on_error is OnError.IGNORE,
        weight=task.weight,
        target=task.target,
        limited_type=task.limited_type,
        type_limit=task.type_limit,
    )


def rehearse(
    plan: Plan,
    *,
    max_inprogress: int,
    target_limit: int,
    rules_of: Callable[[Sequence[Limited]], Sequence[Rule]] = lambda _: (),
) -> Rehearsal:
    """The order in which the plan would run if no task failed and every condition held.

    A ``fault_tolerance`` task fails where too many of those before it cannot succeed.

    :param max_inprogress: tasks in progress at once
    :param target_limit: tasks with one target in progress at once
    :param rules_of: makes the further limits, of the plan's tasks
    """
    return _Rehearsing(plan, max_inprogress, target_limit, rules_of).result()


class _Rehearsing:
    def __init__(
        self,
        plan: Plan,
        max_inprogress: int,
        target_limit: int,
        rules_of: Callable[[Sequence[Limited]], Sequence[Rule]],
    ) -> None:
        self._tasks = plan.tasks
        place = {task.name: position for position, task in enumerate(plan.tasks)}
        self._after = [[place[name] for name in task.after] for task in plan.tasks]
        self._subjects = [_subject(position, task) for position, task in enumerate(plan.tasks)]
        self._limits = (max_inprogress, target_limit, rules_of(self._subjects))
        self._progress = Progress(
            self._subjects,
            ((child, parent) for child, before in enumerate(self._after) for parent in before),
            max_inprogress=max_inprogress,
            target_limit=target_limit,
            resend_interval=_NEVER,
            now=0.0,
            rules=self._limits[2],
        )
        self._states = [task.status for task in plan.tasks]
        #: The number of the wave in which a task is, for those that run.
        self._wave_of: dict[int, int] = {}

    def result(self) -> Rehearsal:
        waves = list(self._waves())
        never = [
            task
            for position, task in enumerate(self._tasks)
            if task.status in DISPATCHABLE and position not in self._wave_of
        ]
        return Rehearsal(list(self._starts(waves)), never, self._critical())

    def _waves(self) -> Iterator[list[int]]:
        # What is in progress already, of a plan in the database, is in the first wave.
        running = [place for place, state in enumerate(self._states) if state is State.INPROGRESS]
        number = 0
        while wave := running + self._dispatched():
            for position in wave:
                self._wave_of[position] = number
            for position in wave:
                self._states[position] = self._outcome(position)
                self._progress.changed(position, 1, self._states[position], 0.0)
            yield wave
            running, number = [], number + 1

    def _dispatched(self) -> list[int]:
        decisions = self._progress.decide(0.0)
        started = [decision.position for decision in decisions if isinstance(decision, Dispatch)]
        for position in started:
            self._progress.changed(position, 1, State.INPROGRESS, 0.0)
        return started

    def _outcome(self, position: int) -> State:
        task, before = self._tasks[position], self._after[position]
        if task.type != FAULT_TOLERANCE:
            return State.SUCCESS
        succeeded = sum(self._states[other] in VISITED for other in before)
        return State.SUCCESS if are_enough(succeeded, len(before), float(task.args[0])) else State.ERROR

    # -- what held them back ---------------------------------------------------------

    def _starts(self, waves: list[list[int]]) -> Iterator[list[Start]]:
        limits = Limits(*self._limits)
        for number, wave in enumerate(waves):
            yield [Start(self._tasks[position], self._held_by(position, number, limits)) for position in wave]
            limits = Limits(*self._limits)
            for position in wave:
                limits.add(self._subjects[position])

    def _held_by(self, position: int, number: int, full: Limits) -> str | None:
        """What kept a task from the wave before.

        :param full: the limits as that wave had filled them
        """
        waited = max((self._wave_of.get(other, -1) for other in self._after[position]), default=-1)
        if waited + 1 >= number:
            return None
        subject = self._subjects[position]
        key = full.blocking(subject, full.keys(subject))
        if key is not None:
            return _named(key)
        return "max_inprogress" if full.full else None

    # -- the critical path -------------------------------------------------------------

    def _critical(self) -> list[Task]:
        children: list[list[int]] = [[] for _ in self._tasks]
        for child, before in enumerate(self._after):
            for parent in before:
                if child in self._wave_of and parent in self._wave_of:
                    children[parent].append(child)
        below = longest_below(children)
        path: list[int] = []
        following: Sequence[int] = list(self._wave_of)
        while following:
            path.append(max(following, key=lambda position: (below[position], -position)))
            following = children[path[-1]]
        return [self._tasks[position] for position in path]


def _named(key: Key) -> str:
    return f"{key[0]} {key[1]}"
