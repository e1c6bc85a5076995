"""The events: every transition, in the order in which they became durable."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import sqlalchemy as sa

from solar_orch.states import State
from solar_orch.store.database import Database
from solar_orch.store.instance import instance
from solar_orch.store.schema import events, plans, tasks


class Event(NamedTuple):
    """One transition of one task."""

    id: int
    position: int
    attempt: int
    old: State
    new: State


class EventRow(NamedTuple):
    """One transition with all that is known of it; `at` is Unix seconds by the database's clock."""

    id: int
    at: float
    task: str
    attempt: int
    old: State
    new: State
    #: The instance that made it.
    by: str
    message: str | None


class Touched(NamedTuple):
    """The plans of which something has happened."""

    #: Of each its uid, in the order of their latest events.
    uids: list[str]
    #: The number of the last event that was read, from which to go on.
    upto: int


#: Events that are read in one transaction.
_BATCH = 2000

_STATES = {str(state): state for state in State}

_AFTER = f"""
    SELECT json_group_array(json_array(id, position, attempt, old, new)) FROM (
        SELECT id, position, attempt, old, new FROM events WHERE plan_id = ?1 AND id > ?2
        AND NOT (new = '{State.INPROGRESS}' AND "by" IS ?3) ORDER BY id)
"""


class Events:
    """All methods block on the database and raise what ``Database`` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def after(self, plan_id: int, event_id: int, *, but_starts: bool = False) -> list[Event]:
        """The events of a plan that came after `event_id`.

        :param but_starts: leave out the attempts that this process has started
        """
        found = self._database.ask(_AFTER, (plan_id, event_id, instance() if but_starts else None))
        return [
            Event(id_, position, attempt, _STATES[old], _STATES[new])
            for id_, position, attempt, old, new in json.loads(found)
        ]

    def last(self) -> int:
        """The number of the latest event of all plans; 0 if there is none."""
        with self._database.read() as connection:
            return int(
                connection.execute(sa.select(sa.func.coalesce(sa.func.max(events.c.id), 0))).scalar_one()
            )

    def touched(self, after: int, limit: int = _BATCH) -> Touched:
        """The plans of which something has happened since, for who follows all of them.

        Costs work in proportion to what has happened, however many plans there are.  That a plan has
        ended is no event, and follows the last of its events at once.

        :param after: the number of an event; 0 for all
        :param limit: how many events are read; there may be more when as many were
        """
        recent = (
            sa.select(events.c.id, events.c.plan_id)
            .where(events.c.id > after)
            .order_by(events.c.id)
            .limit(limit)
            .subquery()
        )
        latest = sa.func.max(recent.c.id)
        # What is left of plans that were deleted counts as read.
        query = (
            sa.select(plans.c.uid, latest)
            .select_from(recent.outerjoin(plans, plans.c.id == recent.c.plan_id))
            .group_by(recent.c.plan_id)
            .order_by(latest)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return Touched([row.uid for row in rows if row.uid is not None], rows[-1][1] if rows else after)

    def stream(
        self, plan_id: int, position: int | None = None, after: int = 0, limit: int = _BATCH
    ) -> Iterator[EventRow]:
        """The events of a plan so far, oldest first, read a part at a time.

        :param position: only those of this task
        :param after: only those that came after this one
        :param limit: how many are read, and held, at once
        """
        query = (
            sa.select(
                events.c.id,
                events.c.at,
                tasks.c.name,
                events.c.attempt,
                events.c.old,
                events.c.new,
                events.c.by,
                events.c.message,
            )
            .join(tasks, sa.and_(tasks.c.plan_id == events.c.plan_id, tasks.c.position == events.c.position))
            .where(events.c.plan_id == plan_id)
            .order_by(events.c.id)
            .limit(limit)
        )
        if position is not None:
            query = query.where(events.c.position == position)
        while True:
            with self._database.read() as connection:
                rows = connection.execute(query.where(events.c.id > after)).all()
            for id_, at, name, attempt, old, new, by, message in rows:
                yield EventRow(id_, at, name, attempt, _STATES[old], _STATES[new], by, message)
            if len(rows) < limit:
                return
            after = rows[-1].id

    def all(self, plan_id: int) -> list[dict[str, Any]]:
        """All columns of a plan's events with the name of the task, oldest first."""
        query = (
            sa.select(events, tasks.c.name)
            .join(tasks, sa.and_(tasks.c.plan_id == events.c.plan_id, tasks.c.position == events.c.position))
            .where(events.c.plan_id == plan_id)
            .order_by(events.c.id)
        )
        with self._database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]
