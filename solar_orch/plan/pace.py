"""How fast the tasks of a plan end, and how long those that are left will take at that rate."""

from __future__ import annotations

from collections import deque

#: An estimate is made from so many ends at least, over so many seconds at least.
_LEAST_ENDS = 5
_LEAST_SECONDS = 2.0

#: What was before is forgotten once these are there without it.
_ENOUGH_ENDS = 20
_ENOUGH_SECONDS = 60.0


class Pace:
    """Takes in when tasks end; all times are seconds of one clock, which never goes back."""

    def __init__(self) -> None:
        #: When tasks ended, and how many had ended by then.
        self._ends: deque[tuple[float, int]] = deque()
        self._total = 0

    def note(self, ended: int, at: float) -> None:
        """So many tasks have ended since the last time."""
        if ended <= 0:
            return
        self._total += ended
        self._ends.append((at, self._total))
        while len(self._ends) > 1 and self._is_enough_without_first(at):
            self._ends.popleft()

    def left(self, remaining: int, now: float) -> float | None:
        """Seconds that so many tasks will take; None if too few have ended to tell."""
        if not self._ends:
            return None
        begun, before = self._ends[0]
        # The first says when counting begins, and is not counted.
        ended, seconds = self._total - before, now - begun
        if ended < _LEAST_ENDS or seconds < _LEAST_SECONDS:
            return None
        return remaining * seconds / ended

    def _is_enough_without_first(self, now: float) -> bool:
        second, before = self._ends[1]
        return self._total - before >= _ENOUGH_ENDS and now - second >= _ENOUGH_SECONDS


def said(seconds: float, *, at_most: bool = False) -> str:
    """An estimate in words: ``about 3 min left``.

    :param at_most: whether it may well be less
    """
    about = "at most about" if at_most else "about"
    if seconds < 10:
        return "a few seconds left"
    if seconds < 90:
        # To full tens: it is known no better.
        return f"{about} {round(seconds / 10) * 10} s left"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{about} {minutes} min left"
    hours, minutes = divmod(round(minutes / 10) * 10, 60)
    if hours < 24:
        return f"{about} {hours} h {minutes} min left" if minutes else f"{about} {hours} h left"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{about} {days} d {hours} h left" if hours else f"{about} {days} d left"
