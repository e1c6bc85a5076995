"""The executor that stays inside this process: the contract of ``zerorpc`` without sockets.

For tests, and for programs that embed workers.  Any text serves as address.
Arguments take the same form on their way as with ``zerorpc``, so that caller
and worker share no object, and what cannot be carried there is refused here.
"""

from __future__ import annotations

import functools
import logging
import os
import time
from typing import TYPE_CHECKING, Any

import gevent

from solar_orch.errors import AddressInUse, NoPeer
from solar_orch.executors import wire
from solar_orch.executors.greenlets import GreenletExecutor

if TYPE_CHECKING:
    from solar_orch.workers.calls import Ctxt

LOG = logging.getLogger(__name__)

#: See :data:`solar_orch.executors.base.CAPABILITIES`.
capabilities = frozenset({"ordered"})

#: Process and address to who serves it; a forked process starts with none.
_SERVING: dict[tuple[int, str], Executor] = {}
#: Seconds between two looks for an executor that has not begun.
_PAUSE = 0.01


class Executor(GreenletExecutor):
    """Takes calls from clients of this process and runs them in greenlets.

    See :class:`~solar_orch.executors.base.Executor` for the contract.
    """

    def open(self) -> None:
        key = os.getpid(), self.address
        if _SERVING.setdefault(key, self) is not self:
            raise AddressInUse(self.address, os.getpid())

    def close_intake(self) -> None:
        # The address stays taken while running calls are drained.
        pass

    def release(self) -> None:
        key = os.getpid(), self.address
        if _SERVING.get(key) is self:
            del _SERVING[key]


class Client:
    """Hands calls to the executor of this process that serves an address; a
    :class:`~solar_orch.executors.base.Client`.

    :param address: as given to the executor
    """

    send_timeout: float = 5.0

    def __init__(self, address: str) -> None:
        self.address = address
        self._closed = False

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_"):
            raise AttributeError(method)
        return functools.partial(self._call, method)

    def _call(self, method: str, ctxt: Ctxt, /, *args: Any, **kwargs: Any) -> None:
        """Hand over one call; it runs in a greenlet of the executor.

        :raises NoPeer: if no executor serves the address for ``send_timeout`` seconds; or after :meth:`close`
        :raises NotCarried: if ``zerorpc`` could not carry its arguments
        """
        frame = wire.pack(method, ctxt, args, kwargs, {})
        executor = self._executor()
        executor.accept(*wire.unpack(frame))

    def close(self, timeout: float) -> int:
        """Take no more calls; returns at once.

        :return: 0, for those that were taken have arrived
        """
        self._closed = True
        return 0

    def _executor(self) -> Executor:
        deadline = time.monotonic() + self.send_timeout
        while not self._closed:
            found = _SERVING.get((os.getpid(), self.address))
            if found is not None and not found.stopping:
                return found
            if time.monotonic() >= deadline:
                raise NoPeer(self.address, self.send_timeout)
            gevent.sleep(_PAUSE)
        raise NoPeer(self.address, 0.0)
