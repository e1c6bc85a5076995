"""One database: opened lazily, and transactions that are tried again."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine import URL, Connection, Engine, make_url

from solar_orch import faults
from solar_orch.errors import ConfigError, DatabaseRefused, DatabaseUnavailable
from solar_orch.store import schema
from solar_orch.store.commits import Mark, Marks
from solar_orch.store.sqlite import RESTORE, is_broken, is_passing, make_engine, prepare_file

T = TypeVar("T")

#: Seconds for which a transaction that meets a lock or a passing fault is tried again.
PATIENCE = 10.0
#: Seconds between tries: doubled from the first to the second, with jitter.
BACKOFF = (0.002, 0.25)


_File = tuple[int, int]

#: The files that are open, and those that were so in the process from which this one was forked: SQLite
#: keeps the locks of a process in its memory, and a child would take its parent's for its own.
_OPEN: Counter[_File] = Counter()
_INHERITED: set[_File] = set()


def _note_inherited() -> None:
    _INHERITED.update(file for file, number in _OPEN.items() if number)
    _OPEN.clear()


os.register_at_fork(after_in_child=_note_inherited)


class _Away(Exception):  # noqa: N818 - tried again, like a lock
    """The file that is open does not stand in its place now."""


class _Unanswered(Exception):  # noqa: N818 - becomes an answer
    """A commit failed, or its answer was lost: it may have been made all the same."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(str(error))


class Database:
    """Lazily opened; making one touches nothing.

    Usable from any number of greenlets of one process.  It must not be open
    when the process forks: in the child it is refused then.

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
        self._file: _File | None = None
        self._marks = Marks()

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
        connection = self._retried(self._open_snapshot, time.monotonic() + PATIENCE)
        try:
            yield connection
        except exc.DBAPIError as error:
            raise self._unavailable(error) from error
        finally:
            connection.close()

    def write(
        self, work: Callable[[Connection], T], point: str | None = None, *, patience: float = PATIENCE
    ) -> T:
        """Run `work` in one write transaction and return its result once that is durable.

        Where another writer is in the way, or the database is away for a
        moment, all of `work` is run again, for `patience` seconds at most;
        between tries the calling greenlet sleeps.  `work` must therefore do
        nothing but change the database.  If the answer to a commit is lost,
        what was done is read back: `work` is never done twice, and never
        taken for done.

        :param point: name of a commit among ``faults.COMMITS``
        :raises DatabaseRefused: when there is something else at the URL
        :raises DatabaseUnavailable: when it stays locked, full, read-only or away
        """
        deadline = time.monotonic() + patience
        if point is not None:
            faults.hit(f"{point}.before")
        with self._marks.take() as mark:
            result = self._retried(lambda: self._commit(work, mark, deadline), deadline)
        if point is not None:
            faults.hit(f"{point}.after")
        return result

    def engine(self) -> Engine:
        """The engine, made and the database checked (or created) at the first call.

        :raises DatabaseRefused: when there is something else at the URL; it is left untouched
        :raises DatabaseUnavailable: when it was open as this process was forked
        """
        if self._engine is not None and self._pid == os.getpid():
            found = self._file_in_place()
            if found == self._file:
                return self._engine
            if found is None:
                raise _Away
            # Another file was put in its place: what is open is not what others see.
            self.close()
        prepare_file(self.name, self.path)
        if self._file_in_place() in _INHERITED:
            raise DatabaseUnavailable(
                self.name, "it was open when this process was forked; fork before it is used"
            )
        engine = make_engine(self.url)
        try:
            self._retried(lambda: self._check_version(engine), time.monotonic() + PATIENCE)
        except BaseException:
            engine.dispose()
            raise
        self._engine, self._pid, self._file = engine, os.getpid(), self._file_in_place()
        if self._file is not None:
            _OPEN[self._file] += 1
        return engine

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()
            if self._file is not None:
                _OPEN[self._file] -= 1
        self._engine = None

    def _file_in_place(self) -> _File | None:
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

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

    def _commit(self, work: Callable[[Connection], T], mark: Mark, deadline: float) -> T:
        """Do `work` once; if then its commit is not answered, look whether it was made.

        :raises exc.DBAPIError: if it was not made
        :raises DatabaseUnavailable: if that could not be found out
        """
        try:
            with self.engine().connect().execution_options(solar_write=True) as connection:
                transaction = connection.begin()
                try:
                    result = work(connection)
                    mark.write(connection)
                except BaseException:
                    transaction.rollback()
                    raise
                try:
                    transaction.commit()
                    faults.hit("answer")
                except (exc.DBAPIError, faults.Injected) as error:
                    raise _Unanswered(error) from error
        except _Unanswered as unanswered:
            if not self._was_committed(mark, deadline):
                raise unanswered.error from None
        return result

    def _was_committed(self, mark: Mark, deadline: float) -> bool:
        def look() -> bool:
            connection = self._open_snapshot()
            try:
                return mark.is_committed(connection)
            finally:
                connection.close()

        try:
            return self._retried(look, deadline)
        except DatabaseUnavailable as error:
            raise DatabaseUnavailable(error.database, error.problem, in_doubt=True) from error

    def _retried(self, attempt: Callable[[], T], deadline: float) -> T:
        pause = BACKOFF[0]
        while True:
            try:
                return attempt()
            except exc.DBAPIError as error:
                if not is_passing(error) or time.monotonic() + pause > deadline:
                    raise self._unavailable(error) from error
            except _Away:
                if time.monotonic() + pause > deadline:
                    raise DatabaseUnavailable(self.name, "the file is not in its place") from None
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, BACKOFF[1])

    def _unavailable(self, error: exc.DBAPIError) -> Exception:
        if isinstance(error.orig, sqlite3.IntegrityError):
            return error
        if is_broken(error):
            return DatabaseRefused(self.name, f"{error.orig}; {RESTORE}")
        return DatabaseUnavailable(self.name, str(error.orig))

    def _check_version(self, engine: Engine) -> None:
        with engine.connect() as connection:
            version = connection.execute(sa.select(schema.schema_version.c.version)).scalar_one()
        if version != schema.SCHEMA_VERSION:
            raise DatabaseRefused(
                self.name,
                f"its schema has version {version}, this program needs "
                f"{schema.SCHEMA_VERSION}; it was left untouched",
            )


def db_now() -> sa.ColumnElement[float]:
    """Unix seconds by the database's clock, for use within a statement."""
    return sa.literal_column("((julianday('now') - 2440587.5) * 86400.0)", sa.Float)
