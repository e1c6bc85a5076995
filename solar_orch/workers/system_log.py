"""The system log driver that ships."""

from __future__ import annotations

from typing import ClassVar

from solar_orch.workers.base import Worker
from solar_orch.workers.calls import Ctxt


class SystemLog(Worker):
    """Keeps the outcome of every attempt, and moves staged changes to the history.

    Its methods only hint that an attempt has ended: what is entered is read
    from the database, so that each outcome is there once however often, or
    whether at all, it is told.
    """

    name: ClassVar[str] = "system_log"
    drain_order: ClassVar[int] = 90

    def commit(self, ctxt: Ctxt) -> None:
        """The task of `ctxt` has succeeded, durably."""
        self.store.log.catch_up()

    def error(self, ctxt: Ctxt) -> None:
        """An attempt of the task of `ctxt` has failed, durably."""
        self.store.log.catch_up()
