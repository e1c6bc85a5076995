"""What has been seen and is still to be told, in a file of its own beside the database of solar_orch."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TABLES = """
    CREATE TABLE IF NOT EXISTS cursor (one INTEGER PRIMARY KEY CHECK (one = 1), event INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS watched (uid TEXT PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS queue (
        id TEXT PRIMARY KEY, body BLOB NOT NULL,
        since REAL NOT NULL, tries INTEGER NOT NULL, next REAL NOT NULL
    );
"""


@dataclass(frozen=True)
class Letter:
    """An end that is still to be told."""

    id: str
    body: bytes
    #: When it was found: Unix seconds.
    since: float
    tries: int


class Memory:
    """One SQLite file; each method is one transaction.

    After a loss of power it may be older than what has been told, never
    newer: an end is then told again.

    :param path: of the file, which is made if it is not there
    :raises sqlite3.Error: as all methods, if the file cannot be used
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        # Transactions are begun below.
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_TABLES)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def cursor(self) -> int | None:
        """The number of the last event that was looked at; None if there was never one."""
        row = self._connection.execute("SELECT event FROM cursor").fetchone()
        return None if row is None else int(row[0])

    def watch(self, uids: Sequence[str], upto: int) -> None:
        """Note that these plans may have ended, or will, and up to which event that is known."""
        with self._transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO watched VALUES (?)", [(uid,) for uid in uids])
            connection.execute("INSERT OR REPLACE INTO cursor VALUES (1, ?)", (upto,))

    def watched(self) -> list[str]:
        """The uids of the plans that are expected to end, in the order in which they were noted."""
        return [uid for (uid,) in self._connection.execute("SELECT uid FROM watched ORDER BY rowid")]

    def settle(self, uid: str, id_: str | None = None, body: bytes = b"") -> None:
        """Watch a plan no longer, and put its end, if there is one to be told, into the queue."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM watched WHERE uid = ?", (uid,))
            if id_ is not None:
                connection.execute(
                    "INSERT OR IGNORE INTO queue VALUES (?, ?, ?, 0, 0)", (id_, body, time.time())
                )

    def queued(self) -> int:
        """How many ends wait to be told."""
        return int(self._connection.execute("SELECT count(*) FROM queue").fetchone()[0])

    def due(self) -> Letter | None:
        """The one that is to be told next, if its time has come."""
        row = self._connection.execute(
            "SELECT id, body, since, tries FROM queue WHERE next <= ? ORDER BY next, since, id LIMIT 1",
            (time.time(),),
        ).fetchone()
        return None if row is None else Letter(*row)

    def told(self, letter: Letter) -> None:
        """It needs to be told no more."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM queue WHERE id = ?", (letter.id,))

    def postpone(self, letter: Letter, seconds: float) -> None:
        """It is to be told again, after so many seconds."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE queue SET tries = tries + 1, next = ? WHERE id = ?",
                (time.time() + seconds, letter.id),
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise


class Seat:
    """One process at a time may tell: who has the lock of this file, which the system takes from the dead."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)

    def take(self) -> bool:
        """Whether this process has it now; does not wait."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Let others have it."""
        os.close(self._file)
