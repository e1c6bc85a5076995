"""Broken in how calls are ended."""

from __future__ import annotations

from typing import Any

import gevent

from broken.base import Sound, broken
from solar_orch.errors import ExecutionTimeout, Interrupted, Killed
from solar_orch.executors import inline
from solar_orch.executors.interruption import RunningCall
from solar_orch.testing.executors.killing import Killing


@broken(
    Killing,
    "a_running_call_is_killed",
    "a_kill_without_attempt_means_whichever_runs",
    "a_kill_says_with_what_the_call_ends",
    "a_kill_before_the_start_is_delivered_at_the_start",
    "a_control_is_not_killed_with_the_task_that_it_names",
    "only_the_first_to_end_a_call_is_heard",
)
class KillsNothing(Sound):
    class Executor(inline.Executor):
        def kill(self, task_id: str, attempt: int | None = None, error: Exception | None = None) -> bool:
            return any(
                call.is_of(task_id, attempt) and call._stage.value < 3 for call in self._calls.values()
            )


@broken(Killing, "a_kill_means_one_task_and_one_attempt")
class KillsWhateverTheAttempt(Sound):
    class Executor(inline.Executor):
        def kill(self, task_id: str, attempt: int | None = None, error: Exception | None = None) -> bool:
            return super().kill(task_id, None, error)


@broken(
    Killing, "a_running_call_is_killed", "a_kill_means_one_task_and_one_attempt",
    "a_call_that_waits_for_a_slot_is_left_to_its_claim",
)  # fmt: skip
class KillsWhateverTheTask(Sound):
    class Executor(inline.Executor):
        def kill(self, task_id: str, attempt: int | None = None, error: Exception | None = None) -> bool:
            found = {call.ctxt.get("task_id") for call in self._calls.values()}
            return True in [inline.Executor.kill(self, each, attempt, error) for each in found]


@broken(Killing, "a_kill_without_attempt_means_whichever_runs")
class KillsTheFirstAttemptOnly(Sound):
    class Executor(inline.Executor):
        def kill(self, task_id: str, attempt: int | None = None, error: Exception | None = None) -> bool:
            return super().kill(task_id, attempt or 1, error)


@broken(Killing, "a_kill_says_with_what_the_call_ends", "only_the_first_to_end_a_call_is_heard")
class KillsWithoutSayingWhy(Sound):
    class Executor(inline.Executor):
        def kill(self, task_id: str, attempt: int | None = None, error: Exception | None = None) -> bool:
            return super().kill(task_id, attempt)


@broken(Killing, "a_kill_before_the_start_is_delivered_at_the_start")
class KillsOnlyWhatHasBegun(Sound):
    class Executor(inline.Executor):
        def kill(self, task_id: str, attempt: int | None = None, error: Exception | None = None) -> bool:
            running = [call for call in self._calls.values() if call.is_of(task_id, attempt)]
            return True in [call.is_inside and call.cancel(error or Killed()) for call in running]


@broken(Killing, "a_call_that_waits_for_a_slot_is_left_to_its_claim")
class ThrowsAwayWhatWaits(Sound):
    class Executor(inline.Executor):
        def kill(self, task_id: str, attempt: int | None = None, error: Exception | None = None) -> bool:
            waiting = [call for call in self._backlog if call.ctxt.get("task_id") == task_id]
            for call in waiting:
                self._backlog.remove(call)
            return super().kill(task_id, attempt, error) or bool(waiting)


@broken(Killing, "a_control_is_not_killed_with_the_task_that_it_names")
class KillsControlsToo(Sound):
    class Executor(inline.Executor):
        def kill(self, task_id: str, attempt: int | None = None, error: Exception | None = None) -> bool:
            found = super().kill(task_id, attempt, error)
            for call in self._controls.values():
                if call.ctxt.get("task_id") == task_id:
                    call.cancel(Interrupted("killed"))
            return found


@broken(Killing, "settling_is_not_interrupted_by_a_kill")
class InterruptsSettling(Sound):
    class Executor(inline.Executor):
        def kill(self, task_id: str, attempt: int | None = None, error: Exception | None = None) -> bool:
            if super().kill(task_id, attempt, error):
                return True
            over = [greenlet for greenlet, call in self._calls.items() if call.is_of(task_id, attempt)]
            for greenlet in over:
                gevent.kill(greenlet, block=False)
            return bool(over)


