"""Functions called in processes of their own, in which they may do whatever they like.

Each process is forked from this one, which therefore must have neither
threads nor an event loop.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import io
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
import types
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, NoReturn, TypeVar

from gevent import getcurrent

from solar_orch import held
from solar_orch.doctor.places import Frames, frames_as_text, frames_of_text

K = TypeVar("K", bound=Hashable)

#: Returns what can be written as JSON.
Function = Callable[[], Any]

#: Seconds that a process gets to end itself after its time is over, before it is killed.
_GRACE = 2.0

#: Of ``prctl``: whoever loses its parent among the descendants of this process becomes its child.
_PR_SET_CHILD_SUBREAPER = 36

#: How the trace of a process begins whose time ran out, as :mod:`faulthandler` writes it.
_TIMEOUT = "Timeout"


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a function."""

    #: What it returned.
    value: Any
    #: Why it did not come to return; None if it did.
    problem: str | None = None
    #: Whether its time ran out.
    hung: bool = False
    #: Where it was when its process ended.
    frames: Frames = ()
    #: What it has written to stdout, and where it first did so.
    written: str = ""
    written_at: Frames = ()


def run_all(functions: Mapping[K, Function], seconds: float, at_once: int | None = None) -> dict[K, Ended]:
    """Call each function in a process of its own; blocks until all have ended.

    What a process has started, and what it wrote, is gone with it: also what has left its session, for
    which this process becomes the subreaper.

    :param seconds: that each function gets
    :param at_once: how many run at the same time; as many as there are processors when None
    """
    most = at_once or len(os.sched_getaffinity(0))
    waiting = list(functions.items())
    running: dict[K, _Process] = {}
    ended: dict[K, Ended] = {}
    _become_subreaper()
    others = held.children(os.getpid())
    try:
        while waiting or running:
            while waiting and len(running) < most:
                key, function = waiting.pop(0)
                running[key] = _Process(function, seconds)
            _wait_for_any(running.values())
            for key, process in list(running.items()):
                if process.is_over():
                    del running[key]
                    ended[key] = process.end()
                    _end_children_but({*others, *(each.pid for each in running.values())})
    finally:
        for process in running.values():
            process.end()
        _end_children_but(others)
    return {key: ended[key] for key in functions}


def _become_subreaper() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl(PR_SET_CHILD_SUBREAPER): {os.strerror(number)}")


def _end_children_but(spared: Collection[int]) -> None:
    """Kill what those that have ended left to this process, and what that leaves to it in turn."""
    deadline = time.monotonic() + _GRACE
    while left := [pid for pid in held.children(os.getpid()) if pid not in spared]:
        if time.monotonic() >= deadline:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # it may run as another user
                os.kill(pid, signal.SIGKILL)
        for pid in left:
            _reap(pid, deadline)


def _reap(child: int, deadline: float) -> None:
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        descriptor = os.pidfd_open(child)
        try:
            select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        finally:
            os.close(descriptor)
        os.waitpid(child, os.WNOHANG)


def _wait_for_any(processes: Collection[_Process]) -> None:
    poll = select.poll()
    for process in processes:
        poll.register(process.descriptor, select.POLLIN)
    earliest = min(process.deadline for process in processes)
    poll.poll(max(0.0, earliest - time.monotonic()) * 1000 + 1)


