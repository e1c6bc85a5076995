"""The sending side of the zerorpc executor: one socket, what waits for it, and what became of the rest."""

from __future__ import annotations

import fcntl
import logging
import os
import struct
import termios
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import gevent
import zerorpc
import zmq
from gevent.event import Event

from solar_orch.executors import wire
from solar_orch.executors.address import Address
from solar_orch.executors.events import Events

LOG = logging.getLogger(__name__)

#: Bytes of the calls of one turn of the event loop that are sent as one message, at most.
#: ZeroMQ may hold ``SEND_LIMIT`` of these, and a worker that does not read ``RECEIVE_LIMIT``.
MAX_BUNDLE = 64 * 1024
#: Messages that may wait inside ZeroMQ for a worker to read them.  One whose peer hangs up
#: while they are at this number loses what the operating system still holds of that peer.
RECEIVE_LIMIT = 10_000
#: Messages that may wait inside ZeroMQ for the way to the worker.
SEND_LIMIT = 1_000
#: Seconds for which a call that was handed over counts as perhaps unread.
IN_DOUBT = 10.0

#: Seconds that ZeroMQ gets at least to give what it holds to the operating system.
_LEAST_LINGER = 0.05
#: Seconds between two looks at what a worker has not read, and how many must find nothing.
_PAUSE = 0.005
_CALM = 2
#: What event loops call waiting for something to read.
_READ = 1
_POLLOUT = int(zmq.POLLOUT)
_WATCHED = zmq.EVENT_CONNECTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_MONITOR_STOPPED
#: Milliseconds that a client which nobody closed may take at exit.
_EXIT_LINGER = 500


class _Message:
    """What ZeroMQ is given at once.

    :param frame: the message
    :param calls: how many it carries
    :param deadline: when it need not be sent any more (monotonic clock)
    :param caller_waits: whether somebody waits to hear that it was sent
    """

    __slots__ = ("caller_waits", "calls", "deadline", "frame", "is_sent", "over")

    def __init__(self, frame: bytes, calls: int, deadline: float, caller_waits: bool) -> None:
        self.frame = frame
        self.calls = calls
        self.deadline = deadline
        self.caller_waits = caller_waits
        self.is_sent = False
        self.over: Any = Event() if caller_waits else None

    def end(self, is_sent: bool) -> None:
        """Tell the caller, if there is one, what became of it."""
        self.is_sent = is_sent
        if self.caller_waits:
            self.over.set()


