"""What is wrong with a plan's values, remembered by its path.

Only when something is wrong is the text read once more, to find the lines and columns of the paths.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass

from solar_orch.errors import Mistake
from solar_orch.plan import reader
from solar_orch.plan.places import lines_of, within
from solar_orch.plan.reader import Position, Wanted, shortened

#: As many mistakes are listed; a last line says how many more there are.
MAX_MISTAKES = 100

_MAX_KEPT = 1000
#: Comparisons of names that suggestions may cost in all; each is some microseconds.
_MAX_COMPARISONS = 200_000

Path = tuple[str | int, ...]


@dataclass(slots=True)
class Complaint:
    """One thing that is wrong."""

    path: Path
    message: str
    #: Whether it is the key that is wrong, and not the value.
    on_key: bool = False
    #: Another place whose line the message ends with.
    first: Path | None = None
    #: The value, a string, and where in it something is wrong.
    part: tuple[str, int] | None = None


class Complaints:
    """All that is wrong with the values."""

    def __init__(self) -> None:
        self.kept: list[Complaint] = []
        self.untold = 0
        self._comparisons = _MAX_COMPARISONS

    def add(
        self,
        path: Path,
        message: str,
        *,
        on_key: bool = False,
        first: Path | None = None,
        part: tuple[str, int] | None = None,
    ) -> None:
        """Complain of the value, or the key, that `path` leads to; the rest as in :class:`Complaint`."""
        if len(self.kept) < _MAX_KEPT:
            self.kept.append(Complaint(path, message, on_key, first, part))
        else:
            self.untold += 1

    def suggestion(self, word: str, known: Collection[str]) -> str:
        """A clause to end a message with: the name that `word` may have been meant to be."""
        self._comparisons -= len(known)
        if self._comparisons < 0 or len(word) > 200:
            return ""
        folded = word.casefold()
        similar = [name for name in known if name.casefold() == folded]
        similar = similar or difflib.get_close_matches(word, known, n=1)
        return f"; did you mean {shortened(similar[0])}?" if similar else ""


def placed(text: str | bytes, complaints: Complaints) -> tuple[list[Mistake], int]:
    """All mistakes with their places, those of reading included, and the number of those only counted."""
    wanted = Wanted()
    for complaint in complaints.kept:
        wanted.at(complaint.path)
        if complaint.first is not None:
            wanted.at(complaint.first)
    document = reader.read(text, wanted)
    lines = lines_of(text) if any(complaint.part for complaint in complaints.kept) else []
    mistakes = list(document.mistakes)
    for complaint in complaints.kept:
        message = complaint.message
        if complaint.first is not None:
            message += f" in line {(wanted.at(complaint.first).value_at or (1, 1))[0]}"
        mistakes.append(Mistake(*_place(complaint, wanted.at(complaint.path), lines), message))
    return sorted(set(mistakes)), document.untold + complaints.untold


def _place(complaint: Complaint, node: Wanted, lines: list[str]) -> Position:
    place = (node.key_at if complaint.on_key else node.value_at) or (1, 1)
    if complaint.part is None:
        return place
    return within(lines, place, *complaint.part) or place


def bounded(mistakes: list[Mistake], untold: int, noun: str = "mistakes") -> list[Mistake]:
    """The first of them, and a last line that says how many more there are."""
    if len(mistakes) <= MAX_MISTAKES and not untold:
        return mistakes
    end = mistakes[-1]
    # What says how many more there are must be sorted behind all that is shown.
    shown = [m for m in mistakes[:MAX_MISTAKES] if (m.line, m.column) < (end.line, end.column)]
    more = len(mistakes) - len(shown) + untold
    return [*shown, Mistake(end.line, end.column, f"and {more} more {noun}", more)]
