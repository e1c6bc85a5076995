"""A call that blocks the event loop of its process is found, and ended."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

import gevent
from gevent import monkey

from solar_orch.errors import Unrunnable
from solar_orch.workers.calls import Cancelled

#: Seconds between looks of the watching thread.
_LOOK = 0.02
#: Ignored by default, so that one that comes late does no harm.
_SIGNAL = signal.SIGURG

# Threads and pauses of the system's, whether or not gevent has patched.
_start_thread = monkey.get_original("_thread", "start_new_thread")
_sleep = monkey.get_original("time", "sleep")
_get_ident = monkey.get_original("threading", "get_ident")


class StoodStill(Unrunnable):
    """A call has kept everything else in its process from running.

    :param task: the name of its task
    :param seconds: for how long
    :param stack: where, innermost last
    """

    def __init__(self, task: str, seconds: float, stack: str) -> None:
        self.task = task
        self.seconds = seconds
        self.stack = stack
        super().__init__(
            f"the call has blocked the event loop for {seconds:g} s and was ended: it waits on what gevent"
            f" does not know of, or computes without a pause{_advice()}; it stood here:\n{stack}"
        )


def _advice() -> str:
    if monkey.is_module_patched("socket"):
        return ""
    return (
        " (gevent has not patched the standard library here, as it does in solar-worker:"
        " set solar_orch_patch = true in the configuration of pytest)"
    )


class Watchdog:
    """Ends calls that block the event loop, while it is begun.

    It looks from a thread of its own, and counts looks, not seconds: on a
    machine that is slow, these come late as well.  Calls are ended only where
    the event loop runs in the main thread.

    :param limit: seconds for which the loop may stand still
    :param running: the name of the task whose call runs in the calling greenlet, or None
    """

    def __init__(self, limit: float, running: Callable[[], str | None]) -> None:
        self.limit = limit
        #: The calls that have blocked the loop.
        self.found: list[StoodStill] = []
        self._running = running
        self._ticks = 0
        self._stalled_at = -1
        self._over = False
        self._ticker: Any = None
        self._before: Any = None

    def begin(self) -> None:
        """Watch from now on; call it in the main greenlet."""
        if _get_ident() != threading.main_thread().ident:
            return
        self._before = signal.signal(_SIGNAL, self._on_signal)
        self._ticker = gevent.spawn(self._tick)
        _start_thread(self._watch, (_get_ident(),))

    def end(self) -> None:
        """Watch no more.  May be called twice."""
        self._over = True
        if self._ticker is not None:
            self._ticker.kill()
            self._ticker = None
            signal.signal(_SIGNAL, self._before)

    def _tick(self) -> None:
        while True:
            self._ticks += 1
            gevent.sleep(_LOOK)

    def _watch(self, main: int) -> None:
        seen, looks = -1, 0
        while not self._over:
            _sleep(_LOOK)
            looks = looks + 1 if self._ticks == seen else 0
            seen = self._ticks
            if looks * _LOOK >= self.limit:
                looks = 0
                self._stalled_at = seen
                if not self._over:
                    signal.pthread_kill(main, _SIGNAL)

    def _on_signal(self, _: int, frame: FrameType | None) -> None:
        task = self._running() if self._ticks == self._stalled_at else None
        # A person who debugs a call takes longer.
        if task is None or frame is None or _is_debugged(frame):
            return
        stack = "".join(traceback.format_list(traceback.extract_stack(frame)[-4:])).rstrip()
        self.found.append(StoodStill(task, self.limit, stack))
        raise Cancelled(self.found[-1])


def _is_debugged(frame: FrameType | None) -> bool:
    debuggers = {sys.modules[name].__file__ for name in ("pdb", "bdb") if name in sys.modules}
    while frame is not None:
        if frame.f_code.co_filename in debuggers:
            return True
        frame = frame.f_back
    return False
