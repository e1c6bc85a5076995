"""Executors that each break one promise of the contract, and the tests of the kit that are meant for it.

All of them are the executor ``inline`` with one change.
"""

from __future__ import annotations

import copy
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.event import Event

from solar_orch.errors import ExecutionTimeout, Interrupted, Killed, NoPeer, NotCarried
from solar_orch.executors import inline, wire
from solar_orch.executors.interruption import RunningCall
from solar_orch.testing.executors.background import Background
from solar_orch.testing.executors.capabilities import Capabilities
from solar_orch.testing.executors.carrying import Carrying
from solar_orch.testing.executors.connecting import Connecting
from solar_orch.testing.executors.killing import Killing
from solar_orch.testing.executors.running import Running
from solar_orch.testing.executors.serving import Serving


@dataclass
class Broken:
    """A broken executor: which file of the kit it is tried by, and what of that must fail."""

    name: str
    kit: type
    fails: frozenset[str]


BROKEN: list[Broken] = []


class Sound:
    """As it should be."""

    Executor: Any = inline.Executor
    Client: Any = inline.Client
    capabilities: frozenset[str] = frozenset()


def broken(kit: type, *fails: str) -> Callable[[type], type]:
    def note(part: type) -> type:
        BROKEN.append(Broken(part.__name__, kit, frozenset(f"test_{name}" for name in fails)))
        return part

    return note


# -- carrying ----------------------------------------------------------------


class Altering(inline.Client):
    """A client that alters a call on its way."""

    def alter(self, method: str, ctxt: Any, args: Any, kwargs: Any) -> Any:
        return method, ctxt, args, kwargs

    def _call(self, method: str, ctxt: Any, /, *args: Any, **kwargs: Any) -> None:
        if not isinstance(ctxt, dict):
            super()._call(method, ctxt, *args, **kwargs)
            return
        method, ctxt, args, kwargs = self.alter(method, ctxt, args, kwargs)
        super()._call(method, ctxt, *args, **kwargs)


@broken(Carrying, "named_arguments_arrive_whatever_their_names", "nothing_is_shared_with_the_caller")
class LosesNamedArguments(Sound):
    class Client(Altering):
        def alter(self, method: str, ctxt: Any, args: Any, kwargs: Any) -> Any:
            return method, ctxt, args, {}


@broken(Carrying, "arguments_arrive_as_they_were_given")
class MixesUpTypes(Sound):
    class Client(Altering):
        def alter(self, method: str, ctxt: Any, args: Any, kwargs: Any) -> Any:
            return method, ctxt, [int(arg) if arg is True else arg for arg in args], kwargs


@broken(Carrying, "the_context_arrives_as_it_was_given")
class CarriesOnlyWhatItKnowsOfTheContext(Sound):
    class Client(Altering):
        def alter(self, method: str, ctxt: Any, args: Any, kwargs: Any) -> Any:
            return method, {key: ctxt[key] for key in ctxt if key != "of the author"}, args, kwargs


@broken(Carrying, "nothing_is_shared_with_the_caller")
class SharesArguments(Sound):
    class Client(inline.Client):
        def _call(self, method: str, ctxt: Any, /, *args: Any, **kwargs: Any) -> None:
            wire.pack(method, ctxt, args, kwargs, {})
            self._executor().accept(method, ctxt, args, kwargs)


@broken(Carrying, "what_has_no_copy_elsewhere_is_refused", "whatever_is_given_is_refused_or_arrives")
class LosesWhatItCannotCarry(Sound):
    class Client(inline.Client):
        def _call(self, method: str, ctxt: Any, /, *args: Any, **kwargs: Any) -> None:
            with suppress(NotCarried):
                super()._call(method, ctxt, *args, **kwargs)


@broken(Carrying, "whatever_is_given_is_refused_or_arrives")
class CarriesSetsAsLists(Sound):
    class Client(Altering):
        def alter(self, method: str, ctxt: Any, args: Any, kwargs: Any) -> Any:
            return method, ctxt, [list(arg) if isinstance(arg, set) else arg for arg in args], kwargs


class Failing(inline.Executor):
    """An executor that can be ended by an error."""

    def fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._ask_to_stop(0.0)


@broken(Carrying, "a_bad_context_ends_nothing")
class DiesOfABadContext(Sound):
    class Executor(Failing):
        def accept(self, name: str, ctxt: Any, args: Any, kwargs: Any) -> bool:
            try:
                ctxt.get("task_id", "").upper()
            except AttributeError as error:
                self.fail(error)
            return super().accept(name, ctxt, args, kwargs)


