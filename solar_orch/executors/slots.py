"""In which greenlets calls are made: few while no call waits, and one for each that does."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import gevent

from solar_orch.executors.interruption import RunningCall
from solar_orch.workers.calls import Ctxt

#: Calls that one greenlet makes before others get their turn.
_TURN = 64


class Call(NamedTuple):
    """A call that has been taken."""

    name: str
    ctxt: Ctxt
    args: Sequence[Any]
    kwargs: Mapping[str, Any]


class _Maker(gevent.Greenlet):  # type: ignore[misc]
    """Counts how often it was given a turn, or something was thrown into it."""

    turns = 0

    def switch(self, *args: Any) -> Any:
        self.turns += 1
        return super().switch(*args)

    def throw(self, *args: Any) -> Any:
        self.turns += 1
        return super().throw(*args)

    def traces(self) -> int:
        """How much refers to it; to be compared within one turn, for who gives it a turn does so too.

        A timer that was not stopped, or whoever else means to wake, kill or
        throw into a greenlet, refers to it; what is kept for it alone (the
        variables of ``gevent.local``, for one) is linked to its end.
        """
        return sys.getrefcount(self) + int(self.has_links())


class Slots:
    """Makes calls in greenlets, so many at once at most, beginning them in the order in which they came.

    A greenlet begins with the first of the calls that have come, and goes on
    with the next as long as none of them waits or leaves anything behind.  If
    the loop comes round while calls are left, then because the one that is
    being made waits: each of the others then gets a greenlet of its own, as
    far as there are slots.

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
        self._greenlets = 0
        #: Greenlets that have not had their first turn yet.
        self._coming = 0

    def __len__(self) -> int:
        return len(self.running) + len(self.waiting)

    def take(self, call: Call) -> None:
        """Make `call` as soon as those before it have begun and a slot is free; returns at once."""
        self.waiting.append(call)
        if not self._coming:
            self._begin(1)

    def _begin(self, count: int) -> None:
        """Begin so many greenlets, as far as there are slots, and look again when they have had a turn."""
        count = min(count, self.size - self._greenlets)
        if count <= 0:
            return
        for _ in range(count):
            _Maker.spawn(self._make_waiting)
        self._greenlets += count
        self._coming += count
        gevent.get_hub().loop.run_callback(self._look_round)

    def _look_round(self) -> None:
        if self.waiting and not self._coming:
            self._begin(len(self.waiting))

    def _make_waiting(self) -> None:
        current = gevent.getcurrent()
        self._coming -= 1
        turns, traces = current.turns, current.traces()
        try:
            for _ in range(_TURN):
                if not self.waiting:
                    break
                self._make_next(current)
                # A greenlet that waited or that something may still reach is not for another call.
                if current.turns != turns or current.traces() != traces:
                    break
        finally:
            self._greenlets -= 1
            if self.waiting and not self._coming:
                self._begin(1)

    def _make_next(self, current: Any) -> None:
        call = self.waiting.popleft()
        self.running[current] = RunningCall(call.ctxt)
        try:
            self._make(call)
        finally:
            del self.running[current]
            self._on_end()
