"""Telling the dead from the slow by beats that stand still."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class BeatWatch(Generic[K]):
    """Judges beats by the observer's own monotonic clock; nobody's wall clock matters.

    Time in which the observer did not look does not count: one that was
    stopped itself, with all that it observes perhaps, must not take the others for dead.

    :param lease: seconds for which a beat may stand still
    :param longest_step: seconds that count at most from one look to the next
    """

    def __init__(self, lease: float, longest_step: float) -> None:
        self._lease = lease
        self._longest_step = longest_step
        self._looked: float | None = None
        #: The beat as it was seen last, and the seconds for which it has stood still.
        self._seen: dict[K, tuple[object, float]] = {}

    def expired(self, beats: Mapping[K, object], now: float) -> list[K]:
        """Take in what the beats are now, and name those that have not changed for a lease.

        What is missing from `beats` is forgotten.  One that is seen for the
        first time has a whole lease before it.
        """
        step = 0.0 if self._looked is None else min(now - self._looked, self._longest_step)
        self._looked = now
        seen: dict[K, tuple[object, float]] = {}
        for key, beat in beats.items():
            before = self._seen.get(key)
            still = before[1] + step if before is not None and before[0] == beat else 0.0
            seen[key] = (beat, still)
        self._seen = seen
        return [key for key, (_, still) in seen.items() if still >= self._lease]
