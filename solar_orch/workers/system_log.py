"""The system log driver that ships."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from gevent.lock import Semaphore

from solar_orch.workers.base import Worker
from solar_orch.workers.calls import Ctxt

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.executors.base import Client


class SystemLog(Worker):
    """Keeps the outcome of every attempt, and moves staged changes to the history.

    Its methods only hint that an attempt has ended: what is entered is read
    from the database, so that each outcome is there once however often, or
    whether at all, it is told.
    """

    name: ClassVar[str] = "system_log"
    drain_order: ClassVar[int] = 90

    def __init__(self, conf: cfg.ConfigOpts, clients: Mapping[str, Client]) -> None:
        super().__init__(conf, clients)
        self._turn = Semaphore(1)
        #: How many readings have begun, and the latest of them that has ended well.
        self._begun = 0
        self._ended = 0

    def commit(self, ctxt: Ctxt) -> None:
        """The task of `ctxt` has succeeded, durably."""
        self._catch_up()

    def error(self, ctxt: Ctxt) -> None:
        """An attempt of the task of `ctxt` has failed, durably."""
        self._catch_up()

    def _catch_up(self) -> None:
        """Return when a reading has ended that began after this was called: one serves all who wait."""
        begun_before = self._begun
        with self._turn:
            if self._ended > begun_before:
                return
            self._begun += 1
            number = self._begun
            self.store.log.catch_up()
            self._ended = number
