"""The executor that carries calls over ZeroMQ, in the events of zerorpc.

Messages are one-way, from a client's PUSH socket to the worker's PULL
socket; nothing acknowledges them.  That a call returned says that ZeroMQ
took it while a worker was connected, no more.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import logging
import os
import struct
import termios
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gevent
import zerorpc
import zmq
from gevent.event import Event
from gevent.lock import Semaphore

from solar_orch.errors import AddressError, AddressInUse, NoPeer
from solar_orch.executors import wire
from solar_orch.executors.address import Address, AddressLock, check_socket, parse, prepare_directory
from solar_orch.executors.drops import Drops
from solar_orch.executors.greenlets import GreenletExecutor

if TYPE_CHECKING:
    from solar_orch.workers.base import Worker
    from solar_orch.workers.calls import Ctxt

LOG = logging.getLogger(__name__)

#: Bytes of the largest message that is taken; a peer that sends a larger one is disconnected.
MAX_MESSAGE = wire.MAX_FRAME
#: Messages that may wait inside ZeroMQ for a worker to read them.  One whose peer hangs up
#: while they are at this number loses what the operating system still holds of that peer.
RECEIVE_LIMIT = 10_000
#: Messages that may wait inside ZeroMQ for the way to the worker.
SEND_LIMIT = 1_000
#: Seconds for which a call that was handed over counts as perhaps unread.
IN_DOUBT = 10.0

#: Messages that are taken, or sent, before other greenlets get their turn.
_BATCH = 64
#: Seconds that ZeroMQ gets at least to give what it holds to the operating system.
_LEAST_LINGER = 0.05
#: Seconds between two looks at what a worker has not read, and how many must find nothing.
_PAUSE = 0.005
_CALM = 2
#: Bytes of the shortest call, rounded down.
_LEAST_FRAME = 48
#: What event loops call waiting for something to read.
_READ = 1
_WATCHED = zmq.EVENT_CONNECTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_MONITOR_STOPPED
#: Milliseconds that a client which nobody closed may take at exit.
_EXIT_LINGER = 500

_Handler = Callable[[Any, Any, Any], None]


class _Events(zerorpc.Events):  # type: ignore[misc]
    """The socket of a pusher or puller, without zerorpc's greenlets for sending and receiving.

    The one that sends cannot be ended while a send is blocked, and the one
    that receives dies silently.
    """

    def __init__(self, socket_type: int, context: zerorpc.Context) -> None:
        self._debug = False
        self._zmq_socket_type = socket_type
        self._context = context
        self._socket = context.socket(socket_type)
        self._send = None
        self._recv = None

    def __del__(self) -> None:
        """Closing is up to the owner; when the interpreter ends it would fail noisily."""


# -- the receiving side ----------------------------------------------------


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

    def _open(self) -> None:
        self._lock.acquire()
        path = self._address.path
        if path is not None:
            # The lock lies beside the socket, so that the directory has been checked.
            check_socket(path)
        methods = {name: functools.partial(self.accept, name) for name in self.worker.methods}
        self._puller = _Puller(methods, self.accept, self.drops)
        self._puller.listen(self._address)

    def _receive(self) -> None:
        assert self._puller is not None
        self._puller.run()

    def _close_intake(self) -> None:
        puller, self._puller = self._puller, None
        if puller is not None:
            puller.close()
            self._remove_socket()

    def _remove_socket(self) -> None:
        # Not every build of ZeroMQ does; the lock is still held, so that it cannot be a successor's.
        if self._address.path is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._address.path)

    def _release(self) -> None:
        self._lock.release()


class _Puller(zerorpc.Puller):  # type: ignore[misc]
    """A zerorpc puller that only calls what it is given by name, and that no message can end.

    :param methods: name to ``handler(ctxt, args, kwargs)``
    :param others: ``handler(name, ctxt, args, kwargs)`` for all other names
    """

    def __init__(
        self, methods: Mapping[str, _Handler], others: Callable[[str, Any, Any, Any], None], drops: Drops
    ) -> None:
        # Not zerorpc's own, which starts a greenlet that reads.
        self._context = zerorpc.Context()
        self._events = _Events(zmq.PULL, self._context)
        self._methods = dict(methods)
        self._others = others
        self._drops = drops
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
            for _ in range(_BATCH):
                self._take(self._events._socket.recv_multipart())
            # Reading what has already come does not let others run.
            gevent.sleep(0)

    def close(self) -> None:
        """Close, and wait until ZeroMQ has let go of the address, which may have a successor soon."""
        super().close()
        self._context.term()

    def _take(self, frames: list[bytes]) -> None:
        if len(frames) != 1:
            self._drops.add("malformed messages", f"{len(frames)} frames")
            return
        try:
            method, ctxt, args, kwargs = wire.unpack(frames[0])
        except wire.Malformed as error:
            self._drops.add("malformed messages", str(error))
            return
        try:
            handler = self._methods.get(method) or functools.partial(self._others, method)
            handler(ctxt, args, kwargs)
        except Exception:
            self._drops.add("messages that could not be taken", method)
            LOG.exception("a message could not be taken")


# -- the sending side ------------------------------------------------------


class Client:
    """Sends calls to the worker behind one address; a :class:`~solar_orch.executors.base.Client`.

    The first call opens a socket; in a process forked after that, the first
    call opens another.  ``send_timeout`` bounds each call.  Calls of one
    greenlet arrive in their order, from one connection to the next with gaps.
    All of its methods belong to one thread.

    :param address: ``ipc://`` or ``tcp://`` on loopback
    :raises AddressError: if the address cannot or must not be used
    """

    send_timeout: float = 5.0

    def __init__(self, address: str) -> None:
        self.address = address
        self._address = parse(address)
        self._pusher: _Pusher | None = None
        self._closed = False

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_"):
            raise AttributeError(method)
        return functools.partial(self._call, method)

    def _call(self, method: str, ctxt: Ctxt, /, *args: Any, **kwargs: Any) -> None:
        """Queue one call; blocks the calling greenlet for ``send_timeout`` seconds at most.

        :raises NoPeer: if no worker is connected, or none reads, for that long; or after :meth:`close`
        :raises NotCarried: if its arguments cannot be sent
        :raises AddressError: if the socket's directory is not private
        """
        if self._closed:
            raise NoPeer(self.address, 0.0)
        deadline = time.monotonic() + self.send_timeout
        pusher = self._open_pusher()
        frame = pusher.pack(method, ctxt, args, kwargs)
        if not pusher.send(frame, deadline):
            raise NoPeer(self.address, self.send_timeout)

    def close(self, timeout: float) -> int:
        """Send what waits, for at most `timeout` seconds (and a twentieth), and let go of everything.

        Blocks the calling greenlet only.  A call made afterwards raises ``NoPeer``.

        :return: how many calls may be lost, as far as can be known: those
            that still waited for a worker (their callers get ``NoPeer``);
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

    def _open_pusher(self) -> _Pusher:
        pusher = self._pusher
        if pusher is None or pusher.pid != os.getpid():
            if self._address.path is not None:
                prepare_directory(os.path.dirname(self._address.path))
                check_socket(self._address.path)
            self._pusher = pusher = _Pusher(self._address)
            _OPEN.add(pusher)
        return pusher


