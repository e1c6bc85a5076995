"""Broken in how an executor begins and stops."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

import gevent
from gevent.event import Event

from broken.base import Sound, broken
from solar_orch.executors import inline
from solar_orch.testing.executors.serving import Serving


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
                time.sleep(0.1)
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
