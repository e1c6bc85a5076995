"""What is said of a task that a plan does not have."""

from __future__ import annotations

import difflib

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from solar_orch.errors import UnknownTask
from solar_orch.store.schema import tasks

#: Names among which those are looked for that are like the unknown one.
_COMPARED = 5000


def unknown_task(connection: Connection, plan_id: int, plan_uid: str, name: str) -> UnknownTask:
    """The error, which names tasks that may have been meant."""
    query = (
        sa.select(tasks.c.name)
        .where(tasks.c.plan_id == plan_id)
        # Of a large plan those whose names are of about that length.
        .order_by(sa.func.abs(sa.func.length(tasks.c.name) - len(name)), tasks.c.position)
        .limit(_COMPARED)
    )
    names = connection.execute(query).scalars()
    return UnknownTask(plan_uid, name, difflib.get_close_matches(name, names, n=3))