@broken(Carrying, "arguments_that_do_not_fit_end_nothing")
class DiesOfArgumentsThatDoNotFit(Sound):
    class Executor(Failing):
        def _misfit(self, *call: Any) -> str | None:
            misfit = super()._misfit(*call)
            if misfit:
                self.fail(TypeError(misfit))
            return misfit


class CallsAttributes(inline.Executor):
    """Calls whatever it finds under a name."""

    def may_call(self, name: str) -> bool:
        return name not in self.worker.methods

    def accept(self, name: str, ctxt: Any, args: Any, kwargs: Any) -> bool:
        if self.may_call(name) and callable(getattr(self.worker, name, None)):
            gevent.spawn(getattr(self.worker, name), ctxt, *args, **kwargs)
            return False
        return super().accept(name, ctxt, args, kwargs)


@broken(Carrying, "what_is_no_method_is_never_called")
class CallsWhatIsNoMethod(Sound):
    class Executor(CallsAttributes):
        def may_call(self, name: str) -> bool:
            return name in ("callable_attribute", "background")


@broken(Carrying, "private_names_are_never_called", "a_client_has_no_private_attributes_but_its_own")
class CallsPrivateNames(Sound):
    class Executor(CallsAttributes):
        def may_call(self, name: str) -> bool:
            return name.startswith("_")

    class Client(inline.Client):
        def __getattr__(self, method: str) -> Any:
            return lambda *args, **kwargs: self._call(method, *args, **kwargs)


@broken(Carrying, "a_worker_may_answer_to_unknown_names")
class DropsUnknownNamesAlways(Sound):
    class Executor(inline.Executor):
        def _answers(self, name: str) -> bool:
            return name in self.worker.methods


@broken(
    Carrying,
    "the_outcome_is_settled_with_the_result",
    "a_worker_may_answer_to_unknown_names",
    "the_context_arrives_as_it_was_given",
    "nothing_is_shared_with_the_caller",
)
class BypassesTheWorker(Sound):
    class Executor(inline.Executor):
        def _make(self, call: Any) -> None:
            if call.name in self.worker.methods:
                # Neither ledger nor subscribers, and the context is not the caller's.
                self.worker.methods[call.name].function({}, *call.args, **call.kwargs)


# -- running -----------------------------------------------------------------


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


# -- killing -----------------------------------------------------------------


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


# -- serving -----------------------------------------------------------------


@broken(Serving, "making_opens_nothing")
class OpensInTheConstructor(Sound):
    class Executor(inline.Executor):
        def __init__(self, worker: Any, address: str) -> None:
            super().__init__(worker, address)
            self._socket = socket.socket()

        def release(self) -> None:
            self._socket.close()
            super().release()


@broken(Serving, "making_opens_nothing", "nothing_is_left_behind")
class StartsAGreenletInTheConstructor(Sound):
    class Client(inline.Client):
        def __init__(self, address: str) -> None:
            super().__init__(address)
            self._greenlet = gevent.spawn(Event().wait)


@broken(Serving, "closing_a_client_that_was_never_used_opens_nothing", "nothing_is_left_behind")
class OpensWhenItIsClosed(Sound):
    class Client(inline.Client):
        def close(self, timeout: float) -> int:
            os.pipe()
            return super().close(timeout)


@broken(Serving, "nothing_is_left_behind")
class LeavesSomethingBehind(Sound):
    class Executor(inline.Executor):
        def open(self) -> None:
            super().open()
            self._pipe = os.pipe()


@broken(Serving, "others_run_while_it_waits")
class BlocksTheProcessWhileItWaits(Sound):
    class Executor(inline.Executor):
        def receive(self) -> None:
            while True:
                time.sleep(0.04)
                gevent.sleep(0.001)


@broken(
    Serving, "stop_lets_running_calls_end_and_begins_no_others", "a_second_stop_shortens_the_first",
)  # fmt: skip
class InterruptsAtOnce(Sound):
    class Executor(inline.Executor):
        def stop(self, timeout: float) -> None:
            super().stop(0)


@broken(
    Serving, "stop_lets_running_calls_end_and_begins_no_others", "refuse_lets_running_calls_go_on",
)  # fmt: skip
class BeginsWhatWaitsWhenItStops(Sound):
    class Executor(inline.Executor):
        def refuse(self) -> None:
            self._taking = False


@broken(
    Serving,
    "stop_interrupts_what_does_not_end_in_time",
    "an_interrupted_call_is_settled_before_run_returns",
    "a_second_stop_shortens_the_first",
)
class LeavesBehindWhatRuns(Sound):
    class Executor(inline.Executor):
        def _interrupt(self) -> None:
            pass


