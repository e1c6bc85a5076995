"""How a plan goes, told from its events.

The first look costs the counting of the plan's tasks, each further one what has changed since
the last; of single tasks only those are read that are told of.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from solar_orch.api.wait import ENDED
from solar_orch.plan.pace import Pace
from solar_orch.plan.report import Outcome
from solar_orch.states import SETTLED, PlanStatus, State

if TYPE_CHECKING:
    from solar_orch.store import Store

#: States that end an attempt.
ENDS = frozenset({State.SUCCESS, State.ERROR, State.ERROR_RETRY, State.SKIPPED, State.NOOP})

#: States that a task comes to by having been tried, or passed over: what an estimate counts.
DONE = frozenset({State.SUCCESS, State.ERROR, State.NOOP})

#: How many tasks in ERROR are kept, which is more than a terminal has lines.
FAILED_LIMIT = 200

#: What an estimate takes in of the time before it was asked for: so many seconds, and ends, at most.
_PACE_SECONDS = 600.0
_PACE_ENDS = 200


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt that has ended, or a task that was settled without one."""

    name: str
    state: State
    #: None when another attempt has begun meanwhile.
    outcome: Outcome | None


@dataclass(frozen=True, slots=True)
class Running:
    """A task that is running; `start_time` is None until somebody has claimed it."""

    name: str
    target: str | None
    start_time: float | None


class Follower:
    """Follows one plan.  All methods block on the database and raise what it raises.

    :param since: number of the event from which on ends are told, see ``Plans.last_event``; None: from now on
    :param told: the states of which ends are told
    :raises UnknownPlan: if there is no such plan
    """

    def __init__(self, store: Store, uid: str, since: int | None, told: Collection[State] = ENDS) -> None:
        self._store = store
        self._told_states = frozenset(told)
        standing = store.plans.standing(uid)
        self._event = standing.last_event if since is None else since
        self.plan = standing.plan
        #: The latest of the events that `counts` reflects.
        self._counted = standing.last_event
        #: Number of tasks in each state.
        self.counts = standing.counts
        #: Whether nothing runs and nothing more will be started.
        self.over = False
        self._failed = self._failed_before()
        self._pace = self._pace_before()

    def look(self) -> list[Ended]:
        """Bring `plan`, `counts` and `over` up to date; what has ended since the last look, in its order.

        :raises UnknownPlan: if the plan has been deleted
        """
        # Before the events: those of a plan that has ended are then all there.
        self.plan = self._store.plans.get(self.plan.uid)
        ends: list[tuple[int, State]] = []
        done = 0
        for event in self._store.events.after(self.plan.id, self._event):
            self._event = event.id
            if event.id > self._counted:
                self._counted = event.id
                self.counts[event.old] -= 1
                self.counts[event.new] += 1
                done += event.new in DONE
            if event.old is State.ERROR:
                self._failed.pop(event.position, None)
            if event.new in self._told_states:
                ends.append((event.position, event.new))
        self.over = self.plan.status in ENDED and not self.counts[State.INPROGRESS]
        self._pace.note(done, time.monotonic())
        told = self._told(ends)
        self._note_failed(told)
        return told

    @property
    def total(self) -> int:
        """Number of the plan's tasks."""
        return sum(self.counts.values())

    @property
    def settled(self) -> int:
        """Number of those of which nothing more is to come, unless somebody steers them."""
        return sum(self.counts[state] for state in SETTLED)

    @property
    def failed(self) -> list[Outcome]:
        """The latest of the tasks in ERROR, in the order in which they ended; none if ERROR is not told."""
        return list(self._failed.values())

    def left(self) -> float | None:
        """Seconds until the end of the plan, if tasks go on to end as they do.

        It is less when some wait for others that have failed.

        :return: None if too few have ended, or nothing is running
        """
        if self.plan.status is not PlanStatus.RUNNING or not self.counts[State.INPROGRESS]:
            return None
        return self._pace.left(self.total - self.settled, time.monotonic())

    def running(self) -> list[Running]:
        """The tasks that are in progress now, in topological order."""
        rows = self._store.plans.in_progress(self.plan.id)
        return [Running(row["name"], row["target"], row["start_time"]) for row in rows]

    def _failed_before(self) -> dict[int, Outcome]:
        if not self.counts[State.ERROR] or State.ERROR not in self._told_states:
            return {}
        return {task.position: task for task in self._store.looks.failed(self.plan.id, FAILED_LIMIT)}

    def _note_failed(self, told: list[Ended]) -> None:
        for one in told:
            if one.outcome is not None and one.state is State.ERROR:
                self._failed[one.outcome.position] = one.outcome
        for position in list(self._failed)[:-FAILED_LIMIT]:
            del self._failed[position]

    def _pace_before(self) -> Pace:
        pace, now = Pace(), time.monotonic()
        if self.counts[State.INPROGRESS]:
            for age in self._store.looks.ages_of_ends(self.plan.id, _PACE_SECONDS, _PACE_ENDS):
                pace.note(1, now - age)
        return pace

    def _told(self, ends: list[tuple[int, State]]) -> list[Ended]:
        if not ends:
            return []
        _, outcomes = self._store.plans.outcomes(
            self.plan.uid, sorted({position for position, _ in ends}), output=False
        )
        known = {outcome.position: outcome for outcome in outcomes}
        return [
            Ended(outcome.name, state, outcome if outcome.status is state else None)
            for outcome, state in ((known[position], state) for position, state in ends)
        ]
