"""One database file as one owner opens it, and one try of a transaction."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine import URL, Connection, Engine

from solar_orch import faults
from solar_orch.errors import DatabaseRefused, DatabaseUnavailable
from solar_orch.store import raw, schema
from solar_orch.store.commits import Mark
from solar_orch.store.instance import instance
from solar_orch.store.pauses import Pauses
from solar_orch.store.sqlite import RESTORE, is_broken, is_passing, make_engine, prepare_file

T = TypeVar("T")

_File = tuple[int, int]

#: The files that are open, and those that were so in the process from which this one was forked: SQLite
#: keeps the locks of a process in its memory, and a child would take its parent's for its own.
_OPEN: Counter[_File] = Counter()
_INHERITED: set[_File] = set()


def _note_inherited() -> None:
    _INHERITED.update(file for file, number in _OPEN.items() if number)
    _OPEN.clear()


os.register_at_fork(after_in_child=_note_inherited)


class Away(Exception):  # noqa: N818 - tried again, like a lock
    """The file that is open does not stand in its place now."""


class _Unanswered(Exception):  # noqa: N818 - looked into
    """A commit failed, or its answer was lost: it may have been made all the same."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(str(error))


class Undecided(Exception):  # noqa: N818 - becomes an answer
    """Whether a commit was made could not be found out.

    :param error: what is to be raised for it
    """

    in_doubt = True

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(str(error))


