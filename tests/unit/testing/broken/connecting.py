"""Broken in clients and addresses."""

from __future__ import annotations

import os
import time
from typing import Any

from gevent.event import Event

from broken.base import Keeping, Sound, broken
from solar_orch.errors import NoPeer
from solar_orch.executors import inline
from solar_orch.testing.executors.connecting import Connecting


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
