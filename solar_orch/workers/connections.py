"""Connections to other hosts that several commands share: the control masters of OpenSSH.

A master is a process of its own, in the session of no task.  It goes when
it has not been used for some time, and when the worker stops.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import gevent
from gevent.lock import BoundedSemaphore
from gevent.monkey import get_original
from gevent.subprocess import DEVNULL, Popen, TimeoutExpired

from solar_orch.ownership import MAX_SOCKET_PATH, prepare_directory
from solar_orch.workers.calls import Stopping

LOG = logging.getLogger(__name__)

#: Commands that go through one connection at once: an sshd takes no more, unless its MaxSessions says so.
SESSIONS = 10

#: Bytes that ssh appends to the path of a socket while it makes it.
_WHILE_MADE = 17
#: Seconds that a master gets to go when the worker stops.
_PATIENCE = 2.0

#: Starts a master that listens at this path.
Connect = Callable[[str], None]


@dataclass
class _Master:
    path: str
    #: Commands that go through it, or wait for it.
    users: int = 0
    failures: int = 0
    failure: Exception | None = None
    _lock: BoundedSemaphore = field(default_factory=BoundedSemaphore)

    def ensure(self, connect: Connect) -> None:
        """See that it lives; who waits while somebody else fails to make it fails with him."""
        before = self.failures
        with self._lock:
            if self.is_served():
                return
            if self.failure is not None and self.failures != before:
                raise self.failure
            try:
                prepare_directory(os.path.dirname(self.path))
                self._remove()
                connect(self.path)
            except Exception as error:
                self.failures += 1
                self.failure = error
                raise

    def is_served(self) -> bool:
        # Never waits: it is connected at once, refused, or many others are before it; the loop is left alone.
        with get_original("socket", "socket")(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect(self.path)
            except BlockingIOError:
                return True
            except OSError:
                return False
        return True

    def _remove(self) -> None:
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            return
        LOG.info("%s: was left by a connection that broke off", self.path)

    def end(self) -> None:
        command = ["ssh", "-F", os.devnull, "-o", control_path(self.path), "-O", "exit", "--", "master"]
        try:
            process = Popen(command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True)
        except OSError as error:
            LOG.warning("%s: the connection could not be closed: %s", self.path, error)
            return
        try:
            process.wait(_PATIENCE)
        except TimeoutExpired:
            process.kill()
            LOG.warning("%s: the connection does not close, and will do so when it is not used", self.path)


class Connections:
    """The shared connections of this process.  Making one of these opens nothing.

    :param directory: private; where the sockets of the masters lie
    """

    def __init__(self, directory: str) -> None:
        self._directory = os.path.abspath(directory)
        self._masters: dict[str, _Master] = {}
        self._warned = False

    @contextlib.contextmanager
    def shared(self, options: Sequence[str], host: str, connect: Connect) -> Iterator[str | None]:
        """The path of the socket of a living master, on which there is room for one more command inside this.

        Blocks the calling greenlet while the master is made.

        :param options: those with which the host is reached; others mean another connection
        :param connect: what it raises is raised
        :return: None where the path would be too long for a socket
        :raises AddressError: if the directory is not private
        """
        master = self._with_room(options, host)
        if len(os.fsencode(master.path)) + _WHILE_MADE > MAX_SOCKET_PATH:
            self._warn_of(master.path)
            yield None
            return
        master.users += 1
        try:
            master.ensure(connect)
            yield master.path
        finally:
            master.users -= 1

    def _warn_of(self, path: str) -> None:
        if not self._warned:
            self._warned = True
            LOG.warning("%s is too long a path for shared connections; choose a shorter runtime_dir", path)

    def close_when_stopping(self, stopping: Stopping) -> None:
        """Close all when the worker stops; for ``Worker.background``."""
        stopping.wait(None)
        self.close()

    def close(self) -> None:
        """End the masters that this process has started, whatever still goes through them.

        Blocks the calling greenlet, for some seconds at most.
        """
        masters = list(self._masters.values())
        self._masters.clear()
        gevent.joinall([gevent.spawn(master.end) for master in masters if master.is_served()])

    def _with_room(self, options: Sequence[str], host: str) -> _Master:
        key = hashlib.sha256("\0".join([*options, host]).encode("utf-8", "surrogatepass")).hexdigest()[:12]
        number = 0
        while True:
            # Another process of this user must not have its connections closed when this one stops.
            path = os.path.join(self._directory, f"ssh-{os.getpid()}-{key}-{number}")
            master = self._masters.setdefault(path, _Master(path))
            if master.users < SESSIONS:
                return master
            number += 1


def control_path(path: str) -> str:
    """The option that has ssh use this socket."""
    return f"ControlPath={quoted(path)}"


def quoted(path: str) -> str:
    """A path as the value of an option of ssh, which would take ``%`` for a token and a space for an end."""
    return '"' + path.replace("%", "%%") + '"'
