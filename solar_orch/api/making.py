"""Plans made, started and waited for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from solar_orch.api.base import Verbs
from solar_orch.states import PlanStatus, State

if TYPE_CHECKING:
    from solar_orch.plan.model import Plan
    from solar_orch.plan.report import Outcome
    from solar_orch.store.plans import PlanRow


class Making(Verbs):
    """All methods block on the database and raise what ``Database`` raises."""

    def create(self, plan: Plan, *, wanted: bool = False) -> str:
        """Write a plan to the database.

        :param plan: see :func:`solar_orch.plan.parse.parse`
        :param wanted: whether it is to run from the start
        :return: its uid
        :raises PlanExists: if its uid is taken; nothing is written then
        """
        uid = self.store.plans.create(plan, wanted=wanted)
        if wanted:
            self._hint(uid)
        return uid

    def run_once(self, uid: str) -> str:
        """Record that the plan is to run and tell the scheduler; the plan's own uid.

        With no worker up it runs when one is, see :meth:`missing_workers`.

        :raises UnknownPlan: if there is no such plan
        """
        uid = self.store.plans.want(uid).uid
        self._hint(uid)
        return uid

    def wait(self, uid: str, seconds: float, give_up: Callable[[], bool] = lambda: False) -> bool:
        """Wait until nothing of the plan runs and nothing more can; sleeps between looks.

        :param seconds: for which to wait; may be infinite
        :param give_up: asked between looks; the wait ends when it says so
        :return: whether the plan is over
        :raises UnknownPlan: if there is no such plan, or no longer
        """
        from solar_orch.api.wait import until_over

        return until_over(self.store, uid, seconds, give_up)

    def get(self, uid: str) -> PlanRow:
        """The plan itself, without its tasks.

        :raises UnknownPlan: if there is no such plan
        """
        return self.store.plans.get(uid)

    def plans(self, statuses: Sequence[PlanStatus] = ()) -> list[tuple[PlanRow, dict[State, int]]]:
        """All plans, the latest first, each with the number of its tasks in each state.

        :param statuses: only plans with one of these; all when empty
        """
        return self.store.plans.summaries(statuses=statuses)

    def report(self, uid: str, *, output: bool = True) -> tuple[PlanRow, list[Outcome]]:
        """The plan and what has become of its tasks, in topological order and all of one moment.

        :param output: whether to read what the tasks have written
        :raises UnknownPlan: if there is no such plan
        """
        return self.store.plans.outcomes(uid, output=output)

    def model(self, uid: str) -> Plan:
        """The plan as a plan file states it, with the states of its tasks.

        :raises UnknownPlan: if there is no such plan
        """
        return self.store.plans.model(uid)
