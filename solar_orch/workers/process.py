"""Running a command beside other greenlets, in a session and process group of its own.

Works whether or not gevent has patched the standard library, and patches nothing.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import logging
import os
import signal
import struct
import termios
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import gevent
from gevent.event import Event
from gevent.monkey import get_original
from gevent.os import make_nonblocking, nb_read, nb_write
from gevent.subprocess import Popen

from solar_orch.errors import Interrupted, TaskError
from solar_orch.workers import session
from solar_orch.workers.guarding import Guarded, GuardGone, ProcessGuard
from solar_orch.workers.orphans import SESSION
from solar_orch.workers.output import BoundedOutput, Tail

LOG = logging.getLogger(__name__)

SHELL = "/bin/sh"
STDERR_TAIL = 2 * 1024
STDOUT_TAIL = 64 * 1024

_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    #: Exit code; negative for the number of the signal that ended it.
    code: int
    stdout: Tail
    stderr: Tail


def run(
    command: str | Sequence[str],
    *,
    output: BoundedOutput,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    stdin: str | bytes | None = None,
    stdin_grace: float | None = None,
    when_ended: Callable[[Ended], None] | None = None,
    guard: ProcessGuard | None = None,
    key: str = "",
    attempt: int = 0,
    stdout_tail_bytes: int = STDOUT_TAIL,
    stderr_tail_bytes: int = STDERR_TAIL,
) -> Ended:
    """Run a command to its end; blocks the calling greenlet only.

    It ends when its process ends.  What that process left in the background
    lives on, even if it holds the output open: what has been written by then
    is taken, and the pipes are closed, so that a daemon that is to live on
    must send its output elsewhere.

    When anything is thrown into the calling greenlet, all processes of the
    command's session are ended (SIGTERM, after ``session.GRACE`` seconds
    SIGKILL), and it goes on its way when they are dead, or cannot be killed
    for ``session.PATIENCE`` seconds.  What is thrown meanwhile is lost.

    :param command: a text is run by ``/bin/sh -c``, a list as it is
    :param output: takes what the command writes to stdout and stderr, as it arrives
    :param env: the whole environment; that of this process when None
    :param stdin: what the command reads; nothing (``/dev/null``) when None
    :param stdin_grace: stdin stays open behind what it reads, and its end, which comes with that of
        this process as well, takes the place of SIGTERM, which the command has blocked: SIGKILL
        comes so many seconds later
    :param when_ended: is told how the command ended after something was thrown
    :param guard: ends the command when this process is killed, and on the
        other occasions that are told in :mod:`solar_orch.workers.guard`
    :param key: id of the task, under which its end can be asked for
    :param attempt: of that task
    :raises TaskError: if it cannot be started
    :raises Interrupted: if the guard has ended it; all of it is dead then
    """
    if not command:
        raise TaskError("the command is empty")
    data = stdin.encode("utf-8", "surrogatepass") if isinstance(stdin, str) else stdin
    start = _unguarded if guard is None else functools.partial(guard.start, key=key, attempt=attempt)
    tails = Tail(stdout_tail_bytes), Tail(stderr_tail_bytes)
    job = _Job(command, env, cwd, data, stdin_grace, output, *tails, start)
    cancelled = Event()
    # The keeper is known to nobody else: nothing can be thrown into it.
    keeper = gevent.spawn(_keep, job, cancelled)
    try:
        outcome = keeper.get()
    except BaseException:
        cancelled.set()
        _join_whatever_is_thrown(keeper)
        if when_ended is not None and isinstance(keeper.value, Ended):
            when_ended(keeper.value)
        raise
    if isinstance(outcome, Ended):
        return outcome
    raise outcome


def _join_whatever_is_thrown(greenlet: gevent.Greenlet) -> None:
    while not greenlet.ready():
        try:
            greenlet.join()
        except gevent.exceptions.LoopExit:
            raise
        except BaseException as error:
            LOG.debug("already being ended, ignored: %r", error)


@dataclass(frozen=True)
class _Job:
    command: str | Sequence[str]
    env: Mapping[str, str] | None
    cwd: str | None
    stdin: bytes | None
    stdin_grace: float | None
    output: BoundedOutput
    stdout: Tail
    stderr: Tail
    #: Starts it by a function that takes the ``preexec_fn``.
    start: Callable[[Callable[[Callable[[], None]], Popen]], tuple[Popen, Guarded | None]]


def _unguarded(popen: Callable[[Callable[[], None]], Popen]) -> tuple[Popen, None]:
    # A group of its own that can be killed as a whole, and no terminal that could stop it.
    return popen(os.setsid), None


def _keep(job: _Job, cancelled: Event) -> Ended | Exception:
    """Start the process and see it to its end.  Errors are returned: gevent prints those that are raised."""
    if cancelled.is_set():
        return TaskError("ended before it was started")
    try:
        process = _Process(job)
    except Exception as error:
        return _not_started(job, error)
    try:
        process.wait_until_exit_or(cancelled)
        cause = process.cause
        if cause is not None or cancelled.is_set():
            process.end()
    except Exception as error:
        LOG.exception("process %d cannot be followed any more", process.pid)
        session.send(process.pid, signal.SIGKILL)
        return error
    finally:
        process.close()
    if cause is not None:
        return Interrupted(f"its command was ended by the guard of commands: {cause}")
    return Ended(process.code, job.stdout, job.stderr)


class _Process:
    """A started process with the greenlets that serve its pipes.

    :raises OSError, ValueError: as ``subprocess.Popen``; nothing is left behind then
    """

    def __init__(self, job: _Job) -> None:
        if not gevent.get_hub().loop.default:
            # Where gevent learns of the end of children.
            raise TaskError("commands can only be run in the main thread")
        with ExitStack() as on_failure, ExitStack() as child_ends:
            stdin, stdin_for_child = _stdin_pipe(job, on_failure, child_ends)
            stdout, stdout_for_child = _pipe(on_failure, child_ends)
            stderr, stderr_for_child = _pipe(on_failure, child_ends)
            popen = functools.partial(_popen, job, stdin_for_child, stdout_for_child, stderr_for_child)
            self._popen, self._guarded = job.start(popen)
            on_failure.pop_all()
        self.pid: int = self._popen.pid
        LOG.debug("process %d started", self.pid)
        self._grace = session.GRACE if job.stdin_grace is None else job.stdin_grace
        hold = job.stdin_grace is not None
        self._feeder = None if stdin is None else _Feeder(stdin, job.stdin or b"", hold)
        self._readers = [_Reader(stdout, job.output, job.stdout), _Reader(stderr, job.output, job.stderr)]

    @property
    def code(self) -> int:
        """Exit code; 0 while there is none."""
        return self._popen.returncode or 0

    @property
    def cause(self) -> str | None:
        """Why its guard has ended it; None if it has not."""
        return None if self._guarded is None else self._guarded.cause

    def wait_until_exit_or(self, event: Event) -> None:
        """Block until the process has exited or `event` is set."""
        gevent.wait([self._popen, event], count=1)

    def end(self) -> None:
        """End it and all that it started; blocks until they are dead or given up."""
        if self._feeder is not None:
            self._feeder.finish()
        session.end(self.pid, sleep=gevent.sleep, grace=self._grace)
        gevent.wait([self._popen], timeout=session.PATIENCE)

    def close(self) -> None:
        """Take what stands in the pipes, and let go of them and of what still runs."""
        if self._guarded is not None:
            self._guarded.over()
        for reader in self._readers:
            reader.finish()
        if self._feeder is not None:
            self._feeder.finish()


class _Reader:
    """Moves what comes out of a pipe to where it is kept."""

    def __init__(self, fd: int, *sinks: BoundedOutput | Tail) -> None:
        self._fd = fd
        self._sinks = sinks
        make_nonblocking(fd)
        self._greenlet = gevent.spawn(self._follow)

    def _follow(self) -> None:
        while data := nb_read(self._fd, _CHUNK):
            self._keep(data)
            # A fast writer must not hold up everybody else.
            gevent.sleep(0)

    def _keep(self, data: bytes) -> None:
        for sink in self._sinks:
            sink.write(data)

    def finish(self) -> None:
        """Take what is in the pipe now, but no more: somebody may write to it for ever; close it."""
        self._greenlet.kill()
        try:
            left = _bytes_waiting(self._fd)
            while left > 0 and (data := os.read(self._fd, left)):
                self._keep(data)
                left -= len(data)
        except BlockingIOError:
            LOG.debug("another process took what was in the pipe")
        finally:
            _close(self._fd)


def _close(fd: int) -> None:
    """Close now.

    ``os.close`` as gevent patches it closes when the loop next wakes, and the
    loop may be waiting for just the process that waits for this end of file.
    """
    get_original("os", "close")(fd)


def _bytes_waiting(fd: int) -> int:
    (count,) = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * struct.calcsize("i")))
    return int(count)


class _Feeder:
    """Writes to a pipe as fast as it is read, and closes it at the end.

    :param hold: whether that end is only :meth:`finish`
    """

    def __init__(self, fd: int, data: bytes, hold: bool = False) -> None:
        self._fd: int | None = fd
        self._hold = hold
        make_nonblocking(fd)
        self._greenlet = gevent.spawn(self._write, fd, memoryview(data))

    def _write(self, fd: int, data: memoryview) -> None:
        try:
            while data:
                data = data[nb_write(fd, data[:_CHUNK]) :]
                gevent.sleep(0)
        except BrokenPipeError:
            LOG.debug("%d bytes of stdin were not read", len(data))
        if not self._hold:
            self._close()

    def finish(self) -> None:
        """Write no more."""
        self._greenlet.kill()
        self._close()

    def _close(self) -> None:
        if self._fd is not None:
            _close(self._fd)
            self._fd = None


def _pipe(on_failure: ExitStack, child_ends: ExitStack) -> tuple[int, int]:
    """A pipe that is read here: (end to be kept, end for the child)."""
    ours, theirs = os.pipe()
    on_failure.callback(_close, ours)
    child_ends.callback(_close, theirs)
    return ours, theirs


def _stdin_pipe(job: _Job, on_failure: ExitStack, child_ends: ExitStack) -> tuple[int | None, int]:
    """(end to be kept, end for the child); without text the latter is ``/dev/null``."""
    if job.stdin is None and job.stdin_grace is None:
        null = os.open(os.devnull, os.O_RDONLY)
        child_ends.callback(_close, null)
        return None, null
    theirs, ours = os.pipe()
    on_failure.callback(_close, ours)
    child_ends.callback(_close, theirs)
    return ours, theirs


def _popen(job: _Job, stdin: int, stdout: int, stderr: int, preexec_fn: Callable[[], None]) -> Popen:
    argv = [SHELL, "-c", job.command] if isinstance(job.command, str) else list(job.command)
    env = None if job.env is None else dict(job.env)

    def begin() -> None:
        """In the child, before it becomes the command."""
        preexec_fn()
        if job.stdin_grace is not None:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        if env is not None:
            env[SESSION] = str(os.getpid())

    return Popen(
        argv,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd=job.cwd,
        env=env,
        preexec_fn=begin,
    )


def _not_started(job: _Job, error: Exception) -> Exception:
    if not isinstance(error, (OSError, ValueError, GuardGone)):
        return error
    in_cwd = _cwd_problem(job.cwd) if isinstance(error, OSError) else None
    if in_cwd:
        return TaskError(f"cannot run a command in {job.cwd}: {in_cwd}")
    program = SHELL if isinstance(job.command, str) else job.command[0]
    cause = (error.strerror if isinstance(error, OSError) else None) or str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOENT and os.path.isfile(program):
        cause = "the interpreter named in its first line does not exist"
    return TaskError(f"cannot run {program}: {cause}")


def _cwd_problem(cwd: str | None) -> str | None:
    if cwd is None:
        return None
    if not os.path.exists(cwd):
        return "no such directory"
    if not os.path.isdir(cwd):
        return "not a directory"
    if not os.access(cwd, os.X_OK):
        return "permission denied"
    return None
