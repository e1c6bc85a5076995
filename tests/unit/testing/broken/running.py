"""Broken in how calls run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from broken.base import Failing, Sound, broken
from solar_orch.executors import inline
from solar_orch.testing.executors.running import Running


class PoolOf(inline.Executor):
    size = 0

    def __init__(self, worker: Any, address: str) -> None:
        super().__init__(worker, address)
        self._slots.size = self.pool_size = self.size or self.pool_size


@broken(Running, "as_many_calls_run_as_the_pool_has_slots_and_no_more", "a_control_overtakes_calls_that_wait")
class IgnoresThePoolsSize(Sound):
    class Executor(PoolOf):
        size = 100_000


@broken(Running, "as_many_calls_run_as_the_pool_has_slots_and_no_more")
class RunsOneCallAtATime(Sound):
    class Executor(PoolOf):
        size = 1


@broken(
    Running,
    "a_slot_is_free_again_after_each_call",
    "a_call_that_is_not_admitted_is_not_made",
    "a_call_that_wants_to_end_the_process_ends_alone",
    "what_breaks_out_of_the_worker_ends_the_call_alone",
    "as_many_calls_run_as_the_pool_has_slots_and_no_more",
)
class LosesASlotWithEachCall(Sound):
    class Executor(inline.Executor):
        def _make(self, call: Any) -> None:
            super()._make(call)
            if call.name not in self.worker.controls:
                self._slots.size -= 1


@broken(Running, "a_control_overtakes_calls_that_wait", "as_many_calls_run_as_the_pool_has_slots_and_no_more")
class LetsControlsWait(Sound):
    class Executor(inline.Executor):
        def _take_control(self, call: Any) -> None:
            self._take_call(call)


@broken(Running, "a_control_is_no_matter_of_the_ledger")
class HasControlsAdmitted(Sound):
    class Executor(inline.Executor):
        def _make(self, call: Any) -> None:
            if call.name in self.worker.controls and self.worker.ledger is not None:
                self.worker.ledger.admit(call.ctxt)
            super()._make(call)


@broken(Running, "a_call_that_is_not_admitted_is_not_made")
class MakesCallsThatAreNotAdmitted(Sound):
    class Executor(inline.Executor):
        def _make(self, call: Any) -> None:
            super()._make(call)
            if call.ctxt.get("refuse"):
                self.worker.methods[call.name].function(call.ctxt, *call.args, **call.kwargs)


@broken(Running, "a_call_that_wants_to_end_the_process_ends_alone")
class IsEndedByItsCalls(Sound):
    class Executor(Failing):
        def interruptible(self, ctxt: Any) -> Any:
            outer = super().interruptible(ctxt)

            @contextmanager
            def inner() -> Iterator[None]:
                try:
                    with outer:
                        yield
                except BaseException as error:
                    self.fail(error)
                    raise

            return inner()


@broken(Running, "what_breaks_out_of_the_worker_ends_the_call_alone")
class IsEndedByWhatBreaksOut(Sound):
    class Executor(Failing):
        def _make(self, call: Any) -> None:
            try:
                self.worker.call(*call, interruptible=self.interruptible)
            except BaseException as error:
                self.fail(error)