class Pusher(zerorpc.Pusher):  # type: ignore[misc]
    """A zerorpc pusher that takes nothing without a peer, whose sends end in time, and that can be closed.

    The calls of one turn of the event loop are gathered and sent at its end,
    provided that when the first of them was made a worker was connected,
    there was room, and nothing else waited.  Otherwise each call waits in a
    queue, and its caller with it, until a greenlet that empties the queue
    could send it.  What was gathered and cannot be sent goes into the queue
    too, so that nothing overtakes it.
    """

    def __init__(self, address: Address) -> None:
        self.pid = os.getpid()
        self.name = address.text
        self._context = zerorpc.Context()
        self._events = Events(zmq.PUSH, self._context)
        self._socket = self._events._socket
        self._loop = gevent.get_hub().loop
        self._bundle: list[bytes] = []
        self._bundle_bytes = wire.HEADER_ROOM
        self._bundle_deadline = 0.0
        self._flush_is_due = False
        self._queue: deque[_Message] = deque()
        self._sender: Any = None
        self._given_up = False
        self._socket_is_gone = Event()
        self._is_ipc = address.path is not None
        self._descriptor: int | None = None
        #: The messages since the connection was made: when handed over, calls and bytes.
        self._sent_lately: deque[tuple[float, int, int]] = deque(maxlen=RECEIVE_LIMIT)
        #: Calls that were gathered and could not be sent in time.
        self._dropped = 0
        self.in_doubt = 0
        self._socket.setsockopt(zmq.IMMEDIATE, 1)
        self._socket.setsockopt(zmq.SNDHWM, SEND_LIMIT)
        self._socket.setsockopt(zmq.LINGER, _EXIT_LINGER)
        self._socket.setsockopt(zmq.IPV6, int(address.is_ipv6))
        self._monitor = self._open_monitor()
        self._watcher = gevent.spawn(self._watch)
        self.connect(address.endpoint, resolve=False)

    # -- sending ---------------------------------------------------------

    def send(self, call: bytes, deadline: float) -> bool:
        """Take a call, packed with an empty header.

        Returns at once if it could be gathered.  Otherwise blocks the calling
        greenlet until ZeroMQ has taken it.

        :return: False if that could not be done before `deadline` (monotonic clock)
        """
        if self._would_exceed(call):
            self.flush()
            # Others would never run beside one that calls all the time.
            gevent.sleep(0)
            if self._would_exceed(call):
                self.flush()
        if self._given_up:
            return False
        if self._queue or not (self._bundle or self._has_room()):
            return self._wait_until_sent(call, deadline)
        self._gather(call, deadline)
        return True

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits to be sent that a later call would overtake."""
        return not self._bundle and not self._queue

    def _would_exceed(self, call: bytes) -> bool:
        return bool(self._bundle) and self._bundle_bytes + len(call) > MAX_BUNDLE

    def _has_room(self) -> bool:
        """Whether a message could be sent to a worker; asking also makes ZeroMQ signal the next change."""
        return bool(self._socket.getsockopt(zmq.EVENTS) & _POLLOUT)

    def _gather(self, call: bytes, deadline: float) -> None:
        self._bundle.append(call)
        self._bundle_bytes += len(call) + wire.ELEMENT_OVERHEAD
        self._bundle_deadline = max(self._bundle_deadline, deadline)
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.run_callback(self._flush_at_end_of_turn)

    def _flush_at_end_of_turn(self) -> None:
        self._flush_is_due = False
        self.flush()

    def flush(self) -> None:
        """Send what was gathered, or have it wait in the queue; returns at once."""
        if not self._bundle:
            return
        message = self._message(self._bundle, self._bundle_deadline, caller_waits=False)
        self._bundle, self._bundle_bytes, self._bundle_deadline = [], wire.HEADER_ROOM, 0.0
        if not self._hand_over(message):
            self._enqueue(message)

    def _message(self, calls: Sequence[bytes], deadline: float, caller_waits: bool) -> _Message:
        event = self._events.new_event("", (), self._context.hook_get_task_context())
        return _Message(wire.message(calls, event.header), len(calls), deadline, caller_waits)

    def _hand_over(self, message: _Message) -> bool:
        if self._given_up:
            return False
        try:
            self._socket.send(message.frame, zmq.NOBLOCK)
        except zmq.Again:
            return False
        self._sent_lately.append((time.monotonic(), message.calls, len(message.frame)))
        return True

    # -- what waits ------------------------------------------------------

    def _enqueue(self, message: _Message) -> None:
        self._queue.append(message)
        if not self._sender:
            self._sender = gevent.spawn(self._send_queue)

    def _wait_until_sent(self, call: bytes, deadline: float) -> bool:
        message = self._message([call], deadline, caller_waits=True)
        self._enqueue(message)
        try:
            message.over.wait(max(0.001, deadline - time.monotonic()))
        finally:
            # A timeout of the caller's own ends it here as well.
            if message in self._queue:
                self._queue.remove(message)
        return message.is_sent

    def _send_queue(self) -> None:
        """Send what waits, in its order, until nothing does."""
        while self._queue and not self._given_up:
            message = self._queue[0]
            left = message.deadline - time.monotonic()
            if self._hand_over(message):
                self._queue.popleft().end(is_sent=True)
            elif left > 0 or message.caller_waits:
                # Callers look at the clock themselves.
                self._wait_until_writable(left)
            else:
                self._drop([self._queue.popleft()])

    def _drop(self, messages: Sequence[_Message]) -> None:
        calls = sum(message.calls for message in messages)
        self._dropped += calls
        LOG.warning("%s: %d calls could not be sent in time and are lost", self.name, calls)

    def _wait_until_writable(self, seconds: float) -> None:
        self._socket._writable.clear()
        if not self._has_room():
            self._socket._writable.wait(min(max(0.001, seconds), 0.2))

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
        doubtful = sum(calls for when, calls, _ in self._sent_lately if when >= since)
        if self._given_up:
            # Had nothing been held back, the socket would have been gone before.
            doubtful = max(doubtful, self._perhaps_held(0))
        # What ZeroMQ still held for that connection is gone with it.
        self._sent_lately.clear()
        if doubtful:
            self.in_doubt += doubtful
            LOG.info("%s: connection lost; up to %d calls may be lost with it", self.name, doubtful)

    # -- closing ---------------------------------------------------------

    def finish(self, timeout: float) -> int:
        """Close within `timeout` seconds; how many calls may be lost."""
        deadline = time.monotonic() + timeout
        self.flush()
        if self._sender:
            self._sender.join(timeout)
        lost = self._dropped + sum(message.calls for message in self._queue)
        self._let_waiting_go()
        unread = self._wait_until_read(deadline)
        sent = self._close_socket(max(_LEAST_LINGER, deadline - time.monotonic()))
        if unread or not sent:
            lost += self._perhaps_held(unread)
        return lost + self.in_doubt

    def _let_waiting_go(self) -> None:
        self._given_up = True
        while self._queue:
            self._queue.popleft().end(is_sent=False)
        if self._sender:
            self._socket._writable.set()
            self._sender.join(1)

    def _perhaps_held(self, unread: int) -> int:
        """Calls of the messages that ZeroMQ may hold, and of those before them that fill `unread` bytes."""
        held = 0
        for position, (_, calls, size) in enumerate(reversed(self._sent_lately)):
            if position >= SEND_LIMIT:
                if unread <= 0:
                    break
                unread -= size
            held += calls
        return held

    def _wait_until_read(self, deadline: float) -> int:
        """Wait until the worker has read all that the operating system holds; bytes that it has not.

        When one side of an ipc connection hangs up, the other drops what it
        has not read.  Over tcp it does not, and this ends at once.
        """
        unread, calm = 0, 0
        while self._is_ipc and self._sent_lately and calm < _CALM:
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
        """Send the rest and close, without help of the event loop; blocks for a second at most."""
        self._send_rest_at_exit()
        # In this order: ZeroMQ's thread must not be left with a monitor that nobody reads.
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.setsockopt(zmq.LINGER, _EXIT_LINGER)
        self.close()
        self._context.term()

    def _send_rest_at_exit(self) -> None:
        messages = [message for message in self._queue if not message.caller_waits]
        if self._bundle:
            messages.append(self._message(self._bundle, self._bundle_deadline, caller_waits=False))
        self._socket.setsockopt(zmq.SNDTIMEO, _EXIT_LINGER)
        try:
            while messages:
                # Not zerorpc's, which would wait in the event loop.
                zmq.Socket.send(self._socket, messages[0].frame)
                del messages[0]
        except zmq.Again:
            self._drop(messages)

    def forsake(self) -> None:
        """Let nothing touch the sockets in this process, which was forked: ZeroMQ would never return.

        The first call in this process opens others; what still waits here is sent by the other process.
        """
        self._given_up = True
        self._bundle.clear()
        self._queue.clear()
        self._socket._state_event.stop()
