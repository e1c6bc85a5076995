"""Counting what is dropped, and saying so at a bounded rate."""

from __future__ import annotations

import logging
import math
import reprlib
import time

LOG = logging.getLogger(__name__)


class Drops:
    """How many messages were dropped, and why.

    :param owner: whose messages they are, for the log
    :param interval: seconds between two warnings about one cause
    """

    def __init__(self, owner: str, interval: float = 10.0) -> None:
        self.owner = owner
        self.interval = interval
        #: Cause to number, since the beginning.
        self.counts: dict[str, int] = {}
        #: Cause to when it was told last, and the number up to then.
        self._logged: dict[str, tuple[float, int]] = {}

    @property
    def total(self) -> int:
        """All that was dropped, for whatever cause."""
        return sum(self.counts.values())

    def add(self, cause: str, detail: object = "") -> None:
        """Count one; `cause` is one of few fixed texts, `detail` may come from the message."""
        count = self.counts[cause] = self.counts.get(cause, 0) + 1
        now = time.monotonic()
        when, told = self._logged.get(cause, (-math.inf, 0))
        if now - when < self.interval:
            return
        self._logged[cause] = (now, count)
        LOG.warning("%s: dropped %d: %s: %s", self.owner, count - told, cause, _short(detail))

    def tell_rest(self) -> None:
        """Say what was dropped since it was last said."""
        for cause, count in self.counts.items():
            when, told = self._logged[cause]
            if count > told:
                self._logged[cause] = (when, count)
                LOG.warning("%s: dropped %d: %s", self.owner, count - told, cause)


def _short(detail: object) -> str:
    text = detail if isinstance(detail, str) else reprlib.repr(detail)
    return repr(text[:200])