@broken(Serving, "an_interrupted_call_is_settled_before_run_returns")
class ReturnsBeforeCallsAreSettled(Sound):
    class Executor(inline.Executor):
        def _wait_for_all(self, seconds: float) -> None:
            pass


@broken(Serving, "a_second_stop_shortens_the_first")
class HearsTheFirstStopOnly(Sound):
    class Executor(inline.Executor):
        def stop(self, timeout: float) -> None:
            if self.stopping:
                self._finished.wait()
            super().stop(timeout)


@broken(Serving, "a_stop_before_the_run_is_heard")
class HearsNoStopBeforeTheRun(Sound):
    class Executor(inline.Executor):
        def stop(self, timeout: float) -> None:
            if self._begun:
                super().stop(timeout)


@broken(Serving, "an_address_is_free_again_after_stop", "nothing_is_left_behind")
class KeepsItsAddress(Sound):
    class Executor(inline.Executor):
        def release(self) -> None:
            pass


@broken(Serving, "refuse_lets_running_calls_go_on")
class StopsWhenItRefuses(Sound):
    class Executor(inline.Executor):
        _in_stop = False

        def stop(self, timeout: float) -> None:
            self._in_stop = True
            super().stop(timeout)

        def refuse(self) -> None:
            super().refuse()
            if not self._in_stop:
                self._in_stop = True
                self._ask_to_stop(0)


@broken(Serving, "forewarn_is_noted_and_changes_nothing")
class RefusesWhenItIsForewarned(Sound):
    class Executor(inline.Executor):
        def forewarn(self) -> None:
            super().forewarn()
            self.refuse()


# -- background functions -------------------------------------------------------


@broken(Background, "background_functions_run_until_the_last_call_has_ended")
class EndsBackgroundFunctionsFirst(Sound):
    class Executor(inline.Executor):
        def _drain(self) -> None:
            self._stopping.set()
            super()._drain()


@broken(
    Background, "background_functions_run_until_the_last_call_has_ended",
    "a_background_function_that_fails_ends_run_with_its_error",
)  # fmt: skip
class StartsNoBackgroundFunctions(Sound):
    class Executor(inline.Executor):
        def __init__(self, worker: Any, address: str) -> None:
            super().__init__(worker, address)
            worker.backgrounds = []

        def run(self) -> None:
            self.worker.backgrounds = []
            super().run()


@broken(Background, "a_background_function_may_return")
class EndsWithItsBackgroundFunctions(Sound):
    class Executor(inline.Executor):
        def _guard(self, what: str, function: Any, *args: Any) -> None:
            super()._guard(what, function, *args)
            if what != "the receiver":
                self._ask_to_stop(0)


@broken(Background, "a_background_function_that_fails_ends_run_with_its_error")
class SwallowsFailures(Sound):
    class Executor(inline.Executor):
        def _guard(self, what: str, function: Any, *args: Any) -> None:
            with suppress(Exception):
                function(*args)


# -- connecting ----------------------------------------------------------------


@broken(Connecting, "parts_are_of_the_contracts")
class HasNoSendTimeout(Sound):
    class Client(inline.Client):
        send_timeout = 0.0


@broken(Connecting, "a_second_executor_is_refused_and_the_first_goes_on")
class TakesTheAddressOfAnother(Sound):
    class Executor(inline.Executor):
        def open(self) -> None:
            inline._SERVING[os.getpid(), self.address] = self


@broken(Connecting, "without_a_worker_a_call_is_refused_in_the_end")
class LosesCallsWithoutAWord(Sound):
    class Client(inline.Client):
        def _call(self, method: str, ctxt: Any, /, *args: Any, **kwargs: Any) -> None:
            try:
                super()._call(method, ctxt, *args, **kwargs)
            except NoPeer:
                if self._closed:
                    raise


@broken(Connecting, "without_a_worker_a_call_is_refused_in_the_end")
class BlocksTheProcessWhileAClientWaits(Sound):
    class Client(inline.Client):
        def _executor(self) -> Any:
            if (os.getpid(), self.address) not in inline._SERVING and self.send_timeout == 0.1:
                time.sleep(self.send_timeout)
                raise NoPeer(self.address, self.send_timeout)
            return super()._executor()


