"""Plans: made, wanted, stopped, finished and loaded."""

from __future__ import annotations

import difflib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from solar_orch.errors import PlanExists, UnknownPlan
from solar_orch.plan.model import OnError, OnLost, Plan, Task
from solar_orch.plan.report import Outcome
from solar_orch.states import DISPATCHABLE, PlanStatus, State
from solar_orch.store.database import Database
from solar_orch.store.instance import instance
from solar_orch.store.loading import Graph, load
from solar_orch.store.making import insert_plan
from solar_orch.store.schema import edges, events, plans, tasks
from solar_orch.store.transitions import move

#: Stands for the plan that was made last.
LAST = "last"

#: Positions that are given in one statement.
_BATCH = 2000


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One plan, without its tasks."""

    id: int
    uid: str
    name: str
    created_at: float
    status: PlanStatus
    wanted: bool
    lease_owner: str | None
    revision: int
    env: dict[str, str]
    cwd: str | None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A plan as it stood when `last_event` was the latest of its events."""

    plan: PlanRow
    graph: Graph
    last_event: int


@dataclass(frozen=True, slots=True)
class Tally:
    """A plan and the number of its tasks in each state, when `last_event` was the latest of its events."""

    plan: PlanRow
    counts: dict[State, int]
    last_event: int


#: Within the class `list` is a method.
_Rows = list[dict[str, Any]]
_Outcomes = list[Outcome]

_PLAN = (
    plans.c.id,
    plans.c.uid,
    plans.c.name,
    plans.c.created_at,
    plans.c.status,
    plans.c.wanted,
    plans.c.lease_owner,
    plans.c.revision,
    plans.c.env,
    plans.c.cwd,
)

_STATUSES = (
    sa.select(tasks.c.status, sa.func.count().label("number"))
    .where(tasks.c.plan_id == plans.c.id)
    .group_by(tasks.c.status)
    .correlate(plans)
    .subquery()
)
#: Of a plan the number of its tasks in each state.  Counted plan by plan within one statement: grouped by
#: both at once all the tasks of the database would be sorted.
_COUNTS = (
    sa.select(sa.func.json_group_object(_STATUSES.c.status, _STATUSES.c.number))
    .scalar_subquery()
    .label("counts")
)


def _plan_row(row: Any) -> PlanRow:
    return PlanRow(
        row.id,
        row.uid,
        row.name,
        row.created_at,
        PlanStatus(row.status),
        row.wanted,
        row.lease_owner,
        row.revision,
        row.env or {},
        row.cwd,
    )


#: Quicker than to ask State for each row.
_STATES = {str(state): state for state in State}


def _outcome(row: Any) -> Outcome:
    position, name, type_, target, status, *rest = row
    return Outcome(position, name, type_, target, _STATES[status], *rest)


def find(connection: Connection, uid: str) -> PlanRow:
    """The plan with this uid; ``last`` stands for the one made last.

    :raises UnknownPlan: if there is none
    """
    query = sa.select(*_PLAN)
    query = query.order_by(plans.c.id.desc()).limit(1) if uid == LAST else query.where(plans.c.uid == uid)
    row = connection.execute(query).one_or_none()
    if row is None:
        recent = sa.select(plans.c.uid).order_by(plans.c.id.desc()).limit(1000)
        raise UnknownPlan(uid, difflib.get_close_matches(uid, connection.execute(recent).scalars(), n=3))
    return _plan_row(row)


def end_running(connection: Connection, plan_id: int, new: State, by: str | None = None) -> int:
    """Let nothing more of a plan begin; what has been claimed goes on to its end.

    :param new: what becomes of the rest: PENDING takes back what was dispatched, SKIPPED ends all
    :param by: who wants that, for the events; this process when None
    :return: the number of tasks whose state became another one
    """
    connection.execute(
        sa.update(plans)
        .where(plans.c.id == plan_id)
        .values(wanted=False, status=PlanStatus.STOPPED, revision=plans.c.revision + 1)
    )
    unclaimed = sa.or_(tasks.c.status != State.INPROGRESS, tasks.c.worker.is_(None))
    waiting = {State.INPROGRESS, *(DISPATCHABLE if new == State.SKIPPED else ())}
    return move(
        connection, waiting, new, tasks.c.plan_id == plan_id, unclaimed, by=by, message="the plan was stopped"
    )


