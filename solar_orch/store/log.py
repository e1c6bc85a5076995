"""The system log: changes staged, changes made, and the outcome of every finished attempt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from solar_orch.errors import UnknownItem
from solar_orch.states import State
from solar_orch.store import raw
from solar_orch.store.database import Database, db_now
from solar_orch.store.schema import events, log_items, log_outcomes

#: Name of the cursor that says up to which event the log has read.
_CURSOR = "system_log"

#: A transition from INPROGRESS to one of these is the outcome of an attempt.
OUTCOMES = (State.SUCCESS, State.ERROR, State.ERROR_RETRY)

#: Events read in one transaction, so that a log that was long away does not hold the write lock for long.
_BATCH = 5000


class Log:
    """All methods block on the database and raise what ``Database`` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def stage(self, resource: str, action: str, diff: Any = None, tags: list[str] | None = None) -> int:
        """Stage a change; the task named ``resource.action`` carries it out.

        :param diff: what changes, any JSON value
        :return: the item's id
        """
        statement = (
            log_items.insert()
            .values(
                log="staged",
                resource=resource,
                action=action,
                diff=diff,
                tags=tags or [],
                state="staged",
                after_event=sa.select(sa.func.coalesce(sa.func.max(events.c.id), 0)).scalar_subquery(),
                created_at=db_now(),
                changed_at=db_now(),
            )
            .returning(log_items.c.id)
        )
        return int(
            self._database.write(lambda connection: connection.execute(statement).scalar_one(), "stage")
        )

    def discard(self, ids: Sequence[int] | None = None) -> list[int]:
        """Remove staged changes; those of the history stay.

        :param ids: of these items; all when None
        :return: the ids of what was removed, in order
        :raises UnknownItem: if one of them is not staged; nothing is removed then
        """

        def work(connection: Connection) -> list[int]:
            statement = sa.delete(log_items).where(log_items.c.log == "staged").returning(log_items.c.id)
            if ids is not None:
                statement = statement.where(log_items.c.id.in_(ids))
            removed = sorted(connection.execute(statement).scalars())
            missing = sorted(set(ids or ()) - set(removed))
            if missing:
                raise UnknownItem(missing)
            return removed

        return self._database.write(work, "discard")

    def staged(self) -> list[dict[str, Any]]:
        """The changes that are still to be made, oldest first; ``state`` is ``staged`` or ``error``."""
        return self._items("staged")

    def history(self) -> list[dict[str, Any]]:
        """The changes that were made, oldest first."""
        return self._items("history")

    def outcomes(self, plan_uid: str) -> list[dict[str, Any]]:
        """The outcomes of a plan's attempts in the order in which they ended."""
        query = (
            sa.select(log_outcomes)
            .where(log_outcomes.c.plan_uid == plan_uid)
            .order_by(log_outcomes.c.event_id)
        )
        with self._database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def catch_up(self) -> int:
        """Enter the outcomes of all attempts that ended since the last time, each exactly once.

        What is entered is read from the durable events, in one transaction
        with the mark of how far they were read.

        :return: number of outcomes entered, by whoever shares the transaction with this
        """
        entered = 0
        while self._is_behind():
            read, outcomes = self._database.write_many(_enter_for_all, True, "log", lazy=True)
            entered += outcomes
            if read < _BATCH:
                break
        return entered

    def _is_behind(self) -> bool:
        return self._database.ask(_BEHIND) is not None

    def _items(self, log: str) -> list[dict[str, Any]]:
        query = sa.select(log_items).where(log_items.c.log == log).order_by(log_items.c.id)
        with self._database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


_BEHIND = f"""
    SELECT 1 FROM events
    WHERE id > coalesce((SELECT event_id FROM cursors WHERE name = '{_CURSOR}'), 0) LIMIT 1
"""
_READ = f"SELECT event_id FROM cursors WHERE name = '{_CURSOR}'"
_BATCH_END = "SELECT max(id), count(*) FROM (SELECT id FROM events WHERE id > ? ORDER BY id LIMIT ?)"
_OUTCOMES_OF = f"""
    FROM events
    CROSS JOIN plans ON plans.id = events.plan_id
    CROSS JOIN tasks ON tasks.plan_id = events.plan_id AND tasks.position = events.position
    WHERE events.id > ? AND events.id <= ? AND events.old = '{State.INPROGRESS}'
    AND events.new IN ({", ".join(f"'{state}'" for state in OUTCOMES)})
    ORDER BY events.id
"""
_ENTER = f"""
    INSERT INTO log_outcomes (event_id, plan_uid, task_name, attempt, status, errmsg, at)
    SELECT events.id, plans.uid, tasks.name, events.attempt, events.new, events.message, events.at
    {_OUTCOMES_OF}
"""
_SELECT = f"SELECT events.id, plans.uid, tasks.name, events.new, events.message {_OUTCOMES_OF}"
_MARK = f"""
    INSERT INTO cursors (name, event_id) VALUES ('{_CURSOR}', ?)
    ON CONFLICT (name) DO UPDATE SET event_id = excluded.event_id
"""
_ANY_STAGED = "SELECT 1 FROM log_items WHERE log = 'staged' LIMIT 1"


def _enter_for_all(connection: Connection, callers: Sequence[bool]) -> list[tuple[int, int]]:
    """Enter one batch; the same answer for all who ask for it at the same time."""
    return [_enter_batch(connection)] * len(callers)


def _enter_batch(connection: Connection) -> tuple[int, int]:
    """How many events were read, and how many outcomes entered."""
    read = raw.value(connection, _READ) or 0
    last, events_read = raw.execute(connection, _BATCH_END, (read, _BATCH)).fetchone()
    if not events_read:
        return 0, 0
    entered = raw.execute(connection, _ENTER, (read, last)).rowcount
    if entered and raw.value(connection, _ANY_STAGED):
        for row in raw.execute(connection, _SELECT, (read, last)).fetchall():
            _move_item(connection, _Outcome._make(row))
    raw.execute(connection, _MARK, (last,))
    return events_read, entered


class _Outcome(NamedTuple):
    id: int
    uid: str
    name: str
    new: str
    message: str | None


def _move_item(connection: Connection, row: _Outcome) -> None:
    """Let the outcome of the task ``resource.action`` take effect on the change staged under that name."""
    resource, dot, action = row.name.rpartition(".")
    if not dot:
        return
    values: dict[str, Any] = {"changed_at": db_now(), "plan_uid": row.uid}
    if row.new == State.SUCCESS:
        values |= {"log": "history", "state": "success", "errmsg": None}
    else:
        values |= {"state": "error", "errmsg": row.message}
    connection.execute(
        sa.update(log_items)
        .where(
            log_items.c.log == "staged",
            log_items.c.resource == resource,
            log_items.c.action == action,
            log_items.c.after_event < row.id,
        )
        .values(**values)
    )
