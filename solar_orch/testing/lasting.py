"""Conformance tests of a task that lasts: everything that ends it from outside."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from solar_orch.errors import WrongState
from solar_orch.states import State
from solar_orch.testing.base import Conformance
from solar_orch.testing.hosting import Solar
from solar_orch.testing.plans import Ended, task
from solar_orch.testing.running import RunningPlan

#: The name of the task that makes the call.
TASK = "call"
#: Turns of a timer that show that the event loop goes on.
_TICKS = 20


class LastingConformance(Conformance):
    """Proves that a running call is ended by a kill, by its time limit, and when its worker stops."""

    #: Seconds for which a call may keep everything else in its process from running.
    standstill: float = 1.0

    def _prepare(self, solar: Solar) -> None:
        solar.standstill = self.standstill

    def _lasting_task(self, **parameters: Any) -> dict[str, Any] | None:
        """A task with the name ``TASK`` that runs until it is ended; None if there is none to be tested."""
        raise NotImplementedError

    def test_a_call_lets_everything_else_go_on(self, solar: Solar) -> None:
        """While a call lasts a timer goes on, and another task runs."""
        ticks = 0

        def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                gevent.sleep(0.005)

        with self._lasting(solar) as plan:
            timer = gevent.spawn(tick)
            try:
                solar.wait_until(lambda: ticks >= _TICKS, lambda: f"a timer goes on; {ticks} turns of it")
            finally:
                timer.kill()
            if "noop" in solar.host.workers["tasks"].methods:
                assert solar.run(task("beside", "noop")).status == "finished"
            plan.kill(TASK)

    def test_a_call_is_killed(self, solar: Solar) -> None:
        """A kill ends the call: it lets ``Cancelled`` pass, wherever it waits."""
        with self._lasting(solar) as plan:
            plan.kill(TASK)
        self._must_have_been_ended(plan.look(), "cancelled", "a kill")

    def test_a_time_limit_ends_a_call(self, solar: Solar) -> None:
        """So does its time limit."""
        with self._lasting(solar, timelimit=0.3) as plan:
            pass
        self._must_have_been_ended(plan.look(), "ExecutionTimeout", "its time limit")

    def test_a_stop_of_the_worker_ends_a_call(self, solar: Solar) -> None:
        """A worker that stops ends the call after its time to drain, and the attempt is handed back."""
        with self._lasting(solar) as plan:
            running = solar.calls
            solar.stop(0.1)
            assert not running.has(plan.uid, TASK), (
                "the call went on when its worker had stopped: it takes no notice of Cancelled"
                f"\n{running.where()}"
            )
            state = plan.look().states[TASK]
            assert state in (State.PENDING, State.ERROR_RETRY), (
                f"the call was to be handed back when its worker stopped, and its task is {state}"
            )

    @contextlib.contextmanager
    def _lasting(self, solar: Solar, **parameters: Any) -> Iterator[RunningPlan]:
        __tracebackhide__ = True
        made = self._lasting_task(**parameters)
        if made is None:
            pytest.skip("lasting is not given")
        try:
            with solar.running(made) as plan:
                plan.wait_for(TASK, State.INPROGRESS)
                yield plan
        except WrongState as error:
            pytest.fail(f"lasting must be a call that runs until it is ended, and not so soon: {error}")
        finally:
            for blocked in solar.blocking:
                pytest.fail(str(blocked))

    def _must_have_been_ended(self, ended: Ended, error: str, by: str) -> None:
        __tracebackhide__ = True
        found = ended[TASK]
        assert found["status"] == State.ERROR, (
            f"{by} was to end the call in ERROR, and it is in {found['status']}:"
            " it does not last, or takes Cancelled for something else"
        )
        assert (found["errmsg"] or "").startswith(error), (
            f"{by} was to end the call, and it ended with: {found['errmsg']}"
        )