class _Process:
    """A function that is called in a process of its own."""

    def __init__(self, function: Function, seconds: float) -> None:
        self._seconds = seconds
        # Not pipes: whatever the process leaves behind could keep those open, or fill them.
        files = [tempfile.TemporaryFile() for _ in range(4)]  # noqa: SIM115 - closed when they have been read
        self._answer, self._stdout, self._stderr, self._trace = files
        self.deadline = time.monotonic() + seconds + _GRACE
        self.pid = os.fork()
        if self.pid == 0:
            self._run(function)
        self.descriptor = os.pidfd_open(self.pid)

    def is_over(self) -> bool:
        """Whether it has ended, or its time has."""
        ready, _, _ = select.select([self.descriptor], [], [], 0)
        return bool(ready) or time.monotonic() >= self.deadline

    def end(self) -> Ended:
        """End whatever is left of it; what became of it."""
        with contextlib.suppress(ProcessLookupError):  # all of its group may be gone
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):  # killed before it had a group
            signal.pidfd_send_signal(self.descriptor, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.descriptor)
        answer, stdout, stderr, trace = map(_text_of, (self._answer, self._stdout, self._stderr, self._trace))
        said = _read(answer)
        if said is not None:
            return Ended(
                said["value"],
                said["problem"],
                frames=said["frames"],
                written=stdout,
                written_at=said["written_at"],
            )
        frames = frames_of_text(trace)
        if trace.startswith(_TIMEOUT) or time.monotonic() >= self.deadline:
            return Ended(None, f"does not end within {self._seconds:g} s", True, frames, stdout)
        return Ended(None, _how_it_ended(status, trace, stderr), False, frames, stdout)

    # -- in the process itself -----------------------------------------------------

    def _run(self, function: Function) -> NoReturn:
        exit_ = os._exit
        try:
            os.setsid()
            _become_subreaper()  # so that it has as descendants what has left it
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            self._redirect()
            output = sys.stdout = _Noting(os.fdopen(1, "wb", 0, closefd=False), write_through=True)
            faulthandler.enable(self._trace)
            os._exit = _noted(exit_, self._trace)  # type: ignore[assignment]
            self._limit_time(exit_)
            pid = os.getpid()
            answer = {**_called(function), "written_at": output.written_at}
            if os.getpid() == pid:  # the function may have forked, and returns twice then
                self._answer.write(json.dumps(answer).encode())
                self._answer.flush()
        finally:
            exit_(0)

    def _limit_time(self, exit_: Callable[[int], NoReturn]) -> None:
        def expire(_: int, frame: types.FrameType | None) -> None:
            frames = [*traceback.extract_stack(frame), *_waiting_frames()]
            self._trace.write(f"{_TIMEOUT}\n{frames_as_text(frames)}".encode())
            self._trace.flush()
            exit_(1)

        signal.signal(signal.SIGALRM, expire)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)
        # What does not let Python handle signals is ended thus.
        faulthandler.dump_traceback_later(self._seconds + _GRACE / 2, exit=True, file=self._trace)

    def _redirect(self) -> None:
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor, to in ((0, nothing), (1, self._stdout.fileno()), (2, self._stderr.fileno())):
            os.dup2(to, descriptor)


def _waiting_frames() -> list[traceback.FrameSummary]:
    """The stack of the main greenlet, if an event loop runs because that waits."""
    current = getcurrent()
    while current.parent is not None:
        current = current.parent
    frame = current.gr_frame  # None if it is the one that runs
    return [] if frame is None else list(traceback.extract_stack(frame))


def _called(function: Function) -> dict[str, Any]:
    try:
        value = function()
        json.dumps(value)
        return {"value": value, "problem": None, "frames": ()}
    except BaseException as error:
        said = "".join(traceback.format_exception_only(error)).strip()
        frames = list(_innermost_first(traceback.extract_tb(error.__traceback__)))
        return {"value": None, "problem": f"fails: {said}", "frames": frames}


def _innermost_first(stack: traceback.StackSummary) -> Iterator[tuple[str, int]]:
    for frame in reversed(stack):
        yield frame.filename, frame.lineno or 0


def _noted(exit_: Callable[[int], NoReturn], trace: IO[bytes]) -> Callable[[int], NoReturn]:
    """``os._exit``, but where it was called from in this process stands in `trace`."""
    own = os.getpid()

    def noting(status: int) -> NoReturn:
        if os.getpid() == own:  # and not one that was forked from it
            stack = frames_as_text(traceback.extract_stack()[:-1])
            trace.write(f"os._exit({status!r})\n{stack}".encode())
            trace.flush()
        exit_(status)

    return noting


class _Noting(io.TextIOWrapper):
    """stdout that knows from where it was first written to."""

    written_at: Frames = ()

    def write(self, text: str) -> int:
        if not self.written_at:
            self.written_at = list(_innermost_first(traceback.extract_stack()))[1:]
        return super().write(text)


def _read(answer: str) -> dict[str, Any] | None:
    """What a process has answered; None if it has not, or not all of it."""
    try:
        said: dict[str, Any] = json.loads(answer)
    except ValueError:
        return None
    return said


def _text_of(file: IO[bytes]) -> str:
    with file:
        file.seek(0)
        return file.read().decode(errors="replace")


def _how_it_ended(status: int, trace: str, stderr: str) -> str:
    code = os.waitstatus_to_exitcode(status)
    last = next(iter(trace.splitlines()), "") or next(reversed(stderr.split("\n")[:-1]), "")
    said = f" ({last.strip()})" if last.strip() else ""
    if code < 0:
        return f"ends its process by {_name_of_signal(-code)}{said}"
    return f"ends its process with exit code {code}{said}"


def _name_of_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most of those for real time have none
        return f"signal {number}"