@broken(
    Connecting, "a_call_waits_for_a_worker_that_comes", "without_a_worker_a_call_is_refused_in_the_end",
)  # fmt: skip
class WaitsForNoWorker(Sound):
    class Client(inline.Client):
        def _executor(self) -> Any:
            if not self._closed and (os.getpid(), self.address) not in inline._SERVING:
                raise NoPeer(self.address, self.send_timeout)
            return super()._executor()


class Keeping(inline.Client):
    """Sends a little later."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.kept: list[Any] = []

    def _call(self, method: str, ctxt: Any, /, *args: Any, **kwargs: Any) -> None:
        self._executor()
        self.kept.append((method, copy.deepcopy(ctxt), args, kwargs))
        if len(self.kept) == 1:
            gevent.spawn_later(0.01, self.send)

    def send(self) -> None:
        kept, self.kept = self.kept, []
        for method, ctxt, args, kwargs in kept:
            super()._call(method, ctxt, *args, **kwargs)


@broken(Connecting, "close_sends_what_is_queued")
class ForgetsWhatIsQueued(Sound):
    class Client(Keeping):
        def close(self, timeout: float) -> int:
            self.kept.clear()
            return super().close(timeout)


@broken(Connecting, "a_closed_client_takes_no_calls")
class LivesOnAfterClose(Sound):
    class Client(inline.Client):
        def close(self, timeout: float) -> int:
            return 0


@broken(
    Connecting,
    "a_closed_client_takes_no_calls",
    "close_sends_what_is_queued",
    "close_does_not_hang_without_a_worker",
    "close_does_not_hang_after_its_worker_has_stopped",
    "without_a_worker_a_call_is_refused_in_the_end",
)
class HangsInClose(Sound):
    class Client(inline.Client):
        def close(self, timeout: float) -> int:
            if self.send_timeout != 0.5:
                Event().wait()
            return super().close(timeout)


@broken(Connecting, "a_closed_client_takes_no_calls")
class HangsInTheSecondClose(Sound):
    class Client(inline.Client):
        def close(self, timeout: float) -> int:
            if self._closed:
                Event().wait()
            return super().close(timeout)


@broken(
    Connecting, "close_does_not_hang_without_a_worker", "close_does_not_hang_after_its_worker_has_stopped",
    "without_a_worker_a_call_is_refused_in_the_end",
)  # fmt: skip
class DoesNotSayWhatIsLost(Sound):
    class Client(inline.Client):
        def close(self, timeout: float) -> Any:
            return super().close(timeout) if self.send_timeout > 0.1 else None


@broken(Connecting, "a_client_survives_the_restart_of_the_worker")
class SticksToTheFirstWorker(Sound):
    class Client(inline.Client):
        _first: Any = None

        def _executor(self) -> Any:
            self._first = self._first or super()._executor()
            if self._closed:
                return super()._executor()
            return self._first


@broken(Connecting, "several_clients_reach_one_worker")
class TakesOneClientOnly(Sound):
    class Client(inline.Client):
        def _executor(self) -> Any:
            found = super()._executor()
            if self.send_timeout != 0.5:  # that of the kit itself, which looks whether calls arrive
                found.only = getattr(found, "only", self)
                if found.only is not self:
                    raise NoPeer(self.address, 0)
            return found


# -- capabilities ----------------------------------------------------------------


@broken(Capabilities, "ordered_calls_of_one_client_begin_in_their_order")
class DeclaresAnOrderFalsely(Sound):
    capabilities = frozenset({"ordered"})

    class Client(Keeping):
        def send(self) -> None:
            self.kept.reverse()
            super().send()


@broken(
    Capabilities, "processes_calls_of_another_process_arrive",
    "processes_a_worker_that_was_killed_has_a_successor",
)  # fmt: skip
class DeclaresProcessesFalsely(Sound):
    capabilities = frozenset({"processes"})


@broken(
    Capabilities, "hosts_an_address_is_not_a_place_in_the_file_system",
    "hosts_calls_arrive_from_other_surroundings",
)  # fmt: skip
class DeclaresHostsFalsely(Sound):
    capabilities = frozenset({"hosts"})


@broken(
    Capabilities, "queued_calls_wait_for_the_first_worker",
    "queued_calls_that_were_kept_are_made_by_the_next", "queued_calls_outlive_a_worker_that_is_killed",
)  # fmt: skip
class DeclaresAQueueFalsely(Sound):
    capabilities = frozenset({"queued"})


@broken(
    Capabilities, "shared_each_call_reaches_one_of_the_workers",
    "shared_a_worker_that_stops_leaves_the_rest_to_the_other",
)  # fmt: skip
class DeclaresToBeSharedFalsely(Sound):
    capabilities = frozenset({"shared"})
