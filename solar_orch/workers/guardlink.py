"""A guard process as its worker holds it: started, spoken to by a pipe, heard by another, replaced.

What goes through the pipes stands in :mod:`solar_orch.workers.guard`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import gevent
from gevent.monkey import get_original

from solar_orch.workers import guard

_PIPE_SIZE = 1024 * 1024
_CHUNK = 4096

# As gevent patches them: a close that waits for the loop to wake, a child that gevent looks after.
_close = get_original("os", "close")
_posix_spawn = get_original("os", "posix_spawn")

_ROOT = str(Path(__file__).parents[2])


class Link:
    """A guard process, with the pipes to it and from it; goes when nobody holds this any more.

    :param on_end: called with its pid, in a greenlet, when it has ended
    :raises OSError: if it cannot be started
    """

    def __init__(self, listener: Descriptor, on_end: weakref.WeakMethod[Callable[[int], None]]) -> None:
        self._listener = listener
        self._lines = guard.Lines()
        pipe_for_guard, self.pipe = _pipe()
        self._notices, notices_for_guard = _pipe()
        with contextlib.suppress(OSError):
            # What is not to be had is not needed soon.
            fcntl.fcntl(self.pipe.number, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        os.set_blocking(self.pipe.number, False)
        os.set_blocking(self._notices.number, False)
        self._process = _GuardProcess([pipe_for_guard, notices_for_guard, None, listener], on_end)
        self.pid = self._process.pid
        self.since = time.monotonic()

    def notices(self) -> list[tuple[int, str]]:
        """What the guard has said since: serial number and reason of what it ends."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._notices.number, _CHUNK):
                for line in self._lines.feed(data):
                    _, serial, reason = line.decode("ascii").split(" ")
                    found.append((int(serial), reason))
        return found

    def kill(self) -> None:
        """End the process, so that it cannot take the end of the pipe for that of the worker."""
        self._process.kill()

    def close(self) -> None:
        """Let go of the process; it takes that for the end of the worker."""
        self.pipe.close()
        self._notices.close()


class _GuardProcess:
    def __init__(
        self,
        descriptors: Sequence[Descriptor | None],
        on_end: weakref.WeakMethod[Callable[[int], None]],
    ) -> None:
        command = guard.command_line(sys.executable, _ROOT, os.getpid())
        actions = [
            (os.POSIX_SPAWN_DUP2, descriptor.number, number)
            for number, descriptor in enumerate(descriptors)
            if descriptor is not None
        ]
        # Unlike Popen it does not copy the process, and does not keep the loop running until it has ended.
        self.pid: int = _posix_spawn(command[0], command, _environment(), file_actions=actions, setsid=True)
        self._on_end = on_end
        self._has_ended = False
        loop = gevent.get_hub().loop
        loop.install_sigchld()
        self._watcher = loop.child(self.pid, ref=False)
        self._watcher.start(self._reaped)

    def _reaped(self) -> None:
        self._has_ended = True
        self._watcher.stop()
        self._watcher.close()
        on_end = self._on_end()
        if on_end is not None:
            gevent.spawn(on_end, self.pid)

    def kill(self) -> None:
        if not self._has_ended:
            os.kill(self.pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    """What an interpreter may need in order to start at all; the guard itself needs nothing."""
    return {name: os.environ[name] for name in ("PYTHONHOME", "LD_LIBRARY_PATH") if name in os.environ}


def _pipe() -> tuple[Descriptor, Descriptor]:
    """(end to read from, end to write to)"""
    reading, writing = os.pipe()
    return Descriptor(reading), Descriptor(writing)


class Descriptor:
    """A file descriptor that is closed when nobody holds this any more."""

    def __init__(self, number: int) -> None:
        # Out of the way of the numbers that it may get in the guard.
        self.number: int = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10)
        _close(number)
        self.close = weakref.finalize(self, _close, self.number)
