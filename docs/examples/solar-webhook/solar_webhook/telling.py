"""What runs beside the calls of the worker: ends are looked for, and told until they are confirmed."""

from __future__ import annotations

import logging
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent

from solar_orch.errors import DatabaseUnavailable, UnknownPlan
from solar_orch.workers.calls import Stopping
from solar_webhook.delivery import Receiver, Secret
from solar_webhook.ends import StillRuns, end_of
from solar_webhook.memory import Letter, Memory, Seat

if TYPE_CHECKING:
    from solar_orch.store import Store

LOG = logging.getLogger(__name__)

#: Plans that are looked at when there is nothing to be remembered yet.
_RECENT = 100
#: Seconds to which the pause between two tries grows.
_LONGEST_PAUSE = 300.0
#: Seconds for which is told while the worker stops; what remains is told when it is back.
_LAST_WORDS = 1.5
#: Seconds after which is seen, during a POST, that the worker stops.
_GLANCE = 0.2


class Teller:
    """Tells of each end at least once, however often the process is killed.  Making one opens nothing.

    That a plan has ended stands in the database of solar_orch; what is
    remembered here is up to which event that was read, which plans are
    therefore expected to end, and what has not been confirmed.

    :param directory: where to remember
    :param options: those of ``[webhook]``
    """

    def __init__(
        self,
        directory: Path,
        store: Store,
        options: Any,
        receiver: Receiver,
        secret: Secret | None,
    ) -> None:
        self._directory = directory
        self._store = store
        self._options = options
        self._receiver = receiver
        self._secret = secret
        self._began = time.time()

    def tell_always(self, stopping: Stopping) -> None:
        """Look and tell until `stopping`; then once more, for what ended while everything stopped."""
        while True:
            try:
                self._tell_while_it_goes_well(stopping)
            except (DatabaseUnavailable, sqlite3.Error, OSError) as error:
                LOG.warning("the ends of plans are told later: %s", error)
            except Exception:  # no plan is to stand still for whoever wants to be told
                LOG.exception("the ends of plans are told later")
            if stopping.wait(self._options.interval):
                return

    def _tell_while_it_goes_well(self, stopping: Stopping) -> None:
        with closing(Seat(self._directory / "webhook.lock")) as seat:
            while not seat.take():
                if stopping.wait(self._options.interval):
                    return
            with closing(Memory(self._directory / "webhook.db")) as memory:
                while not stopping.is_set():
                    self._look(memory)
                    self._send(memory, stopping)
                    stopping.wait(self._options.interval)
                self._look(memory)
                self._send(memory, stopping)

    # -- looking -----------------------------------------------------------------

    def _look(self, memory: Memory) -> None:
        """Put the ends that have come since the last time into the queue, as far as there is room."""
        self._follow(memory)
        for uid in memory.watched():
            if memory.queued() >= self._options.queue_size:
                return
            try:
                end = end_of(self._store, uid, self._options.statuses)
            except StillRuns:
                continue
            if end is None:
                memory.settle(uid)
            else:
                memory.settle(uid, end.id, end.body)

    def _follow(self, memory: Memory) -> None:
        cursor = memory.cursor()
        if cursor is None:
            self._begin(memory)
            return
        while True:
            touched = self._store.events.touched(cursor)
            if touched.upto == cursor:
                return
            cursor = touched.upto
            memory.watch(touched.uids, cursor)

    def _begin(self, memory: Memory) -> None:
        """What ended before this was installed is nothing new; what has since this process began, is."""
        upto = self._store.events.last()
        fresh = [
            plan.uid for plan, _ in self._store.plans.summaries(limit=_RECENT) if self._has_news(plan.uid)
        ]
        memory.watch(fresh, upto)

    def _has_news(self, uid: str) -> bool:
        try:
            _, outcomes = self._store.plans.outcomes(uid, output=False)
        except UnknownPlan:
            return False
        return any((task.end_time or 0) >= self._began for task in outcomes)

    # -- telling -----------------------------------------------------------------

    def _send(self, memory: Memory, stopping: Stopping) -> None:
        last = time.monotonic() + _LAST_WORDS
        while (letter := memory.due()) is not None:
            if stopping.is_set() and time.monotonic() >= last:
                return
            problem = self._post(letter, stopping)
            if problem is None:
                memory.told(letter)
                LOG.info("%s was told to %s", letter.id, self._receiver)
            else:
                self._note_failure(memory, letter, problem)

    def _post(self, letter: Letter, stopping: Stopping) -> str | None:
        """Tell once; None, or why that has failed."""
        posting = gevent.spawn(self._receiver.post, letter.id, letter.body, self._secret)
        try:
            while not posting.ready() and not stopping.is_set():
                posting.join(_GLANCE)
            posting.join(_LAST_WORDS)
            return posting.get(block=False) if posting.ready() else "the worker stops"
        finally:
            posting.kill()

    def _note_failure(self, memory: Memory, letter: Letter, problem: str) -> None:
        if time.time() - letter.since >= self._options.give_up_after:
            LOG.error(
                "%s could not be told to %s in %d tries and is given up: %s",
                letter.id,
                self._receiver,
                letter.tries + 1,
                problem,
            )
            memory.told(letter)
            return
        pause = min(self._options.retry_delay * 2 ** min(letter.tries, 30), _LONGEST_PAUSE)
        LOG.warning(
            "%s could not be told to %s, and will be in %g s: %s", letter.id, self._receiver, pause, problem
        )
        memory.postpone(letter, pause)
