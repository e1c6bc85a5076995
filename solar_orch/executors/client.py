"""The client of the zerorpc executor."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import time
import weakref
from typing import TYPE_CHECKING, Any, ClassVar

import gevent

from solar_orch.errors import NoPeer
from solar_orch.executors import local, wire
from solar_orch.executors.address import parse
from solar_orch.executors.pusher import Pusher
from solar_orch.ownership import check_socket, prepare_directory

if TYPE_CHECKING:
    from solar_orch.workers.calls import Ctxt

LOG = logging.getLogger(__name__)


class Client:
    """Sends calls to the worker behind one address; a :class:`~solar_orch.executors.base.Client`.

    The first call opens a socket; in a process forked after that, the first
    call opens another.  ``send_timeout`` bounds each call.  Calls of one
    greenlet arrive in their order, from one connection to the next with gaps.
    All of its methods belong to one thread.

    Calls to a worker of this process go to it directly, in the same form.
    Others leave together with those of the same turn of the event loop, when
    it ends or when there are many; those that are made outside of greenlets,
    where the loop may never run, leave at once.

    :param address: ``ipc://`` or ``tcp://`` on loopback
    :raises AddressError: if the address cannot or must not be used
    """

    send_timeout: float = 5.0
    #: Whether calls may go to a worker of this process without a socket.
    directly: ClassVar[bool] = True

    def __init__(self, address: str) -> None:
        self.address = address
        self._address = parse(address)
        self._pusher: Pusher | None = None
        self._closed = False
        self._given = 0

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_"):
            raise AttributeError(method)
        return functools.partial(self._call, method)

    def _call(self, method: str, ctxt: Ctxt, /, *args: Any, **kwargs: Any) -> None:
        """Queue one call; blocks the calling greenlet for ``send_timeout`` seconds at most.

        Returns at once while a worker is connected and takes what was sent before.

        :raises NoPeer: if no worker is connected, or none reads, for that long; or after :meth:`close`
        :raises NotCarried: if its arguments cannot be sent
        :raises AddressError: if the socket's directory is not private
        """
        if self._closed:
            raise NoPeer(self.address, 0.0)
        accept = local.taker(self.address) if self.directly else None
        if accept is not None and (self._pusher is None or self._pusher.is_idle):
            self._give(accept, wire.carried(method, ctxt, args, kwargs))
            return
        frame = wire.pack(method, ctxt, args, kwargs, {})
        deadline = time.monotonic() + self.send_timeout
        pusher = self._open_pusher()
        if not pusher.send(frame, deadline):
            raise NoPeer(self.address, self.send_timeout)
        if not _loop_will_run():
            pusher.flush()

    def _give(self, accept: local.Accept, call: wire.Call) -> None:
        piles_up = accept(*call)
        self._given += 1
        if piles_up or self._given % _TURN == 0:
            gevent.sleep(0)

    def close(self, timeout: float) -> int:
        """Send what waits, for at most `timeout` seconds (and a twentieth), and let go of everything.

        Blocks the calling greenlet only.  A call made afterwards raises ``NoPeer``.

        :return: how many calls may be lost, as far as can be known: those
            that still waited for a worker (their callers get ``NoPeer``, if
            they have not returned yet) or waited too long;
            if ZeroMQ could not give all of what it held to the operating
            system in time, or (over ipc) the worker's side did not read it
            from there, all that may have been held; and for each
            connection that broke, the calls of the last ``IN_DOUBT``
            seconds before.  0 does not say that the worker has acted on them.
        """
        pusher, self._pusher = self._pusher, None
        self._closed = True
        if pusher is None or pusher.pid != os.getpid():
            return 0
        _OPEN.discard(pusher)
        lost = pusher.finish(max(0.0, timeout))
        if lost:
            # A connection also breaks when a worker stops as it should; whatever else is unexpected.
            level = logging.WARNING if lost > pusher.in_doubt else logging.INFO
            LOG.log(level, "%s: closed; up to %d calls may be lost", self.address, lost)
        return lost

    def _open_pusher(self) -> Pusher:
        pusher = self._pusher
        if pusher is None or pusher.pid != os.getpid():
            if self._address.path is not None:
                prepare_directory(os.path.dirname(self._address.path))
                check_socket(self._address.path)
            self._pusher = pusher = Pusher(self._address)
            _OPEN.add(pusher)
        return pusher


def _loop_will_run() -> bool:
    """Whether the caller is a greenlet, and not a program that may know nothing of any."""
    return isinstance(gevent.getcurrent(), gevent.Greenlet)


#: Calls that are given to a worker of this process before it gets its turn, at most.
_TURN = 64

#: Those that nobody has closed.
_OPEN: weakref.WeakSet[Pusher] = weakref.WeakSet()


def _forsake_all_after_fork() -> None:
    for pusher in list(_OPEN):
        pusher.forsake()
    _OPEN.clear()


os.register_at_fork(after_in_child=_forsake_all_after_fork)


@atexit.register
def _close_all_at_exit() -> None:
    for pusher in list(_OPEN):
        if pusher.pid == os.getpid():
            pusher.close_at_exit()
