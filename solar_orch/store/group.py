"""Group commit: what the greenlets of a process write at the same time is one transaction.

A thread of the operating system commits, so that waiting for the disk holds
up no greenlet; whatever has come while one transaction ran goes into the
next.  A greenlet that writes sleeps until the commit that holds its change
is durable.

The thread takes no lock that gevent may have patched, does not log and
collects no garbage: each could wait for a greenlet that waits for the thread.  Its connection
is its own.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import gevent
from gevent import monkey
from gevent.hub import Waiter
from sqlalchemy.engine import URL, Connection

from solar_orch import faults
from solar_orch.collector import collecting_nothing
from solar_orch.store.access import Access, Undecided
from solar_orch.store.commits import Marks
from solar_orch.store.pauses import Pauses

#: Seconds without work after which the thread ends, and its connection is closed.
IDLE = 30.0
#: Seconds for which what is in no hurry waits for something that is.
LAZINESS = 0.005
#: Seconds that closing may take.
CLOSE_TIMEOUT = 5.0
#: Changes in one transaction, so that other processes get their turn.
_MOST = 2000

# What gevent's patching, if it was done, has put aside.
_allocate_lock = monkey.get_original("_thread", "allocate_lock")
_start_thread = monkey.get_original("_thread", "start_new_thread")
_sleep = monkey.get_original("time", "sleep")
_monotonic = monkey.get_original("time", "monotonic")

_PAUSES = Pauses(0.0002, 0.25, 1.5, _sleep, _monotonic)


class _Change:
    """Something to be written, and the greenlet that waits for it."""

    __slots__ = ("deadline", "error", "function", "item", "lazy", "result", "returns", "waiter")

    def __init__(
        self, function: Callable[..., Any], item: Any, deadline: float, lazy: bool, returns: _Returns
    ) -> None:
        self.function = function
        #: None if the function takes the connection only.
        self.item = item
        self.deadline = deadline
        #: Whether it may wait a little for others with which it is committed.
        self.lazy = lazy
        self.returns = returns
        self.waiter: Any = Waiter()
        self.result: Any = None
        self.error: Exception | None = None


class _Returns:
    """The way back from the thread to the greenlets of one event loop."""

    def __init__(self, hub: Any) -> None:
        self.hub = hub
        self._done: deque[_Change] = deque()
        self._waiting = 0
        self._watcher = hub.loop.async_()

    def wait(self, change: _Change) -> Any:
        """Sleep until the change is done; in a greenlet."""
        if not self._waiting:
            # Only while somebody waits: it would keep a loop alive that has nothing else to do.
            self._watcher.start(self._wake_all)
        self._waiting += 1
        try:
            change.waiter.get()
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._watcher.stop()
        if change.error is not None:
            raise change.error
        return change.result

    def give(self, changes: Sequence[_Change]) -> None:
        """These are done; from the thread."""
        self._done.extend(changes)
        self._watcher.send()

    def _wake_all(self) -> None:
        while self._done:
            self._done.popleft().waiter.switch(None)


class Group:
    """The thread that writes to one database in this process; it runs while there is work.

    :param url: of an SQLite file
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self._access = Access(url, _PAUSES, single=True)
        self._marks = Marks()
        #: Guards what follows; never held for long.
        self._lock = _allocate_lock()
        self._queue: deque[_Change] = deque()
        self._running = False
        self._closing = False
        #: Held while a transaction is being made.
        self._busy = _allocate_lock()
        #: Held while the thread that runs is to close its connection.
        self._closed = _allocate_lock()
        #: Held by nobody while there may be something for the thread to do.
        self._wake = _allocate_lock()
        self._returns: dict[int, _Returns] = {}

    # -- in greenlets ------------------------------------------------------------

    def write(self, function: Callable[..., Any], item: Any, deadline: float, *, lazy: bool = False) -> Any:
        """Have a change committed; blocks the calling greenlet until it is durable.

        :param function: ``function(connection)``, or with an item ``function(connection, items)``
        :param deadline: by the monotonic clock; until then it is tried
        :param lazy: whether it may wait for ``LAZINESS`` seconds for others to be committed with
        :raises DatabaseRefused: when there is something else at the URL
        :raises DatabaseUnavailable: when it stays locked, full, read-only or away
        """
        returns = self._returns_to(gevent.get_hub())
        change = _Change(function, item, deadline, lazy, returns)
        self._put(change)
        return returns.wait(change)

    def close(self) -> None:
        """Close the connection as soon as nothing is to be written; the next change opens another.

        Blocks the process until that is done, though not for ever.
        """
        with self._lock:
            if not self._running:
                return
            self._closing = True
            self._closed.acquire(blocking=False)
            self._wake_thread()
        if self._closed.acquire(timeout=CLOSE_TIMEOUT):
            self._closed.release()

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Within this no transaction is being made; blocks the process until the one of now is over."""
        with self._busy:
            yield

    def _returns_to(self, hub: Any) -> _Returns:
        found = self._returns.get(id(hub))
        if found is None or found.hub is not hub:
            self._returns = {key: known for key, known in self._returns.items() if known.hub.loop}
            self._returns[id(hub)] = found = _Returns(hub)
        return found

    def _put(self, change: _Change) -> None:
        with self._lock:
            self._queue.append(change)
            self._wake_thread()
            if not self._running:
                self._running = True
                _start_thread(self._run, ())

    def _wake_thread(self) -> None:
        if self._wake.locked():
            self._wake.release()

    # -- in the thread -----------------------------------------------------------

    def _run(self) -> None:
        while True:
            woken = self._wake.acquire(timeout=IDLE)
            with self._lock:
                changes = self._take()
                if not changes and (self._closing or not woken):
                    self._end()
                    return
                if self._queue:
                    self._wake_thread()
            if changes:
                self._wait_for_others(changes)
                with collecting_nothing():
                    self._commit_in_time(changes)

    def _end(self) -> None:
        # With the lock held: the next thread uses the same connection.
        self._access.close()
        self._running = self._closing = False
        if self._closed.locked():
            self._closed.release()

    def _wait_for_others(self, changes: list[_Change]) -> None:
        """If none of these is in a hurry, wait for one that is, though not for long."""
        until = _monotonic() + LAZINESS
        while all(change.lazy for change in changes) and not self._closing:
            if not self._wake.acquire(timeout=max(0.0, until - _monotonic())):
                return
            with self._lock:
                changes += self._take()

    def _take(self) -> list[_Change]:
        return [self._queue.popleft() for _ in range(min(len(self._queue), _MOST))]

    def _commit_in_time(self, changes: list[_Change]) -> None:
        """Commit these, and what comes while that does not succeed; each is tried until its deadline."""
        for pause in _PAUSES:
            try:
                self._commit(changes)
            except Exception as error:
                if not self._access.is_passing(error):
                    self._fail(changes, error)
                    return
                changes = self._fail_late(changes, error, pause)
            else:
                return
            if not changes:
                return
            _PAUSES.make(pause)
            changes += self._take()

    def _fail_late(self, changes: list[_Change], error: Exception, pause: float) -> list[_Change]:
        """Give up those that have no time left for another try; the others."""
        until = _monotonic() + pause
        late = [change for change in changes if change.deadline < until]
        if late:
            self._give_error(late, self._access.final(error))
        return [change for change in changes if change.deadline >= until]

    def _fail(self, changes: list[_Change], error: Exception) -> None:
        """One of these cannot be made, for whatever reason: it is found by making each alone."""
        if len(changes) == 1:
            self._give_error(changes, self._access.final(error))
        else:
            for change in changes:
                self._commit_in_time([change])

    def _commit(self, changes: list[_Change]) -> None:
        """Make these changes in one transaction and say so to who waits for them.

        :raises Exception: if they were not made
        """
        try:
            with self._busy, self._marks.take() as mark:
                deadline = max(change.deadline for change in changes)
                self._access.commit(lambda connection: _apply(connection, changes), mark, deadline)
        except Undecided as undecided:
            self._give_error(changes, undecided.error)
        else:
            self._give(changes)

    def _give_error(self, changes: list[_Change], error: Exception) -> None:
        for change in changes:
            change.error = error
        self._give(changes)

    def _give(self, changes: list[_Change]) -> None:
        by_loop: dict[_Returns, list[_Change]] = {}
        for change in changes:
            by_loop.setdefault(change.returns, []).append(change)
        for returns, done in by_loop.items():
            returns.give(done)


def _apply(connection: Connection, changes: list[_Change]) -> None:
    """Make all changes; those of one kind, which share their function, at the place of the first of them."""
    kinds: dict[Any, list[_Change]] = {}
    for change in changes:
        # A change without an item is a kind of its own.
        kinds.setdefault(change if change.item is None else change.function, []).append(change)
    for together in kinds.values():
        first = together[0]
        if first.item is None:
            first.result = first.function(connection)
        else:
            results = first.function(connection, [change.item for change in together])
            for change, result in zip(together, results, strict=True):
                change.result = result


#: By process and URL: all parts of a process that write to one database do so together.
_GROUPS: dict[tuple[int, URL], Group] = {}


def of(url: URL) -> Group:
    """The group of this process that writes to the database at `url`."""
    key = os.getpid(), url
    found = _GROUPS.get(key)
    if found is None:
        found = _GROUPS[key] = Group(url)
        faults.at_rest(found.at_rest)
    return found
