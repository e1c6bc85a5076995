"""When the attempts of a plan ran, read back from its events."""

from __future__ import annotations

import sqlalchemy as sa

from solar_orch.plan.timeline import Attempt, Change, Ran, attempts
from solar_orch.states import State
from solar_orch.store.database import Database
from solar_orch.store.schema import events, tasks

_STATES = {str(state): state for state in State}


class Timings:
    """All methods block on the database and raise what ``Database`` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, plan_id: int) -> list[Attempt]:
        """The attempts of a plan in the order in which they began, all of one moment."""
        ran = sa.select(
            tasks.c.position, tasks.c.name, tasks.c.target, tasks.c.attempt, tasks.c.start_time
        ).where(tasks.c.plan_id == plan_id)
        changes = (
            sa.select(events.c.position, events.c.attempt, events.c.old, events.c.new, events.c.at)
            .where(
                events.c.plan_id == plan_id,
                sa.or_(events.c.old == State.INPROGRESS, events.c.new == State.INPROGRESS),
            )
            .order_by(events.c.id)
        )
        with self._database.read() as connection:
            by_position = {row[0]: Ran(*row[1:]) for row in connection.execute(ran)}
            return attempts(
                (
                    Change(position, attempt, _STATES[old], _STATES[new], at)
                    for position, attempt, old, new, at in connection.execute(changes)
                ),
                by_position,
            )
