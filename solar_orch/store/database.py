"""One database: opening it, refusing what is none, and transactions that are tried again."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.pool import NullPool

from solar_orch.errors import ConfigError, DatabaseRefused, DatabaseUnavailable
from solar_orch.store import schema

LOG = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds for which a transaction that meets a lock or a passing fault is tried again.
PATIENCE = 10.0
#: Seconds between tries: doubled from the first to the second, with jitter.
BACKOFF = (0.002, 0.25)

#: "SLOR" in the header of each SQLite file that is ours (https://sqlite.org/fileformat.html#application_id).
APPLICATION_ID = 0x534C4F52


class Database:
    """Lazily opened; making one touches nothing.

    Usable from any number of greenlets of one process; after a fork the
    child opens connections of its own.

    :param url: SQLAlchemy URL
    """

    def __init__(self, url: str) -> None:
        try:
            self.url: URL = make_url(url)
        except exc.ArgumentError as error:
            raise ConfigError(
                "not a database URL; write it as sqlite:////absolute/path.db", option="database"
            ) from error
        if self.url.get_backend_name() != "sqlite":
            raise ConfigError(
                f"databases of {self.url.get_backend_name()} are not supported; use sqlite:////absolute/path.db",
                option="database",
            )
        if not self.url.database or self.url.database == ":memory:":
            raise ConfigError("a database in memory would not be durable; name a file", option="database")
        self._engine: Engine | None = None
        self._pid = 0

    @property
    def name(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return Path(self.url.database or "")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection within one read transaction: all it reads is of one moment.

        :raises DatabaseRefused: when there is something else at the URL
        :raises DatabaseUnavailable: when it cannot be read
        """
        connection = self._retried(self._open_snapshot, PATIENCE)
        try:
            yield connection
        except exc.DBAPIError as error:
            raise self._unavailable(error) from error
        finally:
            connection.close()

    def write(self, work: Callable[[Connection], T], *, patience: float = PATIENCE) -> T:
        """Run `work` in one write transaction and return its result once that is durable.

        Where another writer is in the way, or the database is away for a
        moment, all of `work` is run again, for `patience` seconds at most;
        between tries the calling greenlet sleeps.  `work` must therefore do
        nothing but change the database.

        :raises DatabaseRefused: when there is something else at the URL
        :raises DatabaseUnavailable: when it stays locked, full, read-only or away
        """

        def once() -> T:
            with (
                self.engine().connect().execution_options(solar_write=True) as connection,
                connection.begin(),
            ):
                return work(connection)

        return self._retried(once, patience)

    def engine(self) -> Engine:
        """The engine, made and the database checked (or created) at the first call.

        :raises DatabaseRefused: when there is something else at the URL; it is left untouched
        """
        if self._engine is None or self._pid != os.getpid():
            engine = self._make_engine()
            self._retried(lambda: _check_version(self, engine), PATIENCE)
            self._engine, self._pid = engine, os.getpid()
        return self._engine

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()
        self._engine = None

    def _make_engine(self) -> Engine:
        refuse_foreign_file(self)
        engine = sa.create_engine(
            self.url.set(query={**self.url.query, "check_same_thread": "false"}),
            # A writer in the way is waited for by `write`, whose sleep lets other greenlets run.
            connect_args={"timeout": 0},
            pool_size=4,
            max_overflow=-1,
        )
        event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", _begin)
        return engine

    def _open_snapshot(self) -> Connection:
        connection = self.engine().connect()
        try:
            # A reader takes its snapshot at the first statement, and may meet another process
            # just then that is the last to leave and clears the journal away.
            connection.execute(sa.select(schema.schema_version.c.version))
        except BaseException:
            connection.close()
            raise
        return connection

    def _retried(self, attempt: Callable[[], T], patience: float) -> T:
        deadline = time.monotonic() + patience
        pause = BACKOFF[0]
        while True:
            try:
                return attempt()
            except exc.DBAPIError as error:
                if not is_passing(error) or time.monotonic() + pause > deadline:
                    raise self._unavailable(error) from error
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, BACKOFF[1])

    def _unavailable(self, error: exc.DBAPIError) -> Exception:
        if isinstance(error.orig, sqlite3.IntegrityError):
            return error
        if getattr(error.orig, "sqlite_errorname", "") in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
            return DatabaseRefused(self.name, f"{error.orig}; restore it from a backup")
        return DatabaseUnavailable(self.name, str(error.orig))


