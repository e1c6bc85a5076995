"""What is looked at while plans run: single tasks, failures, how fast tasks end, who does how much."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from solar_orch.plan.model import OnError
from solar_orch.plan.report import Outcome
from solar_orch.states import State
from solar_orch.store.database import Database, db_now
from solar_orch.store.plans import PlanRow
from solar_orch.store.schema import events, plans, tasks
from solar_orch.store.unknown import unknown_task

#: As a part of the statement, so that the index of what is in progress is used whatever is asked.
_IN_PROGRESS: sa.ColumnClause[str] = sa.literal_column(f"'{State.INPROGRESS}'")

#: States that a task comes to by having been tried, or passed over.
_DONE = (State.SUCCESS, State.ERROR, State.NOOP)


@dataclass(frozen=True, slots=True)
class TaskLook:
    """One task as it stands."""

    position: int
    name: str
    status: State
    #: Number of its dispatches so far.
    attempt: int
    #: The instance that has claimed the attempt in progress.
    worker: str | None
    #: What the latest attempt has written; while that runs, what was asked for last, if anything.
    output: str | None


class Looks:
    """All methods block on the database and raise what ``Database`` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def task(self, plan: PlanRow, name: str) -> TaskLook:
        """One task of a plan.

        :raises UnknownTask: if there is no such task
        """
        query = sa.select(
            tasks.c.position, tasks.c.status, tasks.c.attempt, tasks.c.worker, tasks.c.output
        ).where(tasks.c.plan_id == plan.id, tasks.c.name == name)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                raise unknown_task(connection, plan.id, plan.uid, name)
        return TaskLook(row.position, name, State(row.status), row.attempt, row.worker, row.output)

    def failed(self, plan_id: int, limit: int) -> list[Outcome]:
        """The tasks of a plan that are in ERROR, those that ended last, in the order in which they ended."""
        query = (
            sa.select(
                tasks.c.position,
                tasks.c.name,
                tasks.c.type,
                tasks.c.target,
                tasks.c.errmsg,
                tasks.c.attempt,
                tasks.c.start_time,
                tasks.c.end_time,
                (tasks.c.on_error == OnError.IGNORE).label("ignored"),
            )
            .where(tasks.c.plan_id == plan_id, tasks.c.status == State.ERROR)
            .order_by(tasks.c.end_time.desc(), tasks.c.position.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return [Outcome(status=State.ERROR, **row) for row in reversed(rows)]

    def has_failed(self, plan_id: int) -> bool:
        """Whether a task of a plan is in ERROR, and that is not ignored."""
        query = sa.select(tasks.c.id).where(
            tasks.c.plan_id == plan_id, tasks.c.status == State.ERROR, tasks.c.on_error != OnError.IGNORE
        )
        with self._database.read() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def ages_of_ends(self, plan_id: int, seconds: float, limit: int) -> list[float]:
        """How many seconds ago, by the database's clock, tasks of a plan have ended; the oldest first.

        :param seconds: only those that ended within so many
        :param limit: only the latest so many
        """
        age = (db_now() - events.c.at).label("age")
        query = (
            sa.select(age)
            .where(events.c.plan_id == plan_id, events.c.new.in_(_DONE), events.c.at > db_now() - seconds)
            .order_by(events.c.id.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return sorted((max(0.0, row.age) for row in connection.execute(query)), reverse=True)

    def loads(self) -> dict[str, int]:
        """The number of attempts in progress that each instance has claimed; of those that have any."""
        query = (
            sa.select(tasks.c.worker, sa.func.count().label("number"))
            .where(tasks.c.status == _IN_PROGRESS, tasks.c.worker.is_not(None))
            .group_by(tasks.c.worker)
        )
        with self._database.read() as connection:
            return {row.worker: row.number for row in connection.execute(query)}

    def uids(self, prefix: str, limit: int) -> list[str]:
        """The uids of plans that begin with `prefix`, the latest first."""
        query = (
            sa.select(plans.c.uid)
            .where(plans.c.uid.startswith(prefix, autoescape=True))
            .order_by(plans.c.id.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def names(self, plan_id: int, prefix: str, limit: int) -> list[str]:
        """The names of a plan's tasks that begin with `prefix`, in topological order."""
        query = (
            sa.select(tasks.c.name)
            .where(tasks.c.plan_id == plan_id, tasks.c.name.startswith(prefix, autoescape=True))
            .order_by(tasks.c.position)
            .limit(limit)
        )
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())
