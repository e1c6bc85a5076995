"""In which greenlets calls are made: one for each, used again when nothing is left on it."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import gevent

from solar_orch.executors.interruption import RunningCall
from solar_orch.workers.calls import Ctxt

#: Greenlets without a call that are kept for the next ones.
_MOST_IDLE = 256
#: What a greenlet that waits for its next call is given with its turn.
_CALLED = object()


class Call(NamedTuple):
    """A call that has been taken."""

    name: str
    ctxt: Ctxt
    args: Sequence[Any]
    kwargs: Mapping[str, Any]


def _traces(greenlet: Any) -> int:
    """How much refers to it; to be compared where it was given its turn in the same way.

    A timer that was not stopped, or whoever else means to wake, kill or
    throw into a greenlet, refers to it; what is kept for it alone (the
    variables of ``gevent.local``, for one) is linked to its end.
    """
    return sys.getrefcount(greenlet) + int(greenlet.has_links()) + len(vars(greenlet))


class Slots:
    """Makes calls in greenlets, so many at once at most, beginning them in the order in which they came.

    Each call has a greenlet to itself for as long as it takes.  To begin one costs ten
    times what it costs to wake one, so that a greenlet waits for another call
    afterwards, unless it can be seen that something of the last one could still reach it.

    :param make: makes one call, in the calling greenlet; raises nothing
    :param size: how many are made at once
    :param on_end: told after each
    """

    def __init__(self, make: Callable[[Call], None], size: int, on_end: Callable[[], object]) -> None:
        self.size = size
        #: Those that have begun and not ended, by their greenlet.
        self.running: dict[Any, RunningCall] = {}
        self.waiting: deque[Call] = deque()
        self._make = make
        self._on_end = on_end
        self._idle: list[Any] = []
        #: Greenlets that have been given a turn in which they will take a call.
        self._coming = 0

    def __len__(self) -> int:
        return len(self.running) + len(self.waiting)

    @property
    def are_full(self) -> bool:
        """Whether calls wait for others to end."""
        return len(self.waiting) > self._coming

    def take(self, call: Call) -> None:
        """Make `call` as soon as those before it have begun and a slot is free; returns at once."""
        self.waiting.append(call)
        self._call_one()

    def close(self) -> None:
        """Make no further call, and let the greenlets end that have none."""
        self.size = 0
        for greenlet in self._idle:
            gevent.get_hub().loop.run_callback(greenlet.switch, None)

    def _call_one(self) -> None:
        """Give one more greenlet a turn, if a call waits for it and a slot is free."""
        if len(self.waiting) <= self._coming or len(self.running) + self._coming >= self.size:
            return
        self._coming += 1
        if self._idle:
            gevent.get_hub().loop.run_callback(self._idle.pop().switch, _CALLED)
        else:
            gevent.spawn(self._make_always)

    def _make_always(self) -> None:
        current = gevent.getcurrent()
        # The first turn is given in another way than those that follow, with other references.
        gevent.get_hub().loop.run_callback(current.switch, _CALLED)
        usual = None
        while self._is_called(current):
            traces = _traces(current)
            try:
                # Otherwise something may still reach it that belongs to another call.
                fit = traces == (usual or traces)
                if fit and self.waiting:
                    self._make_next(current)
                usual = traces
                if not fit or not self._becomes_idle(current):
                    return
            finally:
                self._call_one()

    def _becomes_idle(self, current: Any) -> bool:
        """Whether it is kept for another call; not if somebody waits for its end, who may have killed it."""
        if len(self._idle) >= _MOST_IDLE or not self.size or current.has_links():
            return False
        self._idle.append(current)
        return True

    def _is_called(self, current: Any) -> bool:
        """Wait for a turn; False if it was given by something else than a call."""
        given = None
        try:
            given = gevent.get_hub().switch()
        finally:
            if given is _CALLED:
                self._coming -= 1
            elif current in self._idle:
                self._idle.remove(current)
            else:
                # The turn that it has been given comes too late.
                self._coming -= 1
                self._call_one()
        return given is _CALLED

    def _make_next(self, current: Any) -> None:
        call = self.waiting.popleft()
        self.running[current] = RunningCall(call.ctxt)
        try:
            self._make(call)
        finally:
            del self.running[current]
            self._on_end()
