"""Telling whether a commit whose answer was lost was made."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from solar_orch.store import raw
from solar_orch.store.instance import instance
from solar_orch.store.schema import commits

#: Seconds after which the mark of a process that may be gone is removed.
_KEPT = 86_400

_SET = """
    INSERT INTO commits (slot, number, at) VALUES (?, ?, CAST(strftime('%s', 'now') AS INTEGER))
    ON CONFLICT (slot) DO UPDATE SET number = excluded.number, at = excluded.at
"""
_PRUNE = "DELETE FROM commits WHERE at < CAST(strftime('%s', 'now') AS INTEGER) - ?"


@dataclass(slots=True)
class Mark:
    """Written within a transaction, and found afterwards if, and only if, that was committed."""

    slot: str
    number: int = 0

    def write(self, connection: Connection) -> None:
        """Mark the transaction of `connection`."""
        self.number += 1
        if self.number == 1:
            raw.execute(connection, _PRUNE, (_KEPT,))
        raw.execute(connection, _SET, (self.slot, self.number))

    def is_committed(self, connection: Connection) -> bool:
        """Whether the transaction that was marked last is part of what `connection` reads."""
        query = sa.select(commits.c.number).where(commits.c.slot == self.slot)
        return connection.execute(query).scalar_one_or_none() == self.number


class Marks:
    """The marks of one process: as many as it has transactions at once."""

    def __init__(self) -> None:
        self._free: list[Mark] = []
        self._serial = itertools.count(1)

    @contextmanager
    def take(self) -> Iterator[Mark]:
        """A mark that nobody else uses meanwhile.

        Whoever has to leave it undecided whether it was committed raises
        something with a true ``in_doubt``: then it is not used again.
        """
        prefix = f"{instance()}/"
        mark = self._free.pop() if self._free else None
        if mark is None or not mark.slot.startswith(prefix):  # made before a fork
            mark = Mark(f"{prefix}{id(self):x}.{next(self._serial)}")
        try:
            yield mark
        except BaseException as error:
            if not getattr(error, "in_doubt", False):
                self._free.append(mark)
            raise
        self._free.append(mark)
