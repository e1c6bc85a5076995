"""Which tasks of a plan are to run, when only a part of it is wanted.  Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from solar_orch.errors import CannotStart
from solar_orch.plan.graph import Predecessors
from solar_orch.states import DISPATCHABLE, VISITED, State


class Subject(Protocol):
    """What is looked at in a task."""

    @property
    def name(self) -> str: ...
    @property
    def status(self) -> State: ...
    @property
    def target(self) -> str | None: ...
    @property
    def tolerant(self) -> bool:
        """Whether it runs although predecessors failed."""

    @property
    def ignored(self) -> bool:
        """Whether its failure counts as visited."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What is to run.  Without any of these all of the plan is.

    Tasks are given as positions.
    """

    #: All paths from these on, as far as all else that a task waits for is visited.
    start: Collection[int] = ()
    #: These, and all that they wait for.
    end: Collection[int] = ()
    #: These alone.
    tasks: Collection[int] = ()
    #: Of what the others say only tasks with one of these targets.
    targets: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """What a filter makes of a plan; positions in topological order."""

    #: What will run, unless something before it fails.
    runs: list[int]
    #: What is, or becomes, SKIPPED.
    skipped: list[int]


def choose(tasks: Sequence[Subject], after: Predecessors, wanted: Filter) -> Choice:
    """Say which tasks run, and which are SKIPPED for that.

    What has been SKIPPED before may run now; what has ended otherwise stays as it is.

    :param tasks: in topological order
    :param after: of each task the positions of its predecessors
    :raises CannotStart: if one that is named to start, or to run alone, waits for what is neither visited nor
        chosen
    """
    visited = [_counts_as_visited(task) for task in tasks]
    chosen = _chosen(tasks, after, wanted, visited)
    for position in sorted({*wanted.start, *wanted.tasks} & chosen):
        _check(tasks, position, [p for p in after[position] if not visited[p] and p not in chosen])
    choice = Choice([], [])
    never: set[int] = set()
    for position, task in enumerate(tasks):
        if task.status not in DISPATCHABLE and task.status is not State.SKIPPED:
            continue
        blocked = not task.tolerant and not never.isdisjoint(after[position])
        if position in chosen and not blocked:
            choice.runs.append(position)
        else:
            never.add(position)
            choice.skipped.append(position)
    return choice


def _counts_as_visited(task: Subject) -> bool:
    return task.status in VISITED or (task.status is State.ERROR and task.ignored)


def _chosen(
    tasks: Sequence[Subject], after: Predecessors, wanted: Filter, visited: Sequence[bool]
) -> set[int]:
    chosen = set(range(len(tasks)))
    if wanted.start:
        chosen &= _paths_from(tasks, after, wanted.start, visited)
    if wanted.end:
        chosen &= _up_to(after, wanted.end)
    if wanted.tasks:
        chosen = {*(chosen if wanted.start or wanted.end else ()), *wanted.tasks}
    if wanted.targets:
        chosen = {position for position in chosen if tasks[position].target in wanted.targets}
    return chosen


def _paths_from(
    tasks: Sequence[Subject], after: Predecessors, start: Collection[int], visited: Sequence[bool]
) -> set[int]:
    """What is on a path from `start` on, and waits for nothing else that is not visited."""
    found: set[int] = set()
    begins = set(start)
    for position, before in enumerate(after):
        missing = [p for p in before if p not in found and not visited[p]]
        if position in begins:
            _check(tasks, position, missing)
            found.add(position)
        elif not missing and not found.isdisjoint(before):
            found.add(position)
    return found


def _up_to(after: Predecessors, end: Collection[int]) -> set[int]:
    found = set(end)
    for position in range(len(after) - 1, -1, -1):
        if position in found:
            found.update(after[position])
    return found


def _check(tasks: Sequence[Subject], position: int, missing: Sequence[int]) -> None:
    if missing:
        raise CannotStart(tasks[position].name, [tasks[p].name for p in missing])
