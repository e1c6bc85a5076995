"""The worker's side of the guard: registering commands with it, and asking for their end.

The guard itself is in :mod:`solar_orch.workers.guard`.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import itertools
import logging
import math
import os
import time
import weakref
from collections.abc import Callable

import gevent
from gevent import socket
from gevent.monkey import get_original
from gevent.subprocess import Popen

from solar_orch.store.instance import instance as own_instance
from solar_orch.store.instance import is_of_this_machine
from solar_orch.workers import guard
from solar_orch.workers.guardlink import Descriptor, Link

LOG = logging.getLogger(__name__)

#: Seconds that a command which is about to begin waits for a guard that does not read.
STUCK = 2.0
#: Seconds between guards when one did not live that long.
RESTART_PAUSE = 1.0

_RETRY_PAUSE = 0.05


class GuardGone(Exception):  # noqa: N818
    """Raised where a command was to begin, because nobody would guard it."""


def end_attempts_of(instance: str, key: str, attempt: int, timeout: float) -> bool:
    """See to it that what a worker process began for a task, in this attempt and those before, is dead.

    Its guard ends what still lives (SIGTERM, then SIGKILL), whatever the
    state of the worker.  Blocks the calling greenlet only.

    :param instance: of that process, as ``solar_orch.store.instance``; may be this one
    :param key: the task's id
    :param timeout: seconds that may take; an end by SIGKILL takes ``session.GRACE``
    :return: True if all of it is dead, or if neither that process nor its
        guard is left; False if that is not known within `timeout`, if
        something cannot be killed, or if it is another host's
    """
    if not is_of_this_machine(instance):
        return False
    line = f"end {_token(key)} {attempt}\n".encode()
    deadline = time.monotonic() + timeout
    return all(_ended(guard.address(instance, seat), line, deadline) for seat in range(guard.SEATS))


def _ended(address: bytes, line: bytes, deadline: float) -> bool:
    while True:
        try:
            answer = _ask(address, line, deadline)
        except ConnectionRefusedError:
            # A worker that lives would listen, and so would a guard with something left to do.
            return True
        except OSError as error:
            LOG.debug("no answer of a guard: %s", error)
            answer = b""
        if answer in (guard.DEAD, guard.LEFT):
            return answer == guard.DEAD
        # The guard was replaced, or has just ended its work; or its backlog is full.
        if time.monotonic() + _RETRY_PAUSE >= deadline:
            return False
        gevent.sleep(_RETRY_PAUSE)


def _ask(address: bytes, line: bytes, deadline: float) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        # Never waits: it is connected at once, refused, or the backlog is full.
        connection.settimeout(0.0)
        connection.connect(address)
        if not guard.is_same_user(connection):
            raise ConnectionRefusedError(errno.ECONNREFUSED, "another user's")
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        connection.sendall(line)
        return bytes(connection.recv(guard.LINE_LIMIT))


def _token(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class Guarded:
    """A command that a guard knows of, from before it begins until it has ended."""

    def __init__(self, keeper: ProcessGuard, serial: int, key: str, attempt: int) -> None:
        self._keeper = keeper
        self.serial = serial
        self._token = _token(key)
        self._attempt = int(attempt)
        #: Its process, once it has begun.
        self.pid: int | None = None
        self.cause_told: str | None = None

    def line(self, pid: int) -> bytes:
        """What registers it."""
        return f"+ {self.serial} {pid} {self._token} {self._attempt}\n".encode()

    @property
    def cause(self) -> str | None:
        """Why the guard has ended it, or is about to; None if it does not."""
        self._keeper.hear()
        return self.cause_told

    def over(self) -> None:
        """It has ended, and what it left in the background is guarded no longer; does not block."""
        self._keeper.forget(self)


class ProcessGuard:
    """Has the commands of this process ended when this process cannot do it.

    The guard is started by :meth:`open`, or with the first command, and another
    in its place if it is killed.  Making one of these opens nothing; a fork may use it, and
    gets a guard of its own.
    """

    def __init__(self) -> None:
        #: The process that all of this belongs to: not a fork of it.
        self._owner = 0
        self._link: Link | None = None
        self._listener: Descriptor | None = None
        self._live: dict[int, Guarded] = {}
        self._serials = itertools.count(1)
        self._fence_after: float | None = None

    def start(
        self, popen: Callable[[Callable[[], None]], Popen], key: str, attempt: int
    ) -> tuple[Popen, Guarded]:
        """Start a command that is guarded from before it runs, as the leader of a session of its own.

        :param popen: starts it with the function it is given as ``preexec_fn``;
            it must not yield to other greenlets before it has forked
        :param key: id of its task
        :raises GuardGone: if no guard can be started, or two of them are gone at once
        :raises Exception: what `popen` raises
        """
        try:
            return self._start(popen, key, attempt)
        except GuardGone:
            return self._start(popen, key, attempt)

    def _start(
        self, popen: Callable[[Callable[[], None]], Popen], key: str, attempt: int
    ) -> tuple[Popen, Guarded]:
        link = self._linked()
        guarded = Guarded(self, next(self._serials), key, attempt)
        # Before it begins: the guard may speak of it before this greenlet knows that it has.
        self._live[guarded.serial] = guarded
        try:
            process = popen(functools.partial(_become_a_command, link.pipe.number, guarded))
        except GuardGone as error:
            self._live.pop(guarded.serial, None)
            self._replace(link, str(error))
            raise
        except BaseException:
            self.forget(guarded)
            raise
        guarded.pid = process.pid
        if self._link is None:
            self._restart_soon(0.0)
        elif self._link is not link:
            self._send(guarded.line(process.pid))
        return process, guarded

    def hear(self) -> None:
        """Take in what the guard has said; does not block."""
        if self._link is not None and self._owner == os.getpid():
            self._hear(self._link)

    def forget(self, guarded: Guarded) -> None:
        """A command is not to be guarded any more; does not block."""
        self._live.pop(guarded.serial, None)
        self._send(f"- {guarded.serial}\n".encode())

    def open(self) -> None:
        """Start the guard now, and not with the first command; does not block.

        So that it can be asked to let an attempt begin no more.
        """
        try:
            self._linked()
        except GuardGone as error:
            LOG.warning("%s", error)

    def beat(self, fence_after: float) -> None:
        """Give a sign of life; does not block.

        :param fence_after: seconds within which the next must come: all
            commands that have been running for so long without one are
            ended.  Before the first sign there is no such limit.
        """
        if not (math.isfinite(fence_after) and fence_after > 0):
            raise ValueError(f"fence_after must be a positive number of seconds, not {fence_after!r}")
        self._fence_after = fence_after
        self._send(_beat_line(fence_after))

    def close(self) -> None:
        """Let go of the guard, which ends the commands that still run, and itself; does not block."""
        for guarded in self._live.values():
            guarded.cause_told = "it was closed"
        self._let_go()

    def _let_go(self) -> None:
        if self._link is not None:
            self._link.close()
        if self._listener is not None:
            self._listener.close()
        self._link, self._listener, self._live = None, None, {}

    # -- the guard process --------------------------------------------------------

    def _linked(self) -> Link:
        """The link to a guard, which is started if there is none; does not wait until it is up."""
        if self._owner != os.getpid():
            # A fork: what was inherited is the parent's.
            self._let_go()
            self._owner = os.getpid()
        if self._link is None:
            try:
                self._listener = self._listener or _listen()
                self._link = Link(self._listener, weakref.WeakMethod(self._on_guard_end))
            except OSError as error:
                raise GuardGone(f"no guard for it can be started: {error}") from error
            if self._fence_after is not None:
                self._send(_beat_line(self._fence_after))
            for guarded in list(self._live.values()):
                if guarded.pid is not None:
                    self._send(guarded.line(guarded.pid))
        return self._link

    def _send(self, line: bytes) -> None:
        link = self._link
        if link is None or self._owner != os.getpid():
            return
        try:
            os.write(link.pipe.number, line)
        except OSError as error:
            self._replace(link, str(error))

    def _hear(self, link: Link) -> None:
        for serial, reason in link.notices():
            if serial in self._live:
                self._live[serial].cause_told = guard.CAUSES.get(reason, reason)

    def _on_guard_end(self, pid: int) -> None:
        """The guard process has ended."""
        if self._link is not None and self._link.pid == pid:
            self._replace(self._link, "it has ended")

    def _replace(self, link: Link, why: str) -> None:
        """Do without this guard, dead or alive: the next will be told of all that runs."""
        if self._link is not link:
            return
        LOG.warning("the guard of the commands, process %d, is replaced: %s", link.pid, why)
        self._link = None
        self._hear(link)
        link.kill()
        link.close()
        lived_long = time.monotonic() - link.since > RESTART_PAUSE
        if lived_long or self._live:
            self._restart_soon(0.0 if lived_long else RESTART_PAUSE)
        else:
            self._let_go()

    def _restart_soon(self, pause: float) -> None:
        gevent.spawn_later(pause, self._restart)

    def _restart(self) -> None:
        # Even if nothing runs: with a listener and no guard nobody would get an answer.
        while self._link is None and (self._listener is not None or self._live):
            try:
                self._linked()
            except GuardGone as error:
                LOG.error("the guard of the commands is missing: %s", error)
                if not self._live:
                    self._let_go()
                gevent.sleep(RESTART_PAUSE)


def _beat_line(fence_after: float) -> bytes:
    return f"b {fence_after}\n".encode()


def _become_a_command(pipe: int, guarded: Guarded) -> None:
    """Runs in the child: register before anything of the command can happen.

    From here on the guard finds it, and all that it will start, by its
    session.  It holds the pipe until then: the guard does not see the end of
    it before.
    """
    os.setsid()
    line = guarded.line(os.getpid())
    try:
        try:
            os.write(pipe, line)
        except BlockingIOError:
            _wait_for_room(pipe)
            os.write(pipe, line)
    except OSError as error:
        raise GuardGone(f"its guard is gone: {error}") from None


def _wait_for_room(pipe: int) -> None:
    # Not gevent's: there is no loop in this child.
    poll = get_original("select", "poll")()
    poll.register(pipe, get_original("select", "POLLOUT"))
    poll.poll(STUCK * 1000)


def _listen() -> Descriptor:
    """A socket that is held by this process and its guard: as long as one of them lives, nobody is refused.

    :raises OSError: if there is none to be had
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        if not any(_is_bound(listener, guard.address(own_instance(), seat)) for seat in range(guard.SEATS)):
            LOG.warning("more than %d guards in a process: nobody else can have ended what this one guards",
                        guard.SEATS)  # fmt: skip
            listener.bind(b"")
        listener.listen(guard.CLIENTS)
        return Descriptor(listener.detach())


def _is_bound(listener: socket.socket, address: bytes) -> bool:
    try:
        listener.bind(address)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    return True
