"""Ending a running call from outside, and never anything but the call."""

from __future__ import annotations

import enum
import logging
import math
from types import TracebackType
from typing import Any

import gevent

from solar_orch.errors import ExecutionTimeout
from solar_orch.workers.calls import Cancelled, Ctxt

LOG = logging.getLogger(__name__)

#: Seconds beyond which a time limit is none: event loops cannot count further.
_FOREVER = 1e8


class _Stage(enum.Enum):
    BEFORE = enum.auto()
    INSIDE = enum.auto()
    AFTER = enum.auto()


class RunningCall:
    """One call that an executor has begun to make.

    It is the context, entered once, in which it can be ended and its time
    limit runs.  A signal that comes before is kept until then; one that comes
    after is void, so that what follows a call (its outcome being made
    durable) is never interrupted.
    Whether to throw is therefore decided by the hub at the moment of
    delivery, when no greenlet runs.

    :param ctxt: the call's context
    :param killable: whether ``kill`` means it; false for controls, whose
        context may name the very task that they are to kill
    """

    __slots__ = ("_greenlet", "_signal", "_stage", "_timer", "ctxt", "killable")

    def __init__(self, ctxt: Ctxt, killable: bool = True) -> None:
        self.ctxt = ctxt
        self.killable = killable
        self._stage = _Stage.BEFORE
        self._signal: Cancelled | None = None
        self._greenlet: Any = None
        self._timer: Any = None

    @property
    def is_inside(self) -> bool:
        """Whether a signal would be thrown at once."""
        return self._stage is _Stage.INSIDE

    def is_of(self, task_id: str, attempt: int | None) -> bool:
        """Whether it can be killed under this name."""
        mine = self.ctxt.get("task_id") == task_id
        return self.killable and mine and attempt in (None, self.ctxt.get("attempt"))

    def __enter__(self) -> None:
        """Begin.

        :raises Cancelled: if it was cancelled before
        """
        if self._signal is not None:
            self._stage = _Stage.AFTER
            raise self._signal
        self._greenlet = gevent.getcurrent()
        seconds = _timelimit(self.ctxt)
        if seconds is not None:
            self._timer = gevent.get_hub().loop.timer(seconds)
        self._stage = _Stage.INSIDE
        if self._timer is not None:
            self._timer.start(self._expire, seconds)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stage = _Stage.AFTER
        self._greenlet = None
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
            timer.close()

    def cancel(self, error: Exception) -> bool:
        """End the call with `error`; does not wait.  Only the first to do so is heard.

        :return: False if the call is over, and only its outcome is being dealt with
        """
        if self._stage is _Stage.AFTER:
            return False
        if self._signal is None:
            self.insist(error)
        return True

    def insist(self, error: Exception) -> None:
        """Throw `error` even if another has been thrown and the call took no notice."""
        if self._stage is _Stage.AFTER:
            return
        self._signal = Cancelled(error)
        if self._stage is _Stage.INSIDE:
            gevent.get_hub().loop.run_callback(self._deliver, self._signal)

    def _deliver(self, signal: Cancelled) -> None:
        if self._stage is _Stage.INSIDE and not self._greenlet.dead:
            self._greenlet.throw(signal)

    def _expire(self, seconds: float) -> None:
        if self._signal is None:
            self._signal = Cancelled(ExecutionTimeout(seconds))
            self._deliver(self._signal)


def _timelimit(ctxt: Ctxt) -> float | None:
    given: object = ctxt.get("timelimit")
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, (int, float)) or math.isnan(given):
        LOG.warning("%s: its timelimit is no number and is ignored: %.50r", ctxt.get("task_id", "-"), given)
        return None
    return None if given > _FOREVER else max(0.0, float(given))
