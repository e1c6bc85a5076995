"""Plans deleted: at once as far as anyone can see, and what they leave behind in steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from solar_orch.errors import WrongState
from solar_orch.states import PlanStatus, State
from solar_orch.store import raw
from solar_orch.store.database import Database, db_now
from solar_orch.store.log import Log
from solar_orch.store.plans import PlanRow, find
from solar_orch.store.schema import events, plans, tasks

T = TypeVar("T")

#: Rows that are deleted in one transaction, so that it does not hold the write lock for long.
_STEP = 5000


class Deletion:
    """All methods block on the database and raise what ``Database`` raises."""

    def __init__(self, database: Database, log: Log) -> None:
        self._database = database
        self._log = log

    def delete(self, uid: str) -> str:
        """Delete a plan that is not running, with its tasks and their events; its own uid.

        The system log keeps what it has entered, and what it has not yet is entered before.
        Large plans are deleted in several transactions.  After the first one
        the plan is gone; what an interrupted delete leaves behind is deleted by the next one.

        :raises UnknownPlan: if there is no such plan
        :raises WrongState: if it is running
        """

        with self._database.read() as connection:
            found = _deletable(connection, uid).uid

        def work(connection: Connection) -> str | None:
            plan = _deletable(connection, found)
            return plan.uid if self._deleted(connection, plan.id) else None

        return self._delete(work)

    def old(self, seconds: float, statuses: Sequence[PlanStatus] = ()) -> list[str]:
        """The uids of the plans that are not running, and whose last event is so old; the oldest first.

        :param seconds: by the database's clock; of a plan without events its making counts
        :param statuses: only plans with one of these; all when empty
        """
        with self._database.read() as connection:
            return [plan.uid for plan in connection.execute(_old(seconds, statuses))]

    def delete_old(self, uid: str, seconds: float, statuses: Sequence[PlanStatus] = ()) -> bool:
        """As :meth:`delete`, but only if it is still one of :meth:`old`; whether it was."""

        def work(connection: Connection) -> bool | None:
            plan = connection.execute(_old(seconds, statuses).where(plans.c.uid == uid)).one_or_none()
            if plan is None:
                return False
            return True if self._deleted(connection, plan.id) else None

        return self._delete(work)

    def sweep(self) -> None:
        """Delete what deleted plans have left behind."""
        left = True
        while left:
            begun = time.monotonic()
            left = self._database.write(_sweep_some, "sweep")
            # Others that write have their turn.
            time.sleep(time.monotonic() - begun)

    def _delete(self, work: Callable[[Connection], T | None]) -> T:
        """Delete by `work`, which gives None while the system log has something to read first."""
        deleted = None
        while deleted is None:
            self._log.catch_up()
            deleted = self._database.write(work, "delete")
        self.sweep()
        return deleted

    @staticmethod
    def _deleted(connection: Connection, plan_id: int) -> bool:
        """Delete a plan, unless the system log has not read all of its events."""
        if raw.value(connection, _UNREAD, (plan_id,)) is not None:
            return False
        connection.execute(sa.delete(plans).where(plans.c.id == plan_id))
        return True


def _old(seconds: float, statuses: Sequence[PlanStatus]) -> sa.Select[Any]:
    """The ids and uids of plans that nothing has been heard of for so long."""
    last = (
        sa.select(events.c.at)
        .where(events.c.plan_id == plans.c.id)
        .order_by(events.c.id.desc())
        .limit(1)
        .correlate(plans)
        .scalar_subquery()
    )
    running = sa.select(tasks.c.plan_id).where(tasks.c.status == State.INPROGRESS)
    query = sa.select(plans.c.id, plans.c.uid).where(
        plans.c.wanted.is_(False),
        plans.c.id.not_in(running),
        db_now() - sa.func.coalesce(last, plans.c.created_at) >= seconds,
    )
    if statuses:
        query = query.where(plans.c.status.in_(sorted(statuses)))
    return query.order_by(plans.c.id)


def _deletable(connection: Connection, uid: str) -> PlanRow:
    plan = find(connection, uid)
    if plan.wanted:
        raise WrongState(plan.uid, "is running", f"stop or cancel it first: solar-orch stop {plan.uid}")
    in_progress = sa.select(tasks.c.id).where(tasks.c.plan_id == plan.id, tasks.c.status == State.INPROGRESS)
    if connection.execute(in_progress.limit(1)).first():
        remedy = f"wait for the end of that, or cancel it: solar-orch cancel {plan.uid}"
        raise WrongState(plan.uid, "has been stopped, but some of its tasks are in progress still", remedy)
    return plan


#: An event of a plan that the system log has not read.
_UNREAD = """
    SELECT 1 FROM events
    WHERE plan_id = ? AND id > coalesce((SELECT event_id FROM cursors WHERE name = 'system_log'), 0) LIMIT 1
"""
#: A plan that has been deleted, of which there are tasks.  Its ids are hopped through, not its rows.
_LEFT = """
    WITH RECURSIVE ids (id) AS (
        SELECT min(plan_id) FROM tasks
        UNION ALL
        SELECT (SELECT min(plan_id) FROM tasks WHERE plan_id > ids.id) FROM ids WHERE id IS NOT NULL)
    SELECT id FROM ids WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM plans) LIMIT 1
"""
#: Tasks last: they tell that there is something left.
_STEPS = (
    "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE plan_id = ? LIMIT ?)",
    """DELETE FROM edges WHERE (plan_id, child, parent) IN
        (SELECT plan_id, child, parent FROM edges WHERE plan_id = ? LIMIT ?)""",
    "DELETE FROM tasks WHERE id IN (SELECT id FROM tasks WHERE plan_id = ? LIMIT ?)",
)


def _sweep_some(connection: Connection) -> bool:
    """Delete some of what is left behind; whether there may be more."""
    plan_id = raw.value(connection, _LEFT)
    if plan_id is None:
        return False
    room = _STEP
    for statement in _STEPS:
        room -= raw.execute(connection, statement, (plan_id, room)).rowcount
        if room <= 0:
            break
    return True
