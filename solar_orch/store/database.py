"""One database: read, and changed in transactions that are tried again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine import URL, Connection, Engine, make_url

from solar_orch import faults
from solar_orch.errors import ConfigError
from solar_orch.store import raw
from solar_orch.store.access import Access, Undecided
from solar_orch.store.commits import Mark, Marks
from solar_orch.store.instance import instance
from solar_orch.store.pauses import Pauses

if TYPE_CHECKING:
    from solar_orch.store.group import Group

T = TypeVar("T")
Item = TypeVar("Item")

#: What changes the database for many at once: ``function(connection, items)`` gives an answer for each.
Many = Callable[[Connection, Sequence[Item]], Sequence[T]]

#: Seconds for which a transaction that meets a lock or a passing fault is tried again.
PATIENCE = 10.0
_PAUSES = Pauses(0.002, 0.25, 2.0, time.sleep, time.monotonic)


class Database:
    """Lazily opened; making one touches nothing.

    Usable from any number of greenlets of one process.  It must not be open
    when the process forks: in the child it is refused then.

    :param url: SQLAlchemy URL
    :param grouped: whether what the greenlets of this process write at the same time is committed
        together, by a thread (see :mod:`solar_orch.store.group`); needs gevent
    """

    def __init__(self, url: str, *, grouped: bool = False) -> None:
        self.url: URL = _checked(url)
        self._access = Access(self.url, _PAUSES)
        self._marks = Marks()
        self._grouped = grouped
        self._writer: tuple[str, Group] | None = None
        #: Whether the database has been opened, and made if there was none.
        self._opened = False

    @property
    def name(self) -> str:
        """The URL without its password."""
        return self._access.name

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return self._access.path

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection within one read transaction: all it reads is of one moment.

        :raises DatabaseRefused: when there is something else at the URL
        :raises DatabaseUnavailable: when it cannot be read
        """
        connection = self._access.retried(self._access.snapshot, time.monotonic() + PATIENCE)
        try:
            yield connection
        except exc.DBAPIError as error:
            raise self._access.final(error) from error
        finally:
            connection.close()

    def ask(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The only column of the only row that one query of SQLite's gives; None if there is no row.

        Cheaper than :meth:`read`, for what is asked thousands of times a second.

        :raises DatabaseRefused: when there is something else at the URL
        :raises DatabaseUnavailable: when it cannot be read
        """
        return self._access.retried(lambda: self._access.ask(sql, parameters), time.monotonic() + PATIENCE)

    def write(
        self, work: Callable[[Connection], T], point: str | None = None, *, patience: float | None = None
    ) -> T:
        """Run `work` in one write transaction and return its result once that is durable.

        Where another writer is in the way, or the database is away for a
        moment, all of `work` is run again, for `patience` (or ``PATIENCE``) seconds at most;
        meanwhile the calling greenlet sleeps.  `work` must therefore do
        nothing but change the database; it may be run in another thread.  If
        the answer to a commit is lost, what was done is read back: `work` is
        never done twice, and never taken for done.

        :param point: name of a commit among ``faults.COMMITS``
        :raises DatabaseRefused: when there is something else at the URL
        :raises DatabaseUnavailable: when it stays locked, full, read-only or away
        """
        result: T = self._written(work, None, point, patience)
        return result

    def write_many(
        self,
        many: Many[Item, T],
        item: Item,
        point: str | None = None,
        *,
        patience: float | None = None,
        lazy: bool = False,
    ) -> T:
        """As :meth:`write`, for one item among those that others write at the same time.

        :param many: a function of a module: items that are given with the same one go to it together
        :param lazy: whether it may wait a little for others to be committed with
        """
        result: T = self._written(many, item, point, patience, lazy)
        return result

    def engine(self) -> Engine:
        """The engine, made and the database checked (or created) at the first call.

        :raises DatabaseRefused: when there is something else at the URL; it is left untouched
        :raises DatabaseUnavailable: when it was open as this process was forked
        """
        return self._access.retried(self._access.engine, time.monotonic() + PATIENCE)

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        self._access.close()
        self._opened = False
        if self._grouped:
            self._group().close()

    def _written(
        self,
        function: Callable[..., Any],
        item: Any,
        point: str | None,
        patience: float | None,
        lazy: bool = False,
    ) -> Any:
        patience = PATIENCE if patience is None else patience
        deadline = time.monotonic() + patience
        if point is not None and faults.are_armed():
            faults.hit(f"{point}.before")
        if self._grouped:
            if not self._opened:
                self.engine()
                self._opened = True
            result = self._group().write(function, item, deadline, lazy=lazy)
        else:
            work = function if item is None else lambda connection: function(connection, [item])[0]
            with self._marks.take() as mark:
                result = self._access.retried(lambda: self._commit(work, mark, deadline), deadline)
        if point is not None and faults.are_armed():
            faults.hit(f"{point}.after")
        return result

    def _group(self) -> Group:
        # Not before it is used: it needs gevent, which whoever only steers does without.
        from solar_orch.store import group

        if self._writer is None or self._writer[0] != instance():
            self._writer = instance(), group.of(self.url)
        return self._writer[1]

    def _commit(self, work: Callable[[Connection], T], mark: Mark, deadline: float) -> T:
        try:
            return self._access.commit(work, mark, deadline)
        except Undecided as undecided:
            raise undecided.error from undecided.__cause__


def _checked(text: str) -> URL:
    """The URL of a database that can be used.

    :raises ConfigError: if it cannot
    """
    try:
        url = make_url(text)
    except exc.ArgumentError as error:
        raise ConfigError(
            "not a database URL; write it as sqlite:////absolute/path.db", option="database"
        ) from error
    if url.get_backend_name() != "sqlite":
        raise ConfigError(
            f"databases of {url.get_backend_name()} are not supported; use sqlite:////absolute/path.db",
            option="database",
        )
    if not url.database or url.database == ":memory:":
        raise ConfigError("a database in memory would not be durable; name a file", option="database")
    return url


def db_now() -> sa.ColumnElement[float]:
    """Unix seconds by the database's clock, for use within a statement."""
    return sa.literal_column(raw.NOW, sa.Float)