def is_passing(error: exc.DBAPIError) -> bool:
    """Whether the same transaction may succeed when it is tried again."""
    name = getattr(error.orig, "sqlite_errorname", "")
    return name.startswith(
        ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR")
    )


def refuse_foreign_file(database: Database) -> None:
    """Raise DatabaseRefused if the file is there and is no database of ours, without writing to it."""
    path = database.path
    try:
        status = path.stat()
    except FileNotFoundError:
        _create_file(database)
        return
    except OSError as error:
        raise DatabaseUnavailable(database.name, str(error)) from error
    if not stat.S_ISREG(status.st_mode):
        raise DatabaseRefused(database.name, "not a regular file")
    if status.st_size == 0:
        raise DatabaseRefused(
            database.name,
            "the file is empty, so whatever it held is gone; "
            "restore it from a backup, or remove it to start afresh",
        )
    try:
        if _application_id(path) != APPLICATION_ID:
            raise DatabaseRefused(database.name, "this database holds something else; it was left untouched")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname == "SQLITE_NOTADB":
            raise DatabaseRefused(
                database.name, "this is no SQLite database; it was left untouched"
            ) from error
        raise DatabaseUnavailable(database.name, str(error)) from error


def _application_id(path: Path) -> int:
    """Read from the file's header, by SQLite itself and without a lock.

    The file must not be opened by anyone else in this process: closing it
    would drop the locks of all of the process's connections
    (https://sqlite.org/howtocorrupt.html, 2.2), and the next process to
    leave the database would then delete the journal under them.
    """
    uri = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
        return int(connection.execute("PRAGMA application_id").fetchone()[0])


def _create_file(database: Database) -> None:
    """Make the database beside its place and link it there, so that nobody ever meets half of one."""
    parent = database.path.parent
    fresh = parent / f".{database.path.name}.{os.getpid()}.new"
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600))
        _write_schema(fresh)
        try:
            os.link(fresh, database.path)
        except FileExistsError:
            LOG.debug("%s was made by another process meanwhile", database.path)
        finally:
            fresh.unlink()
    except (OSError, exc.DBAPIError) as error:
        raise DatabaseUnavailable(database.name, f"it cannot be made: {error}") from error


def _write_schema(path: Path) -> None:
    engine = sa.create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    with engine.connect().execution_options(solar_write=True) as connection, connection.begin():
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
        schema.METADATA.create_all(connection)
        connection.execute(schema.schema_version.insert().values(version=schema.SCHEMA_VERSION))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
        # Kept in the file; closing the last connection leaves no -wal beside it.
        raw.execute("PRAGMA journal_mode = WAL").fetchall()


def _configure(connection: Any, _record: Any) -> None:
    # Transactions are begun by `_begin`, not by the driver's guess.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("solar_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _check_version(database: Database, engine: Engine) -> None:
    with engine.connect() as connection:
        version = connection.execute(sa.select(schema.schema_version.c.version)).scalar_one()
    if version != schema.SCHEMA_VERSION:
        raise DatabaseRefused(
            database.name,
            f"its schema has version {version}, this program needs "
            f"{schema.SCHEMA_VERSION}; it was left untouched",
        )


def db_now() -> sa.ColumnElement[float]:
    """Unix seconds by the database's clock, for use within a statement."""
    return sa.literal_column("((julianday('now') - 2440587.5) * 86400.0)", sa.Float)
