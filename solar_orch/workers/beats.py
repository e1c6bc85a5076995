"""Telling the dead from the slow by beats that stand still."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class BeatWatch(Generic[K]):
    """Judges beats by the observer's own monotonic clock; nobody's wall clock matters.

    :param lease: seconds for which a beat may stand still
    """

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._seen: dict[K, tuple[object, float]] = {}

    def expired(self, beats: Mapping[K, object], now: float) -> list[K]:
        """Take in what the beats are now, and name those that have not changed for a lease.

        What is missing from `beats` is forgotten.  One that is seen for the
        first time has a whole lease before it.
        """
        seen: dict[K, tuple[object, float]] = {}
        expired: list[K] = []
        for key, beat in beats.items():
            before = self._seen.get(key)
            since = before[1] if before is not None and before[0] == beat else now
            seen[key] = (beat, since)
            if now - since >= self._lease:
                expired.append(key)
        self._seen = seen
        return expired
