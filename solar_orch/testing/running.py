"""A plan that a host for tests runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from solar_orch.plan import report
from solar_orch.states import SETTLED, PlanStatus, State
from solar_orch.testing.plans import Ended
from solar_orch.workers.calls import Ctxt, task_id

if TYPE_CHECKING:
    from solar_orch.store.steered import ToKill
    from solar_orch.testing.hosting import Solar

_OVER = frozenset({PlanStatus.FINISHED, PlanStatus.FAILED, PlanStatus.STOPPED})


class RunningPlan:
    """A plan that a :class:`~solar_orch.testing.hosting.Solar` runs.

    :param uid: that of the plan
    """

    def __init__(self, solar: Solar, uid: str) -> None:
        self.uid = uid
        self._solar = solar

    def look(self) -> Ended:
        """How it stands now."""
        plans = self._solar.store.plans
        row, outcomes = plans.outcomes(self.uid)
        results = self._solar.store.results.of(row.id, [outcome.name for outcome in outcomes])
        return Ended(report.as_dict(row.uid, row.name, row.status, outcomes), results)

    def wait_for(self, name: str, state: str, seconds: float | None = None) -> Ended:
        """Wait until a task is in a state; how the plan stands then.

        :param state: such as ``INPROGRESS``, which is waited for until the call has begun as well
        :param seconds: for which to wait; ``patience`` of the fixture when None
        :raises AssertionError: if that does not come in time, or cannot come any more
        """
        __tracebackhide__ = True

        def there() -> bool:
            __tracebackhide__ = True
            now = self.look().states[name]
            if now == state:
                return state != State.INPROGRESS or self._solar.runs_call(self.uid, name)
            if now in SETTLED and self._is_over():
                raise AssertionError(f"{name} was to be {state}, and is {now}\n{self.look()}")
            return False

        self._solar.wait_until(there, lambda: f"{name} is {state}\n{self.look()}", seconds)
        return self.look()

    def kill(self, name: str) -> None:
        """Have the running call of a task killed, as ``solar-orch cancel PLAN TASK`` does; does not wait.

        :raises UnknownTask, WrongState: if there is nothing to kill
        """
        steering = self._solar.store.steering
        self._tell_tasks(steering.cancel_task(self.uid, name).to_kill)

    def cancel(self) -> None:
        """Stop the plan and have what runs killed, as ``solar-orch cancel PLAN`` does; does not wait.

        :raises WrongState: if it does not run
        """
        self._tell_tasks(self._solar.store.steering.cancel(self.uid).to_kill)
        self._solar.host.clients["scheduler"].next({"plan_uid": self.uid}, self.uid)

    def end(self, seconds: float | None = None) -> Ended:
        """Wait until the plan is over and nothing of it runs; what has become of it.

        :param seconds: for which to wait; ``patience`` of the fixture when None
        :raises AssertionError: if it is not over in time; the message says what stands still
        """
        __tracebackhide__ = True
        self._solar.start()
        self._solar.wait_until(self._is_over, lambda: f"the end of the plan\n{self.look()}", seconds)
        return self.look()

    def _is_over(self) -> bool:
        row = self._solar.store.plans.get(self.uid)
        return row.status in _OVER and not self._solar.store.plans.in_progress(row.id)

    def _tell_tasks(self, attempts: Iterable[ToKill]) -> None:
        for attempt in attempts:
            ctxt: Ctxt = {
                "task_id": task_id(self.uid, attempt.name),
                "task_name": attempt.name,
                "plan_uid": self.uid,
                "attempt": attempt.attempt,
            }
            self._solar.host.clients["tasks"].kill(ctxt, ctxt["task_id"], attempt.attempt, attempt.reason)
