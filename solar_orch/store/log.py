"""The system log: changes staged, changes made, and the outcome of every finished attempt."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from solar_orch.states import State
from solar_orch.store.database import Database, db_now
from solar_orch.store.schema import cursors, events, log_items, log_outcomes, plans, tasks

#: Name of the cursor that says up to which event the log has read.
_CURSOR = "system_log"

#: A transition from INPROGRESS to one of these is the outcome of an attempt.
OUTCOMES = (State.SUCCESS, State.ERROR, State.ERROR_RETRY)

#: Events read in one transaction, so that a log that was long away does not hold the write lock for long.
_BATCH = 500


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

        :return: number of outcomes entered
        """
        entered = 0
        while self._is_behind():
            read, outcomes = self._database.write(_enter_batch, "log")
            entered += outcomes
            if read < _BATCH:
                break
        return entered

    def _is_behind(self) -> bool:
        read = sa.select(cursors.c.event_id).where(cursors.c.name == _CURSOR).scalar_subquery()
        query = sa.select(events.c.id).where(events.c.id > sa.func.coalesce(read, 0)).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def _items(self, log: str) -> list[dict[str, Any]]:
        query = sa.select(log_items).where(log_items.c.log == log).order_by(log_items.c.id)
        with self._database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _enter_batch(connection: Connection) -> tuple[int, int]:
    cursor = connection.execute(
        sa.select(cursors.c.event_id).where(cursors.c.name == _CURSOR)
    ).scalar_one_or_none()
    if cursor is None:
        connection.execute(cursors.insert().values(name=_CURSOR, event_id=0))
    rows = connection.execute(
        sa.select(
            events.c.id,
            events.c.old,
            events.c.new,
            events.c.attempt,
            events.c.at,
            events.c.message,
            plans.c.uid,
            tasks.c.name,
        )
        .join(plans, plans.c.id == events.c.plan_id)
        .join(tasks, sa.and_(tasks.c.plan_id == events.c.plan_id, tasks.c.position == events.c.position))
        .where(events.c.id > (cursor or 0))
        .order_by(events.c.id)
        .limit(_BATCH)
    ).all()
    if not rows:
        return 0, 0
    ended = [row for row in rows if row.old == State.INPROGRESS and row.new in OUTCOMES]
    if ended:
        connection.execute(log_outcomes.insert(), [_outcome(row) for row in ended])
        if connection.execute(sa.select(log_items.c.id).where(log_items.c.log == "staged").limit(1)).first():
            for row in ended:
                _move_item(connection, row)
    connection.execute(sa.update(cursors).where(cursors.c.name == _CURSOR).values(event_id=rows[-1].id))
    return len(rows), len(ended)


def _outcome(row: Any) -> dict[str, Any]:
    return {
        "event_id": row.id,
        "plan_uid": row.uid,
        "task_name": row.name,
        "attempt": row.attempt,
        "status": row.new,
        "errmsg": row.message,
        "at": row.at,
    }


def _move_item(connection: Connection, row: Any) -> None:
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