class _Pusher(zerorpc.Pusher):  # type: ignore[misc]
    """A zerorpc pusher that takes nothing without a peer, whose sends end in time, and that can be closed.

    Sends go from the calling greenlet straight to the socket, one after the other.
    """

    def __init__(self, address: Address) -> None:
        self.pid = os.getpid()
        self.name = address.text
        self._context = zerorpc.Context()
        self._events = _Events(zmq.PUSH, self._context)
        self._socket = self._events._socket
        self._turn = Semaphore(1)
        self._waiting = 0
        self._nobody_waits = Event()
        self._given_up = False
        self._socket_is_gone = Event()
        self._is_ipc = address.path is not None
        self._descriptor: int | None = None
        self._sent = 0
        self._sent_lately: deque[float] = deque(maxlen=RECEIVE_LIMIT)
        self.in_doubt = 0
        self._socket.setsockopt(zmq.IMMEDIATE, 1)
        self._socket.setsockopt(zmq.SNDHWM, SEND_LIMIT)
        self._socket.setsockopt(zmq.LINGER, _EXIT_LINGER)
        self._socket.setsockopt(zmq.IPV6, int(address.is_ipv6))
        self._monitor = self._open_monitor()
        self._watcher = gevent.spawn(self._watch)
        self.connect(address.endpoint, resolve=False)

    def pack(self, method: str, ctxt: object, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
        """One call as an event of zerorpc.

        :raises NotCarried: if it cannot be read back
        """
        event = self._events.new_event(method, (), self._context.hook_get_task_context())
        return wire.pack(method, ctxt, args, kwargs, event.header)

    def send(self, frame: bytes, deadline: float) -> bool:
        """Hand `frame` to ZeroMQ; False if that could not be done before `deadline` (monotonic clock)."""
        self._waiting += 1
        self._nobody_waits.clear()
        try:
            if not self._turn.acquire(timeout=max(0.001, deadline - time.monotonic())):
                return False
            try:
                taken = self._hand_over(frame, deadline)
            finally:
                self._turn.release()
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._nobody_waits.set()
        if taken and self._sent % _BATCH == 0:
            # Sending does not let others run as long as ZeroMQ has room.
            gevent.sleep(0)
        return taken

    def _hand_over(self, frame: bytes, deadline: float) -> bool:
        while not self._given_up:
            try:
                self._socket.send(frame, zmq.NOBLOCK)
            except zmq.Again:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._wait_until_writable(left)
            else:
                self._sent += 1
                self._sent_lately.append(time.monotonic())
                return True
        return False

    def _wait_until_writable(self, seconds: float) -> None:
        self._socket._writable.clear()
        # Asking also makes ZeroMQ signal the next change.
        if not self._socket.getsockopt(zmq.EVENTS) & zmq.POLLOUT:
            self._socket._writable.wait(min(seconds, 0.2))

    # -- what becomes of the connection ----------------------------------

    def _open_monitor(self) -> Any:
        endpoint = f"inproc://solar-{id(self):x}"
        self._socket.monitor(endpoint, _WATCHED)
        # A plain socket: zerorpc's might touch it in a forked process.
        monitor = zmq.Socket(self._context, zmq.PAIR)
        # ZeroMQ's own thread would wait for a reader that falls behind.
        monitor.setsockopt(zmq.RCVHWM, 0)
        monitor.setsockopt(zmq.LINGER, 0)
        monitor.connect(endpoint)
        return monitor

    def _watch(self) -> None:
        """Follow the socket until it is gone: it has sent all that it held, or was to wait no longer."""
        hub = gevent.get_hub()
        readable = hub.loop.io(self._monitor.getsockopt(zmq.FD), _READ)
        try:
            # All that is there must be read before ZeroMQ signals more.
            while not self._note_events():
                hub.wait(readable)
        finally:
            readable.close()

    def _note_events(self) -> bool:
        """Note all that has come; whether no more is to be read by this process."""
        while self.pid == os.getpid():
            try:
                frames = self._monitor.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return False
            event, value = struct.unpack_from("=Hi", frames[0])
            if event == zmq.EVENT_CONNECTED:
                self._descriptor = value
            elif event == zmq.EVENT_DISCONNECTED:
                self._descriptor = None
                self._note_broken_connection()
            elif event == zmq.EVENT_MONITOR_STOPPED:
                self._socket_is_gone.set()
                return True
        return True

    def _note_broken_connection(self) -> None:
        since = time.monotonic() - IN_DOUBT
        doubtful = sum(when >= since for when in self._sent_lately)
        if self._given_up:
            # Had nothing been held back, the socket would have been gone before.
            doubtful = max(doubtful, min(self._sent, SEND_LIMIT))
        # What ZeroMQ still held for that connection is gone with it.
        self._sent_lately.clear()
        self._sent = 0
        if doubtful:
            self.in_doubt += doubtful
            LOG.info("%s: connection lost; up to %d calls may be lost with it", self.name, doubtful)

    # -- closing ---------------------------------------------------------

    def finish(self, timeout: float) -> int:
        """Close within `timeout` seconds; how many calls may be lost."""
        deadline = time.monotonic() + timeout
        if self._waiting:
            self._nobody_waits.wait(timeout)
        lost = self._waiting
        self._let_waiting_go()
        unread = self._wait_until_read(deadline)
        sent = self._close_socket(max(_LEAST_LINGER, deadline - time.monotonic()))
        if unread or not sent:
            lost += min(self._sent, SEND_LIMIT + unread // _LEAST_FRAME)
        return lost + self.in_doubt

    def _let_waiting_go(self) -> None:
        self._given_up = True
        if self._waiting:
            self._socket._writable.set()
            self._nobody_waits.wait(1)

    def _wait_until_read(self, deadline: float) -> int:
        """Wait until the worker has read all that the operating system holds; bytes that it has not.

        When one side of an ipc connection hangs up, the other drops what it
        has not read.  Over tcp it does not, and this ends at once.
        """
        unread, calm = 0, 0
        while self._is_ipc and self._sent and calm < _CALM:
            gevent.sleep(_PAUSE)
            unread = self._unread()
            # Between two writes of ZeroMQ there is nothing for an instant.
            calm = 0 if unread else calm + 1
            if time.monotonic() >= deadline:
                break
        return unread

    def _unread(self) -> int:
        if self._descriptor is None:
            return 0
        try:
            found: int = struct.unpack("=i", fcntl.ioctl(self._descriptor, termios.TIOCOUTQ, bytes(4)))[0]
        except OSError:
            return 0  # ZeroMQ has closed it, and its word of that is on its way
        return found

    def _close_socket(self, linger: float) -> bool:
        """Close, and wait `linger` seconds for what is held; whether that ended before the time was up."""
        begun = time.monotonic()
        self._socket.setsockopt(zmq.LINGER, round(linger * 1000))
        self.close()
        is_gone = self._socket_is_gone.wait(linger + 1)
        # ZeroMQ does not tell the two ends apart; its clock counts milliseconds.
        early = time.monotonic() - begun < linger - _LEAST_LINGER / 5
        self._watcher.kill(block=True, timeout=1)
        self._monitor.close()
        if is_gone:
            self._context.term()
        return is_gone and early

    def close_at_exit(self) -> None:
        """Close without help of the event loop; blocks the process for half a second at most."""
        # In this order: ZeroMQ's thread must not be left with a monitor that nobody reads.
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.setsockopt(zmq.LINGER, _EXIT_LINGER)
        self.close()
        self._context.term()

    def forsake(self) -> None:
        """Let nothing touch the sockets in this process, which was forked: ZeroMQ would never return.

        The first call in this process opens others.
        """
        self._given_up = True
        self._socket._state_event.stop()


#: Those that nobody has closed.
_OPEN: weakref.WeakSet[_Pusher] = weakref.WeakSet()


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
