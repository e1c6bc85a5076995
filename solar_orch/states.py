"""The states of a task and of a plan, and the moves between them."""

from __future__ import annotations

import enum

from solar_orch.errors import TransitionError


class State(enum.StrEnum):
    """The state of one task."""

    PENDING = "PENDING"
    #: An attempt has been dispatched; it may or may not have been claimed.
    INPROGRESS = "INPROGRESS"
    SUCCESS = "SUCCESS"
    ERROR = "ERROR"
    #: The last attempt failed and another one will be made.
    ERROR_RETRY = "ERROR_RETRY"
    SKIPPED = "SKIPPED"
    #: Counts as done without having run.
    NOOP = "NOOP"


class PlanStatus(enum.StrEnum):
    """The status of a plan as `report` shows it."""

    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"


#: States that let successors start.
VISITED = frozenset({State.SUCCESS, State.NOOP})

#: States that a task leaves only when somebody steers it.
SETTLED = frozenset({State.SUCCESS, State.ERROR, State.SKIPPED, State.NOOP})

#: States from which an attempt may be dispatched.
DISPATCHABLE = frozenset({State.PENDING, State.ERROR_RETRY})

#: State -> the states that may follow.  Every change in the database goes by this table.
TRANSITIONS: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.INPROGRESS, State.SKIPPED, State.NOOP}),
    State.INPROGRESS: frozenset(
        # PENDING: handed back, or lost and to be run again.  SKIPPED: stopped before it was claimed.
        {State.SUCCESS, State.ERROR, State.ERROR_RETRY, State.PENDING, State.SKIPPED}
    ),
    State.ERROR_RETRY: frozenset({State.INPROGRESS, State.PENDING, State.SKIPPED, State.NOOP, State.ERROR}),
    State.SUCCESS: frozenset({State.PENDING}),
    State.ERROR: frozenset({State.PENDING, State.NOOP}),
    State.SKIPPED: frozenset({State.PENDING, State.NOOP}),
    State.NOOP: frozenset({State.PENDING}),
}


def check(old: State, new: State) -> None:
    """Return if a task may go from `old` to `new`.

    :raises TransitionError: if the table does not allow it
    """
    if new not in TRANSITIONS[old]:
        raise TransitionError(old, new)


def sources(new: State) -> frozenset[State]:
    """The states from which `new` may be entered."""
    return frozenset(old for old, following in TRANSITIONS.items() if new in following)
