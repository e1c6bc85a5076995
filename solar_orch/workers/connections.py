"""Connections to other hosts that several commands share: the control masters of OpenSSH.

A master is a process of its own, in the session of no task.  It goes when
it has not been used for some time, and when the worker stops.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence

import gevent
from gevent import socket
from gevent.lock import BoundedSemaphore
from gevent.subprocess import DEVNULL, Popen, TimeoutExpired

from solar_orch.executors.address import MAX_IPC_PATH, prepare_directory
from solar_orch.workers.calls import Stopping

LOG = logging.getLogger(__name__)

#: Bytes that ssh appends to the path of a socket while it makes it.
_WHILE_MADE = 17
#: Seconds that a master gets to go when the worker stops.
_PATIENCE = 2.0


class Connections:
    """The shared connections of this process.  Making one of these opens nothing.

    :param directory: private; where the sockets of the masters lie
    """

    def __init__(self, directory: str) -> None:
        self._directory = os.path.abspath(directory)
        self._locks: dict[str, BoundedSemaphore] = {}

    def shared(self, options: Sequence[str], host: str, connect: Callable[[str], None]) -> str | None:
        """The path of the socket of a living master; blocks the calling greenlet while it is made.

        :param options: those with which the host is reached; others mean another connection
        :param connect: starts a master that listens at the path it is given; what it raises is raised
        :return: None where the path would be too long for a socket
        :raises AddressError: if the directory is not private
        """
        path = self._path(options, host)
        if len(os.fsencode(path)) + _WHILE_MADE > MAX_IPC_PATH:
            LOG.warning(
                "%s is too long a path for connections to be shared; choose a shorter runtime_dir", path
            )
            return None
        # One at a time; those that wait find it made.
        with self._locks.setdefault(path, BoundedSemaphore()):
            if not _is_served(path):
                prepare_directory(self._directory)
                _remove(path)
                connect(path)
        return path

    def close_when_stopping(self, stopping: Stopping) -> None:
        """Close all when the worker stops; for ``Worker.background``."""
        stopping.wait(None)
        self.close()

    def close(self) -> None:
        """End the masters that this process has started, whatever still goes through them.

        Blocks the calling greenlet, for some seconds at most.
        """
        paths = list(self._locks)
        self._locks.clear()
        gevent.joinall([gevent.spawn(_end_master, path) for path in paths if _is_served(path)])

    def _path(self, options: Sequence[str], host: str) -> str:
        key = hashlib.sha256("\0".join([*options, host]).encode("utf-8", "surrogatepass")).hexdigest()[:16]
        # Another process of this user must not have its connections closed when this one stops.
        return os.path.join(self._directory, f"ssh-{os.getpid()}-{key}")


def _is_served(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # Never waits: it is connected at once, refused, or many others are before it.
        probe.settimeout(0.0)
        try:
            probe.connect(path)
        except BlockingIOError:
            return True
        except OSError:
            return False
    return True


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    LOG.info("%s: was left by a connection that broke off", path)


def _end_master(path: str) -> None:
    command = ["ssh", "-F", os.devnull, "-o", control_path(path), "-O", "exit", "--", "master"]
    try:
        process = Popen(command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True)
    except OSError as error:
        LOG.warning("%s: the connection could not be closed: %s", path, error)
        return
    try:
        process.wait(_PATIENCE)
    except TimeoutExpired:
        process.kill()
        LOG.warning("%s: the connection does not close, and will do so when it is not used", path)


def control_path(path: str) -> str:
    """The option that has ssh use this socket."""
    return f"ControlPath={quoted(path)}"


def quoted(path: str) -> str:
    """A path as the value of an option of ssh, which would take ``%`` for a token and a space for an end."""
    return '"' + path.replace("%", "%%") + '"'
