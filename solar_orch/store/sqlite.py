"""The SQLite file: made, refused when it is none of ours, and connected to."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import stat
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.pool import NullPool, StaticPool

from solar_orch.errors import DatabaseRefused, DatabaseUnavailable
from solar_orch.store import raw, schema

LOG = logging.getLogger(__name__)

#: "SLOR" in the header of each SQLite file that is ours (https://sqlite.org/fileformat.html#application_id).
APPLICATION_ID = 0x534C4F52

#: What to do about a file that cannot be read.
#: Seconds between looks at a file that seems to be corrupt: one in ten did while it was written to.
_PAUSES_OF_LOOKS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.1, 0.1)

RESTORE = "it was left untouched; restore it from a backup"

_PASSING = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_FULL",
    "SQLITE_READONLY",
    "SQLITE_CANTOPEN",
    "SQLITE_IOERR",
)


def is_passing(error: exc.DBAPIError) -> bool:
    """Whether the same transaction may succeed when it is tried again."""
    return _errorname(error).startswith(_PASSING)


def is_broken(error: exc.DBAPIError) -> bool:
    """Whether what stands in the file cannot be read as a database."""
    return _errorname(error).startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT"))


def _errorname(error: exc.DBAPIError) -> str:
    return getattr(error.orig, "sqlite_errorname", "")


def make_engine(url: URL, *, single: bool = False) -> Engine:
    """An engine that never makes the file, whose transactions wait for nothing.

    :param single: whether it has one connection, for one thread
    """
    path = Path(url.database or "").absolute()
    engine = sa.create_engine(
        url.set(
            database=f"file:{quote(str(path))}",
            # Not rwc, SQLite's default: a file that is away must not be replaced by an empty one.
            query={"mode": "rw", **url.query, "uri": "true", "check_same_thread": "false"},
        ),
        # A writer in the way is waited for by `Database.write`, whose sleep lets other greenlets run.
        connect_args={"timeout": 0},
        **({"poolclass": StaticPool} if single else {"pool_size": 4, "max_overflow": -1}),
    )
    _listen(engine)
    return engine


def prepare_file(name: str, path: Path) -> None:
    """Make the database if there is no file; raise if the file is no database of ours, without writing to it.

    :param name: of the database, for errors
    :raises DatabaseRefused: if something else stands there
    :raises DatabaseUnavailable: if it can be neither looked at nor made
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        _create_file(name, path)
        return
    except OSError as error:
        raise DatabaseUnavailable(name, str(error)) from error
    if not stat.S_ISREG(status.st_mode):
        raise DatabaseRefused(name, "not a regular file")
    if status.st_size == 0:
        raise DatabaseRefused(
            name,
            "the file is empty, so whatever it held is gone; "
            "restore it from a backup, or remove it to start afresh",
        )
    try:
        if _application_id(path) != APPLICATION_ID:
            raise DatabaseRefused(name, "this database holds something else; it was left untouched")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname == "SQLITE_NOTADB":
            raise DatabaseRefused(name, "this is no SQLite database; it was left untouched") from error
        if error.sqlite_errorname.startswith("SQLITE_CORRUPT"):
            raise DatabaseRefused(name, f"{error}; {RESTORE}") from error
        raise DatabaseUnavailable(name, str(error)) from error


def _application_id(path: Path) -> int:
    """Read from the file's header, by SQLite itself and without a lock.

    The file must not be opened by anyone else in this process: closing it
    would drop the locks of all of the process's connections
    (https://sqlite.org/howtocorrupt.html, 2.2), and the next process to
    leave the database would then delete the journal under them.
    """
    for pause in _PAUSES_OF_LOOKS:
        try:
            return _unlocked_application_id(path)
        except sqlite3.DatabaseError as error:
            # It may be met in the midst of a checkpoint, which passes.
            if not error.sqlite_errorname.startswith("SQLITE_CORRUPT"):
                raise
        time.sleep(pause)
    return _unlocked_application_id(path)


def _unlocked_application_id(path: Path) -> int:
    uri = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
        return int(connection.execute("PRAGMA application_id").fetchone()[0])


def _create_file(name: str, path: Path) -> None:
    """Make the database beside its place and link it there, so that nobody ever meets half of one."""
    fresh = path.parent / f".{path.name}.{os.getpid()}.new"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600))
        _write_schema(fresh)
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass  # made by another process meanwhile
        finally:
            fresh.unlink()
    except (OSError, exc.DBAPIError) as error:
        raise DatabaseUnavailable(name, f"it cannot be made: {error}") from error


def _write_schema(path: Path) -> None:
    engine = sa.create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)
    _listen(engine)
    with engine.connect() as connection, connection.begin():
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
        schema.METADATA.create_all(connection)
        connection.execute(schema.schema_version.insert().values(version=schema.SCHEMA_VERSION))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
        # Kept in the file; closing the last connection leaves no -wal beside it.
        raw.execute("PRAGMA journal_mode = WAL").fetchall()


def _listen(engine: Engine) -> None:
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)


def _configure(connection: Any, _record: Any) -> None:
    # Transactions are begun by `_begin`, not by the driver's guess.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin(connection: Connection) -> None:
    if not connection.get_execution_options().get("solar_begun"):
        raw.execute(connection, "BEGIN")
