"""Statements of the hot path, past SQLAlchemy's own work for each of them.

They take their rows as one JSON array and give their answer as one, so that
a statement is one step however many rows it is about: a thread that steps
through rows would have to win Python's lock back at each.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import exc
from sqlalchemy.engine import Connection

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode

#: Unix seconds by the database's clock; the same throughout a statement.
NOW = "((julianday('now') - 2440587.5) * 86400.0)"

_WRAPPED: tuple[tuple[type[sqlite3.Error], type[exc.DBAPIError]], ...] = (
    (sqlite3.IntegrityError, exc.IntegrityError),
    (sqlite3.OperationalError, exc.OperationalError),
    (sqlite3.DatabaseError, exc.DatabaseError),
)


def execute(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
    """Execute one statement within the transaction of `connection`.

    :raises exc.DBAPIError: as SQLAlchemy would
    """
    try:
        return _driver(connection).execute(sql, parameters)
    except sqlite3.Error as error:
        raise _wrapped(sql, error) from error


def execute_many(connection: Connection, sql: str, rows: Iterable[Sequence[Any]]) -> None:
    """Execute one statement for each row."""
    try:
        _driver(connection).executemany(sql, rows)
    except sqlite3.Error as error:
        raise _wrapped(sql, error) from error


def commit(connection: Connection) -> None:
    """Commit the transaction of `connection`."""
    try:
        connection.dialect.do_commit(connection.connection)
    except sqlite3.Error as error:
        raise _wrapped("COMMIT", error) from error


def value(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> Any:
    """The only column of the only row; None if there is no row."""
    try:
        row = _driver(connection).execute(sql, parameters).fetchone()
    except sqlite3.Error as error:
        raise _wrapped(sql, error) from error
    return None if row is None else row[0]


def rows(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
    """What a statement gives that selects one ``json_group_array``."""
    found: list[Any] = json.loads(value(connection, sql, parameters))
    return found


def array(items: Iterable[Any]) -> str:
    """The one parameter of a statement that reads its rows from ``json_each(?)``."""
    return _encode(items if isinstance(items, list) else list(items))


def _driver(connection: Connection) -> sqlite3.Connection:
    driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
    return driver


def _wrapped(sql: str, error: sqlite3.Error) -> exc.DBAPIError:
    for plain, wrapper in _WRAPPED:
        if isinstance(error, plain):
            return wrapper(sql, None, error)
    return exc.DBAPIError(sql, None, error)
