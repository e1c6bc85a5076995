"""How a plan goes, told from its events.

The first look costs the counting of the plan's tasks, each further one what has changed since
the last; of single tasks only those are read that are told of.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from solar_orch.api.wait import ENDED
from solar_orch.plan.report import Outcome
from solar_orch.states import State

if TYPE_CHECKING:
    from solar_orch.store import Store

#: States that end an attempt.
ENDS = frozenset({State.SUCCESS, State.ERROR, State.ERROR_RETRY, State.SKIPPED, State.NOOP})


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

    :param since: number of the event from which on ends are told; see ``Plans.last_event``
    :param told: the states of which ends are told
    :raises UnknownPlan: if there is no such plan
    """

    def __init__(self, store: Store, uid: str, since: int, told: Collection[State] = ENDS) -> None:
        self._store = store
        self._event = since
        self._told_states = frozenset(told)
        standing = store.plans.standing(uid)
        self.plan = standing.plan
        #: The latest of the events that `counts` reflects.
        self._counted = standing.last_event
        #: Number of tasks in each state.
        self.counts = standing.counts
        #: Whether nothing runs and nothing more will be started.
        self.over = False

    def look(self) -> list[Ended]:
        """Bring `plan`, `counts` and `over` up to date; what has ended since the last look, in its order.

        :raises UnknownPlan: if the plan has been deleted
        """
        # Before the events: those of a plan that has ended are then all there.
        self.plan = self._store.plans.get(self.plan.uid)
        ends: list[tuple[int, State]] = []
        for event in self._store.events.after(self.plan.id, self._event):
            self._event = event.id
            if event.id > self._counted:
                self._counted = event.id
                self.counts[event.old] -= 1
                self.counts[event.new] += 1
            if event.new in self._told_states:
                ends.append((event.position, event.new))
        self.over = self.plan.status in ENDED and not self.counts[State.INPROGRESS]
        return self._told(ends)

    def running(self) -> list[Running]:
        """The tasks that are in progress now, in topological order."""
        rows = self._store.plans.in_progress(self.plan.id)
        return [Running(row["name"], row["target"], row["start_time"]) for row in rows]

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
