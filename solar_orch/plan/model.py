"""What a plan is made of."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from typing import Any

from solar_orch.states import State

#: Seconds that a task without ``retry_delay_max`` waits at most, unless its ``retry_delay`` is longer.
RETRY_DELAY_MAX = 3600.0

#: The type of a task that runs although some of its predecessors failed, once none of them can go on;
#: it judges how many did.
FAULT_TOLERANCE = "fault_tolerance"
#: Types whose first argument, where it is a text, is a command for a shell.
SHELL_TYPES = frozenset({"cmd", "ssh"})


class OnLost(enum.StrEnum):
    """What becomes of a task whose attempt was lost with its worker."""

    #: It is run again.
    RERUN = "rerun"
    #: It ends in ERROR: it must not run twice.
    ERROR = "error"


class OnError(enum.StrEnum):
    """What the failure of a task means to those that wait for it, and to the plan."""

    #: They never start, and the plan has failed.
    FAIL = "fail"
    #: It counts as visited, and as no failure of the plan.
    IGNORE = "ignore"


@dataclass(slots=True)
class Task:
    """One task as the plan states it."""

    #: Its name within the plan; ``uid`` in a plan file.
    name: str
    #: Name of a task type of the tasks worker.
    type: str
    #: In the texts of both, references (see ``plan.templates``) stand for what is filled in later.
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    #: Host or group it is for; ``target_limit`` tasks of one target run at once.
    target: str | None = None
    #: Seconds that an attempt may run.
    timelimit: float | None = None
    #: Seconds from the dispatch of an attempt until its result must be there.
    timeout: float | None = None
    #: Further attempts after an error or a time limit.
    retry: int = 0
    #: How many tasks of one ``resource_type`` may be in progress when this one starts, itself included.
    type_limit: int | None = None
    #: What ``type_limit`` counts; the task's type when None.
    resource_type: str | None = None
    #: Among tasks that may start the heavier goes first.  None: the length of the longest path below it,
    #: so that the critical path goes first.
    weight: float | None = None
    status: State = State.PENDING
    #: Names of the tasks that must be visited before this one starts.  No duplicates, in order of
    #: the file; ``before`` of a file is turned into ``after`` of the tasks that it names.
    after: list[str] = field(default_factory=list)
    #: Seconds from a failed attempt to the next one; doubled after each further failure.
    retry_delay: float = 0
    #: Seconds that ``retry_delay`` grows to at most; None: see :func:`retry_delay`.
    retry_delay_max: float | None = None
    on_lost: OnLost = OnLost.RERUN
    on_error: OnError = OnError.FAIL
    #: A condition (see ``plan.condition``) over the results of its direct predecessors; where it does not
    #: hold the task becomes NOOP.  None: it always runs.
    when: str | None = None

    @property
    def limited_type(self) -> str:
        """What ``type_limit`` counts."""
        return self.resource_type or self.type


@dataclass(slots=True)
class Plan:
    """A valid plan: names are unique, edges lead to tasks of the plan, there is no cycle."""

    name: str
    #: Tasks in topological order; among equals in the order of the file.
    tasks: list[Task]
    #: Given by the file, or None: then the store makes one.
    uid: str | None = None
    #: What commands find in their environment besides that of the worker.
    env: dict[str, str] = field(default_factory=dict)
    #: The directory in which commands run; None: that of the worker.
    cwd: str | None = None


def retry_delay(base: float, ceiling: float | None, failures: int) -> float:
    """Seconds from a task's latest failure to its next attempt.

    :param base: its ``retry_delay``
    :param ceiling: its ``retry_delay_max``; None: an hour, or `base` if that is longer
    :param failures: how many attempts have failed, the latest included
    """
    if ceiling is None:
        ceiling = max(base, RETRY_DELAY_MAX)
    try:
        return min(math.ldexp(base, max(failures - 1, 0)), ceiling)
    except OverflowError:
        return ceiling
