"""The pauses between tries of what meets a lock or a passing fault."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Pauses:
    """Seconds between tries: from the shortest, growing to the longest, with jitter.

    :param sleep: blocks for so many seconds
    :param monotonic: the clock by which deadlines are meant
    """

    shortest: float
    longest: float
    growth: float
    sleep: Callable[[float], object]
    monotonic: Callable[[], float]

    def __iter__(self) -> Iterator[float]:
        pause = self.shortest
        while True:
            yield pause
            pause = min(pause * self.growth, self.longest)

    def make(self, pause: float) -> None:
        """Sleep for one of them, or somewhat less, so that those who met do not meet again."""
        self.sleep(pause * random.uniform(0.5, 1.0))
