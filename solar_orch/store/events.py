"""The events: every transition, in the order in which they became durable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from solar_orch.states import State
from solar_orch.store.database import Database
from solar_orch.store.schema import events, tasks


@dataclass(frozen=True, slots=True)
class Event:
    """One transition of one task."""

    id: int
    position: int
    attempt: int
    old: State
    new: State


class Events:
    """All methods block on the database and raise what ``Database`` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def after(self, plan_id: int, event_id: int) -> list[Event]:
        """The events of a plan that came after `event_id`."""
        query = (
            sa.select(events.c.id, events.c.position, events.c.attempt, events.c.old, events.c.new)
            .where(events.c.plan_id == plan_id, events.c.id > event_id)
            .order_by(events.c.id)
        )
        with self._database.read() as connection:
            return [
                Event(row.id, row.position, row.attempt, State(row.old), State(row.new))
                for row in connection.execute(query)
            ]

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
