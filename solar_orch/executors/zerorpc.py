"""The executor that carries calls over ZeroMQ, in the events of zerorpc.

Messages are one-way, from a client's PUSH socket to the worker's PULL
socket; nothing acknowledges them.  That a call returned says that ZeroMQ
took it while a worker was connected, no more.
"""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING, Any

import gevent
import zerorpc
import zmq

from solar_orch.errors import AddressError, AddressInUse
from solar_orch.executors import local, wire
from solar_orch.executors.address import Address, AddressLock, parse
from solar_orch.executors.client import Client
from solar_orch.executors.drops import Drops
from solar_orch.executors.events import Events
from solar_orch.executors.greenlets import GreenletExecutor
from solar_orch.executors.pusher import RECEIVE_LIMIT
from solar_orch.ownership import check_socket

if TYPE_CHECKING:
    from solar_orch.workers.base import Worker

__all__ = ["Client", "Executor"]

LOG = logging.getLogger(__name__)

#: See :data:`solar_orch.executors.base.CAPABILITIES`.
capabilities = frozenset({"ordered", "processes"})

#: Bytes of the largest message that is taken; a peer that sends a larger one is disconnected.
MAX_MESSAGE = wire.MAX_FRAME

#: Calls that are taken before other greenlets get their turn, at most.
_BATCH = 64


class Executor(GreenletExecutor):
    """Takes calls from a ZeroMQ socket and runs them in greenlets.

    See :class:`~solar_orch.executors.base.Executor` for the contract.

    :param worker: whose public methods can be called
    :param address: ``ipc://`` or ``tcp://`` on loopback
    :raises AddressError: if the address cannot or must not be used
    """

    def __init__(self, worker: Worker, address: str) -> None:
        super().__init__(worker, address)
        self._address = parse(address)
        self._lock = AddressLock(address, worker.conf.orchestration.runtime_dir)
        self._puller: _Puller | None = None

    def open(self) -> None:
        self._lock.acquire()
        path = self._address.path
        if path is not None:
            # The lock lies beside the socket, so that the directory has been checked.
            check_socket(path)
        self._puller = _Puller(self.accept, self.drops)
        self._puller.listen(self._address)
        local.take(self.address, self.accept)

    def receive(self) -> None:
        assert self._puller is not None
        self._puller.run()

    def close_intake(self) -> None:
        local.leave(self.address, self.accept)
        puller, self._puller = self._puller, None
        if puller is not None:
            puller.close()
            self._remove_socket()

    def _remove_socket(self) -> None:
        # Not every build of ZeroMQ does; the lock is still held, so that it cannot be a successor's.
        if self._address.path is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._address.path)

    def release(self) -> None:
        self._lock.release()


class _Puller(zerorpc.Puller):  # type: ignore[misc]
    """A zerorpc puller that only hands over what it receives, and that no message can end.

    :param accept: decides what becomes of a call, and tells whether calls pile up
    """

    def __init__(self, accept: local.Accept, drops: Drops) -> None:
        # Not zerorpc's own, which starts a greenlet that reads.
        self._context = zerorpc.Context()
        self._events = Events(zmq.PULL, self._context)
        self._methods: dict[str, Any] = {}
        self._accept = accept
        self._drops = drops
        self._taken = 0
        self._receiver_task = None

    def listen(self, address: Address) -> None:
        """Bind.

        :raises AddressInUse: if another process has the port
        :raises AddressError: for whatever else is in the way
        """
        self._events.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
        self._events.setsockopt(zmq.RCVHWM, RECEIVE_LIMIT)
        self._events.setsockopt(zmq.LINGER, 0)
        self._events.setsockopt(zmq.IPV6, int(address.is_ipv6))
        # 0700 and not 0600: other threads may be making directories meanwhile.
        mask = os.umask(0o077)
        try:
            self.bind(address.endpoint, resolve=False)
        except zmq.ZMQError as error:
            if error.errno == zmq.EADDRINUSE:
                raise AddressInUse(address.text) from error
            raise AddressError(address.text, f"cannot be served: {error.strerror}") from error
        finally:
            os.umask(mask)
        if address.path is not None:
            os.chmod(address.path, 0o600)

    def run(self) -> None:
        """Receive until killed, in the calling greenlet."""
        while True:
            self._take(self._events._socket.recv_multipart())

    def close(self) -> None:
        """Close, and wait until ZeroMQ has let go of the address, which may have a successor soon."""
        super().close()
        self._context.term()

    def _take(self, frames: list[bytes]) -> None:
        if len(frames) != 1:
            self._drop_malformed(f"{len(frames)} frames")
            return
        try:
            for call in wire.take_apart(frames[0], self._drop_malformed):
                self._hand_over(*call)
        except wire.Malformed as error:
            self._drop_malformed(error)

    def _hand_over(self, method: str, ctxt: Any, args: Any, kwargs: Any) -> None:
        piles_up = False
        try:
            piles_up = self._accept(method, ctxt, args, kwargs)
        except Exception:
            self._drops.add("messages that could not be taken", method)
            LOG.exception("a message could not be taken")
        self._let_others_run(piles_up)

    def _drop_malformed(self, why: object) -> None:
        self._drops.add("malformed messages", str(why))
        self._let_others_run()

    def _let_others_run(self, at_once: bool = False) -> None:
        """Reading what has already come does not do so by itself."""
        self._taken += 1
        if at_once or self._taken % _BATCH == 0:
            gevent.sleep(0)
