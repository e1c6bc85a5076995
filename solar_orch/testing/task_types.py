"""Conformance tests of task types."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from solar_orch import plugins
from solar_orch.held import Held, processes_of
from solar_orch.states import State
from solar_orch.testing.hosting import Solar
from solar_orch.testing.installation import installed
from solar_orch.testing.lasting import TASK, LastingConformance
from solar_orch.testing.plans import ANYTHING, Call, Ended
from solar_orch.testing.waiting import wait_until
from solar_orch.workers.ledger import RESULT_LIMIT
from solar_orch.workers.subscription import Method

#: The calls that are made to see whether each of them leaves something behind.
_CYCLES = 3


class TaskTypeConformance(LastingConformance):
    """Proves that a task type does what :class:`solar_orch.contracts.parts.TaskType` asks for.

    Each test runs whole plans in a host in this process, with the workers that ship.
    """

    _namespace: ClassVar[str] = plugins.TASK_TYPES

    #: Calls that succeed; at least one.
    working: Sequence[Call] = ()
    #: Calls that fail.
    failing: Sequence[Call] = ()
    #: A call that runs for longer than a test: it is killed, its time limit ends it, and so does a stop.
    lasting: Call | None = None

    # -- registration ------------------------------------------------------------

    def test_it_is_registered_and_keeps_its_contract(self, solar: Solar) -> None:
        """It is found by its name, can be imported, and can be called as a task type is."""
        self.load(solar)

    def test_plans_can_name_it(self, solar: Solar) -> None:
        """The tasks worker has it under its name, beside all types that ship and those of other packages."""
        obj = self.load(solar).obj
        function = solar.host.workers["tasks"].methods[self.name].function
        assert inspect.unwrap(function, stop=lambda each: each is obj) is obj, (
            f"what the tasks worker calls as {self.name} is {function!r}"
        )

    # -- calls that end ----------------------------------------------------------

    def test_working_calls_succeed(self, solar: Solar) -> None:
        """Each call of ``working`` ends in SUCCESS, with its result, and lets the event loop go on."""
        for call in self._working():
            ended = solar.run(call.as_task(TASK, self.name))
            self._must_be(ended, State.SUCCESS, call)
            if call.result is not ANYTHING:
                wanted, given = json.loads(json.dumps(call.result)), ended.results.get(TASK)
                assert given == wanted, f"{self.name}{call} was to give {wanted!r}, and gave {given!r}"

    def test_results_can_be_carried(self, solar: Solar) -> None:
        """What a call returns is a JSON value of a bounded size, so that tasks after it can have it."""
        results: list[Any] = []
        self._method(solar).on_success(lambda ctxt, result, *args, **kwargs: results.append(result))
        for call in self._working():
            self._must_be(solar.run(call.as_task(TASK, self.name)), State.SUCCESS, call)
            solar.wait_until(lambda: results, "the result of the call is told")
            result = results.pop()
            try:
                text = json.dumps(result, allow_nan=False)
            except (TypeError, ValueError) as error:
                pytest.fail(f"{self.name}{call} returned what cannot be sent as JSON: {result!r} ({error})")
            size = len(text)
            assert size <= RESULT_LIMIT, (
                f"{self.name}{call} returned {size} bytes of JSON, and at most {RESULT_LIMIT} are kept"
            )

    def test_failing_calls_end_in_error(self, solar: Solar) -> None:
        """Each call of ``failing`` ends in ERROR, with a message for people."""
        if not self.failing:
            pytest.skip("failing holds no call")
        for call in self.failing:
            ended = solar.run(call.as_task(TASK, self.name))
            self._must_be(ended, State.ERROR, call)
            message = ended[TASK]["errmsg"] or ""
            assert message.strip(), f"{self.name}{call} failed without a message"
            assert call.error in message, f"{self.name}{call} was to say {call.error!r}, and said {message!r}"
            assert "Traceback (most recent call last)" not in message, (
                f"the message of {self.name}{call} is a traceback:\n{message}"
            )
            assert "wrong arguments for task type" not in message, (
                f"{self.name}{call} was not made, since its arguments do not fit: {message}"
            )

    def test_wrong_arguments_are_answered_with_the_signature(self, solar: Solar) -> None:
        """A task whose arguments do not fit ends in ERROR, and says what the type takes."""
        wrong = self._misfit(self.load(solar).obj)
        if wrong is None:
            pytest.skip(f"{self.name} takes whatever it is given")
        ended = solar.run(wrong.as_task(TASK, self.name, retry=2))
        self._must_be(ended, State.ERROR, wrong)
        assert f"it takes {self.name}(" in ended[TASK]["errmsg"], ended[TASK]["errmsg"]
        assert ended[TASK]["attempt"] == 1, "what can never fit was tried again"

    def test_subscribers_are_told(self, solar: Solar) -> None:
        """Those that subscribe to the type are told before a call, of its outcome, and after it."""
        told: list[tuple[Any, ...]] = []
        method = self._method(solar)
        method.before(lambda ctxt: told.append(("before",)))
        method.on_success(lambda ctxt, result, *args, **kwargs: told.append(("on_success", args, kwargs)))
        method.on_error(lambda ctxt, error, *args, **kwargs: told.append(("on_error", str(error))))
        method.after(lambda ctxt: told.append(("after",)))
        call = self._working()[0]
        self._must_be(solar.run(call.as_task(TASK, self.name)), State.SUCCESS, call)
        solar.wait_until(lambda: ("after",) in told, lambda: f"after is told; so far {told}")
        assert [moment for moment, *_ in told] == ["before", "on_success", "after"]
        assert told[1][1:] == (tuple(call.args), dict(call.kwargs)), told[1]

    def test_it_needs_no_driver_that_ships(self, solar: Solar) -> None:
        """The same calls succeed under a tasks driver that has nothing of the one that ships."""
        with installed("solar-foreign-driver", _FOREIGN):
            solar.options(tasks_driver="solar_testing_foreign")
            for call in self._working():
                self._must_be(solar.run(call.as_task(TASK, self.name)), State.SUCCESS, call)
            solar.stop()

    # -- a call that lasts -------------------------------------------------------

    def test_a_call_leaves_nothing_behind(self, solar: Solar) -> None:
        """No process, descriptor, greenlet or thread of a call is left, after its end or a kill."""
        self.load(solar)
        self._cycle(solar)  # what is kept for the calls that follow
        before = Held()
        for _ in range(_CYCLES):
            self._cycle(solar)
        held = ""

        def nothing_is_left() -> bool:
            nonlocal held
            held = Held().beyond(before, _CYCLES)
            return not held

        wait_until(nothing_is_left, lambda: f"{_CYCLES} calls leave nothing behind; {held}", self.patience)

    def _cycle(self, solar: Solar) -> None:
        call = self._working()[0]
        self._must_leave_no_process(solar.run(call.as_task(TASK, self.name)), "has ended")
        if self.lasting is not None:
            with self._lasting(solar) as plan:
                plan.kill(TASK)
            self._must_leave_no_process(plan.look(), "was killed")

    def _must_leave_no_process(self, ended: Ended, what: str) -> None:
        __tracebackhide__ = True
        left = processes_of(ended.uid)
        assert not left, f"the call {what}, and what it has started still runs: {', '.join(left)}"

    # -- helpers -----------------------------------------------------------------

    def _working(self) -> Sequence[Call]:
        assert self.working, f"{type(self).__name__} must have a call that succeeds: working = [Call(...)]"
        return self.working

    def _lasting_task(self, **parameters: Any) -> dict[str, Any] | None:
        return None if self.lasting is None else self.lasting.as_task(TASK, self.name, **parameters)

    def _method(self, solar: Solar) -> Method:
        self.load(solar)
        return solar.host.workers["tasks"].methods[self.name]

    def _misfit(self, function: Any) -> Call | None:
        """A call whose arguments cannot fit; None if there is none."""
        method = Method(self.name, function)
        tried = (Call(list(range(99))), Call(kwargs={"no_such_argument": 1}), Call())
        return next((call for call in tried if method.misfit({}, call.args, call.kwargs)), None)

    def _must_be(self, ended: Ended, state: State, call: Call) -> None:
        __tracebackhide__ = True
        found = ended[TASK]
        assert found["status"] == state, (
            f"{self.name}{call} was to end in {state}, and is in {found['status']}: {found['errmsg']}"
        )


_FOREIGN = {plugins.drivers("tasks"): {"solar_testing_foreign": "solar_orch.testing.foreign:ForeignTasks"}}