@broken(
    Killing,
    "settling_is_not_interrupted_by_the_time_limit",
    "a_time_limit_does_not_run_while_a_call_is_admitted",
)
class InterruptsSettlingWhenTimeIsOver(Sound):
    class Executor(inline.Executor):
        def _make(self, call: Any) -> None:
            limit = call.ctxt.get("timelimit")
            if limit and call.name == "note":
                with gevent.Timeout(limit, False):
                    super()._make(call)
                return
            super()._make(call)


@broken(
    Killing, "a_kill_that_meets_the_end_of_a_call_leaves_one_outcome", "settling_is_not_interrupted_by_a_kill"
)
class SettlesTwice(Sound):
    class Executor(inline.Executor):
        def kill(self, task_id: str, attempt: int | None = None, error: Exception | None = None) -> bool:
            for call in self._calls.values():
                if (
                    call.is_of(task_id, attempt)
                    and self.worker.ledger is not None
                    and (task_id != "plan~task" or (not call.is_inside and self.worker.ledger.settling))
                ):
                    gevent.spawn(self.worker.ledger.settle, call.ctxt, None, error)
            return super().kill(task_id, attempt, error)


@broken(Killing, "only_the_first_to_end_a_call_is_heard")
class HearsAllWhoEndACall(Sound):
    class Executor(inline.Executor):
        def kill(self, task_id: str, attempt: int | None = None, error: Exception | None = None) -> bool:
            again = [call for call in self._calls.values() if call.is_of(task_id, attempt) and call._signal]
            for call in again:
                call.insist(error or Interrupted("again"))
            return super().kill(task_id, attempt, error)


class Limiting(inline.Executor):
    """Counts the time of calls in another way."""

    def limit(self, ctxt: Any) -> Any:
        return None

    def interruptible(self, ctxt: Any) -> Any:
        call = super().interruptible(ctxt)
        if isinstance(call, RunningCall):
            call.ctxt = {**ctxt, "timelimit": self.limit(ctxt)}
        return call


@broken(Killing, "a_time_limit_ends_the_call")
class KnowsNoTimeLimits(Sound):
    class Executor(Limiting):
        pass


@broken(Killing, "without_a_time_limit_a_call_runs_on")
class LimitsEveryCall(Sound):
    class Executor(Limiting):
        def limit(self, ctxt: Any) -> Any:
            return 0.01 if "timelimit" in ctxt and ctxt["timelimit"] is None else ctxt.get("timelimit")


class Expiring(inline.Executor):
    """Ends calls so long after they came."""

    def expire(self, ctxt: Any) -> None:
        if ctxt.get("timelimit"):
            gevent.spawn_later(ctxt["timelimit"], self._expired, ctxt)

    def _expired(self, ctxt: Any) -> None:
        error = ExecutionTimeout(ctxt["timelimit"])
        if not self.kill(ctxt["task_id"], ctxt["attempt"], error):
            self._late(ctxt, error)

    def _late(self, ctxt: Any, error: Exception) -> None:
        pass


@broken(Killing, "a_time_limit_does_not_run_while_a_call_is_admitted")
class CountsTheTimeOfAdmission(Sound):
    class Executor(Expiring):
        def _make(self, call: Any) -> None:
            self.expire(call.ctxt)
            super()._make(call)


@broken(
    Killing,
    "a_time_limit_runs_from_the_start_and_not_from_receipt",
    "a_time_limit_does_not_run_while_a_call_is_admitted",
)
class CountsTheTimeOfWaiting(Sound):
    class Executor(Expiring):
        def _take_call(self, call: Any) -> None:
            self.expire(call.ctxt)
            super()._take_call(call)

        def _late(self, ctxt: Any, error: Exception) -> None:
            for call in list(self._backlog):
                if call.ctxt is ctxt:
                    self._backlog.remove(call)
                    assert self.worker.ledger is not None
                    self.worker.ledger.settle(ctxt, None, error)