class Plans:
    """All methods block on the database and raise what ``Database`` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, plan: Plan, *, wanted: bool = False) -> str:
        """Write a plan in one transaction.

        :param wanted: whether it is to run from the start
        :return: its uid
        :raises PlanExists: if its uid is taken; nothing is written then
        """
        uid = plan.uid or f"{plan.name}:{secrets.token_hex(4)}"

        def work(connection: Connection) -> str:
            if connection.execute(sa.select(plans.c.id).where(plans.c.uid == uid)).first():
                raise PlanExists(uid)
            insert_plan(connection, uid, plan, wanted=wanted)
            return uid

        return self._database.write(work, "create")

    def get(self, uid: str) -> PlanRow:
        """The plan with this uid; ``last`` stands for the one made last.

        :raises UnknownPlan: if there is none
        """
        with self._database.read() as connection:
            return self._get(connection, uid)

    def summaries(
        self, limit: int | None = None, statuses: Sequence[PlanStatus] = ()
    ) -> list[tuple[PlanRow, dict[State, int]]]:
        """All plans, the latest first, each with the number of its tasks in each state.

        :param statuses: only plans with one of these; all when empty
        """
        query = sa.select(*_PLAN, _COUNTS).order_by(plans.c.id.desc()).limit(limit)
        if statuses:
            query = query.where(plans.c.status.in_(statuses))
        with self._database.read() as connection:
            return [(_plan_row(row), _counts(row.counts)) for row in connection.execute(query)]

    def counts(self, plan_id: int) -> dict[State, int]:
        """Number of the plan's tasks in each state; all states are there."""
        with self._database.read() as connection:
            return _counted(connection, plan_id)

    def standing(self, uid: str) -> Tally:
        """How the plan stands, without reading its tasks one by one.

        :raises UnknownPlan: if there is no such plan
        """
        with self._database.read() as connection:
            plan = self._get(connection, uid)
            return Tally(plan, _counted(connection, plan.id), _last_event(connection, plan.id))

    def load(self, plan_id: int, pause: Callable[[], object] = lambda: None) -> Loaded | None:
        """Everything a leader needs, in one pass and of one moment; None if the plan is gone.

        :param pause: is called between steps, so that others may run meanwhile
        """
        with self._database.read() as connection:
            row = connection.execute(sa.select(*_PLAN).where(plans.c.id == plan_id)).one_or_none()
            if row is None:
                return None
            graph = load(connection, plan_id, pause)
            return Loaded(_plan_row(row), graph, _last_event(connection, plan_id))

    def want(self, uid: str) -> PlanRow:
        """Record that the plan is to run; durable when this returns.

        :raises UnknownPlan: if there is no such plan
        """
        return self._mark(uid, wanted=True, status=PlanStatus.RUNNING)

    def pause(self, uid: str) -> PlanRow:
        """Start nothing more; what has not been claimed goes back to PENDING, what runs goes on to its end.

        :raises UnknownPlan: if there is no such plan
        """
        return self._end_running(uid, State.PENDING)

    def stop(self, uid: str) -> PlanRow:
        """Soft stop: what has not been claimed becomes SKIPPED, what runs goes on to its end.

        One that is not to run is left as it is.

        :raises UnknownPlan: if there is no such plan
        """
        return self._end_running(uid, State.SKIPPED)

    def finish(self, plan_id: int, epoch: int, revision: int, failed: bool) -> bool:
        """As the leader: record that nothing runs and nothing more can, and release the lease.

        :param revision: of the plan as the leader knows it
        :return: False if the plan was steered since then, is not wanted, or is led by another
        """
        statement = (
            sa.update(plans)
            .where(
                plans.c.id == plan_id,
                plans.c.lease_owner == instance(),
                plans.c.lease_epoch == epoch,
                plans.c.revision == revision,
                plans.c.wanted.is_(True),
            )
            .values(
                wanted=False,
                status=PlanStatus.FAILED if failed else PlanStatus.FINISHED,
                lease_owner=None,
                lease_since=None,
            )
            .returning(plans.c.id)
        )
        return self._database.write(
            lambda connection: connection.execute(statement).first() is not None, "finish"
        )

    def task(self, plan_id: int, name: str) -> dict[str, Any] | None:
        """All columns of one task, or None."""
        query = sa.select(tasks).where(tasks.c.plan_id == plan_id, tasks.c.name == name)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
            return dict(row) if row else None

    def tasks(self, plan_id: int) -> _Rows:
        """All columns of all tasks, in topological order."""
        query = sa.select(tasks).where(tasks.c.plan_id == plan_id).order_by(tasks.c.position)
        with self._database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def outcomes(
        self, uid: str, positions: Sequence[int] | None = None, *, output: bool = True
    ) -> tuple[PlanRow, _Outcomes]:
        """The plan and what has become of its tasks, in topological order and all of one moment.

        :param positions: only these tasks
        :param output: whether to read what the tasks have written
        :raises UnknownPlan: if there is no such plan
        """
        query = sa.select(
            tasks.c.position,
            tasks.c.name,
            tasks.c.type,
            tasks.c.target,
            tasks.c.status,
            tasks.c.errmsg,
            tasks.c.attempt,
            tasks.c.start_time,
            tasks.c.end_time,
            tasks.c.output if output else sa.null(),
            tasks.c.on_error == OnError.IGNORE,
        ).order_by(tasks.c.position)
        with self._database.read() as connection:
            plan = self._get(connection, uid)
            query = query.where(tasks.c.plan_id == plan.id)
            queries = (
                [query]
                if positions is None
                else [
                    query.where(tasks.c.position.in_(sorted(positions)[start : start + _BATCH]))
                    for start in range(0, len(positions), _BATCH)
                ]
            )
            rows = (row for query in queries for row in connection.execute(query))
            return plan, [_outcome(row) for row in rows]

    def last_event(self, plan_id: int) -> int:
        """The number of the plan's latest event; 0 if there is none."""
        with self._database.read() as connection:
            return _last_event(connection, plan_id)

    def in_progress(self, plan_id: int) -> _Rows:
        """Tasks that are running: ``name``, ``target`` and ``start_time`` (None until claimed)."""
        query = sa.select(
            tasks.c.name, tasks.c.target, tasks.c.start_time, tasks.c.attempt, tasks.c.position
        ).where(tasks.c.plan_id == plan_id, tasks.c.status == State.INPROGRESS)
        with self._database.read() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        # Not by the database, which would go through all tasks in that order to find these few.
        return sorted(rows, key=lambda row: row["position"])

    def model(self, uid: str) -> Plan:
        """The plan as a plan file states it, with the statuses of its tasks.

        :raises UnknownPlan: if there is no such plan
        """
        with self._database.read() as connection:
            row = self._get(connection, uid)
            names: dict[int, str] = {}
            found: dict[int, Task] = {}
            query = sa.select(tasks).where(tasks.c.plan_id == row.id).order_by(tasks.c.position)
            for task in connection.execute(query):
                names[task.position] = task.name
                found[task.position] = _task_of(task)
            links = connection.execute(
                sa.select(edges.c.child, edges.c.parent)
                .where(edges.c.plan_id == row.id)
                .order_by(edges.c.child, edges.c.parent)
            )
            for child, parent in links:
                found[child].after.append(names[parent])
        return Plan(name=row.name, uid=row.uid, tasks=list(found.values()), env=row.env, cwd=row.cwd)

    def _get(self, connection: Connection, uid: str) -> PlanRow:
        return find(connection, uid)

    def _mark(self, uid: str, **values: Any) -> PlanRow:
        def work(connection: Connection) -> PlanRow:
            row = self._get(connection, uid)
            connection.execute(
                sa.update(plans).where(plans.c.id == row.id).values(revision=plans.c.revision + 1, **values)
            )
            return self._get(connection, row.uid)

        return self._database.write(work, "want")

    def _end_running(self, uid: str, new: State) -> PlanRow:
        def work(connection: Connection) -> PlanRow:
            row = self._get(connection, uid)
            if not row.wanted:
                return row
            end_running(connection, row.id, new)
            return self._get(connection, row.uid)

        return self._database.write(work, "stop")


def _task_of(row: Any) -> Task:
    return Task(
        name=row.name,
        type=row.type,
        args=row.args,
        kwargs=row.kwargs,
        target=row.target,
        timelimit=row.timelimit,
        timeout=row.timeout,
        retry=row.retry,
        retry_delay=row.retry_delay,
        retry_delay_max=row.retry_delay_max,
        on_lost=OnLost(row.on_lost),
        on_error=OnError(row.on_error),
        when=row.condition,
        type_limit=row.type_limit,
        resource_type=row.resource_type,
        weight=row.weight,
        status=State(row.status),
    )


def _counts(found: str) -> dict[State, int]:
    counts = dict.fromkeys(State, 0)
    counts.update({_STATES[status]: number for status, number in json.loads(found).items()})
    return counts


def _counted(connection: Connection, plan_id: int) -> dict[State, int]:
    found = connection.execute(sa.select(_COUNTS).where(plans.c.id == plan_id)).scalar()
    return _counts(found or "{}")


def _last_event(connection: Connection, plan_id: int) -> int:
    query = sa.select(sa.func.coalesce(sa.func.max(events.c.id), 0)).where(events.c.plan_id == plan_id)
    return int(connection.execute(query).scalar_one())