class Access:
    """The connections of one owner: the greenlets of a process together, or one thread.

    Opened by the first use.

    :param url: of an SQLite file
    :param pauses: how tries follow each other where something is tried again
    :param single: whether there is to be one connection, for the one thread that uses it; it makes no
        file then, which has been done by others before
    """

    def __init__(self, url: URL, pauses: Pauses, *, single: bool = False) -> None:
        self.url = url
        self.pauses = pauses
        self._single = single
        self._engine: Engine | None = None
        self._instance = ""
        self._file: _File | None = None
        self._path = url.database or ""
        #: For statements that are a transaction of their own.
        self._kept: Connection | None = None

    @property
    def name(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return Path(self._path)

    def engine(self) -> Engine:
        """The engine, made and the database checked (or created) at the first call.

        :raises DatabaseRefused: when there is something else at the URL; it is left untouched
        :raises DatabaseUnavailable: when it was open as this process was forked, or cannot be made
        :raises Away: when the file that is open is not in its place
        :raises exc.DBAPIError: when it cannot be read
        """
        if self._engine is not None and self._instance == instance():
            found = self._file_in_place()
            if found == self._file:
                return self._engine
            if found is None:
                raise Away
            # Another file was put in its place: what is open is not what others see.
            self.close()
        if self._single and self._file_in_place() is None:
            raise Away
        prepare_file(self.name, self.path)
        if self._file_in_place() in _INHERITED:
            raise DatabaseUnavailable(
                self.name, "it was open when this process was forked; fork before it is used"
            )
        engine = make_engine(self.url, single=self._single)
        try:
            self._check_version(engine)
        except BaseException:
            engine.dispose()
            raise
        self._engine, self._instance, self._file = engine, instance(), self._file_in_place()
        if self._file is not None:
            _OPEN[self._file] += 1
        return engine

    def close(self) -> None:
        """Close all connections that are not in use; the next use opens new ones."""
        if self._engine is not None and self._instance == instance():
            if self._kept is not None:
                self._kept.close()
            self._engine.dispose()
            if self._file is not None:
                _OPEN[self._file] -= 1
        self._engine = self._kept = None

    def ask(self, sql: str, parameters: Sequence[Any]) -> Any:
        """The only column of the only row that a query gives; None if there is no row.

        :raises exc.DBAPIError: when it cannot be read
        """
        engine = self.engine()
        if self._kept is None:
            self._kept = engine.connect()
        return raw.value(self._kept, sql, parameters)

    def snapshot(self) -> Connection:
        """A connection within a read transaction; the caller closes it.

        :raises exc.DBAPIError: when it cannot be read
        """
        connection = self.engine().connect()
        try:
            # A reader takes its snapshot at the first statement, and may meet another process
            # just then that is the last to leave and clears the journal away.
            connection.execute(_PROBE)
        except BaseException:
            connection.close()
            raise
        return connection

    def commit(self, work: Callable[[Connection], T], mark: Mark, deadline: float) -> T:
        """Do `work` once, in a write transaction with the mark.

        If its commit is not answered, it is looked whether it was made, until `deadline`.

        :raises Exception: if it was not made
        :raises Undecided: if that could not be found out
        """
        result: list[T] = []
        try:
            # What it gave is known even if the answer to its commit is not.
            self._commit(lambda connection: result.append(work(connection)), mark)
        except _Unanswered as unanswered:
            if not self._was_committed(mark, deadline):
                raise unanswered.error from None
        return result[-1]

    def retried(self, attempt: Callable[[], T], deadline: float) -> T:
        """What `attempt` gives, which is tried again until `deadline` where that may help.

        :raises DatabaseRefused: when there is something else at the URL
        :raises DatabaseUnavailable: when it stays locked, full, read-only or away
        """
        for pause in self.pauses:
            try:
                return attempt()
            except Exception as error:
                if not self.is_passing(error) or self.pauses.monotonic() + pause > deadline:
                    final = self.final(error)
                    if final is error:
                        raise
                    raise final from error
            self.pauses.make(pause)
        raise AssertionError("pauses do not end")

    def _commit(self, work: Callable[[Connection], T], mark: Mark) -> T:
        engine = self.engine()
        if not self._single:
            with engine.connect() as connection:
                return _commit(connection, work, mark)
        if self._kept is None:
            self._kept = engine.connect()
        try:
            return _commit(self._kept, work, mark)
        except BaseException:
            # Whatever state it is in.
            self._kept.close()
            self._kept = None
            raise

    def _was_committed(self, mark: Mark, deadline: float) -> bool:
        try:
            return self.retried(lambda: self._holds(mark), deadline)
        except Exception as error:
            raise Undecided(_in_doubt(error)) from error

    def _holds(self, mark: Mark) -> bool:
        connection = self.snapshot()
        try:
            return mark.is_committed(connection)
        finally:
            connection.close()

    def is_passing(self, error: Exception) -> bool:
        """Whether what failed may succeed when it is tried again."""
        return isinstance(error, Away) or (isinstance(error, exc.DBAPIError) and is_passing(error))

    def final(self, error: Exception) -> Exception:
        """The error to be raised when it is tried no more."""
        if isinstance(error, Away):
            return DatabaseUnavailable(self.name, "the file is not in its place")
        if not isinstance(error, exc.DBAPIError) or isinstance(error.orig, sqlite3.IntegrityError):
            return error
        if is_broken(error):
            return DatabaseRefused(self.name, f"{error.orig}; {RESTORE}")
        return DatabaseUnavailable(self.name, str(error.orig))

    def _file_in_place(self) -> _File | None:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _check_version(self, engine: Engine) -> None:
        with engine.connect() as connection:
            version = connection.execute(sa.select(schema.schema_version.c.version)).scalar_one()
        if version != schema.SCHEMA_VERSION:
            raise DatabaseRefused(
                self.name,
                f"its schema has version {version}, this program needs "
                f"{schema.SCHEMA_VERSION}; it was left untouched",
            )


def _commit(connection: Connection, work: Callable[[Connection], T], mark: Mark) -> T:
    driver = connection.execution_options(solar_begun=True).connection
    raw.execute(connection, "BEGIN IMMEDIATE")
    try:
        result = work(connection)
        mark.write(connection)
    except BaseException:
        connection.rollback()
        driver.rollback()
        raise
    try:
        # Whether or not SQLAlchemy knows of the transaction.
        connection.commit()
        if driver.in_transaction:
            raw.commit(connection)
        faults.hit("answer")
    except (exc.DBAPIError, faults.Injected) as error:
        raise _Unanswered(error) from error
    return result


def _in_doubt(error: Exception) -> Exception:
    """What is raised instead when it is not known whether a commit was made."""
    if isinstance(error, DatabaseUnavailable):
        return DatabaseUnavailable(error.database, error.problem, in_doubt=True)
    return error


_PROBE = sa.select(schema.schema_version.c.version)
