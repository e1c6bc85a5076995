"""Attempts: dispatched by a scheduler, watched by it, and ended where nobody else can."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from solar_orch.plan.model import OnLost
from solar_orch.plan.verdict import TIMED_OUT, Verdict, after_failure, after_kill, after_loss, with_wish
from solar_orch.states import State
from solar_orch.store import raw
from solar_orch.store.bulk import Started, start
from solar_orch.store.database import Database
from solar_orch.store.instance import instance
from solar_orch.store.schema import plans, tasks
from solar_orch.store.transitions import JUDGED, end_attempt, transition


@dataclass(frozen=True, slots=True)
class Dispatch:
    """An attempt that is to be sent to a tasks worker."""

    position: int
    name: str
    type: str
    args: list[Any]
    kwargs: dict[str, Any]
    attempt: int
    timelimit: float | None
    timeout: float | None
    target: str | None
    #: Whether its arguments are templates.
    templates: bool = False


@dataclass(frozen=True, slots=True)
class Beat:
    """An attempt that somebody holds, and the beat that keeps it alive."""

    plan_id: int
    plan_uid: str
    #: Under which the plan is led by this process.
    epoch: int
    position: int
    name: str
    attempt: int
    worker: str
    beat: int


class _Wish(NamedTuple):
    """Attempts that a leader wants to be made."""

    plan_id: int
    epoch: int
    #: That of the plan as the leader knows it; None for any.
    revision: int | None
    #: Position and state of each task.
    tasks: list[tuple[int, State]]


def _sent(attempt: str) -> str:
    """The columns that :func:`_dispatch_of` takes."""
    return f"""tasks.position, tasks.name, tasks.type, tasks.args, tasks.kwargs, {attempt}, tasks.timelimit,
        tasks.timeout, tasks.target, tasks.templates"""


_IS_LED = """
    SELECT 1 FROM plans
    WHERE id = ? AND lease_owner = ? AND lease_epoch = ? AND wanted AND revision = coalesce(?, revision)
"""
_DISPATCHABLE_OF = f"""
    SELECT json_group_array(json_array(
        item.value ->> 0, tasks.id, tasks.status, {_sent("tasks.attempt + 1")}))
    FROM json_each(?) AS item
    CROSS JOIN tasks ON tasks.plan_id = item.value ->> 1 AND tasks.position = item.value ->> 2
    WHERE tasks.status = item.value ->> 3
"""
_UNCLAIMED_OF = f"""
    SELECT json_group_array(json_array({_sent("tasks.attempt")}))
    FROM json_each(?2) AS item
    CROSS JOIN tasks ON tasks.plan_id = ?1 AND tasks.position = item.value ->> 0
    WHERE tasks.attempt = item.value ->> 1 AND tasks.status = '{State.INPROGRESS}' AND tasks.worker IS NULL
"""


def _start_all(connection: Connection, wishes: Sequence[_Wish]) -> list[list[Dispatch]]:
    """Make the attempts that leaders want, of each plan that is still theirs."""
    wanted = [
        (number, wish.plan_id, position, state)
        for number, wish in enumerate(wishes)
        if raw.value(connection, _IS_LED, (wish.plan_id, instance(), wish.epoch, wish.revision))
        for position, state in wish.tasks
    ]
    made: list[list[Dispatch]] = [[] for _ in wishes]
    started: list[Started] = []
    for number, id_, old, *sent in raw.rows(connection, _DISPATCHABLE_OF, (raw.array(wanted),)):
        made[number].append(_dispatch_of(*sent))
        started.append(Started(id_, State(old)))
    start(connection, started)
    return made


def _dispatch_of(
    position: int,
    name: str,
    type_: str,
    args: str,
    kwargs: str,
    attempt: int,
    timelimit: float | None,
    timeout: float | None,
    target: str | None,
    templates: int,
) -> Dispatch:
    return Dispatch(
        position,
        name,
        type_,
        json.loads(args) if args != "[]" else [],
        json.loads(kwargs) if kwargs != "{}" else {},
        attempt,
        timelimit,
        timeout,
        target,
        bool(templates),
    )


def _led(plan_id: int, epoch: int) -> sa.ColumnElement[bool]:
    """Holds while this process leads the plan under this epoch."""
    return sa.exists().where(
        plans.c.id == plan_id, plans.c.lease_owner == instance(), plans.c.lease_epoch == epoch
    )


def _this(plan_id: int, position: int, attempt: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (tasks.c.plan_id == plan_id, tasks.c.position == position, tasks.c.attempt == attempt)


_UNCLAIMED = tasks.c.worker.is_(None)


class Attempts:
    """All methods block on the database and raise what ``Database`` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def dispatch(
        self, plan_id: int, epoch: int, positions: Mapping[int, State], *, revision: int | None = None
    ) -> list[Dispatch]:
        """Record a new attempt of each of these tasks, as the plan's leader.

        :param positions: position of the task to the state it is believed to be in; their order is that
            of the attempts
        :param revision: that of the plan for which this was decided; None for any
        :return: the attempts that were made; none of them if the lease was lost, the plan is not wanted, or
            was steered meanwhile: what a task waits for may then not be done any more
        """
        wish = _Wish(plan_id, epoch, revision, [(position, state) for position, state in positions.items()])
        return self._database.write_many(_start_all, wish, "dispatch")

    def unclaimed(self, plan_id: int, attempts: Mapping[int, int]) -> list[Dispatch]:
        """Those of these attempts (position to attempt) that wait to be claimed."""
        found = self._database.ask(_UNCLAIMED_OF, (plan_id, raw.array(attempts.items())))
        return [_dispatch_of(*row) for row in json.loads(found)]

    def running(self) -> list[Beat]:
        """The claimed attempts of all plans that this process leads."""
        query = (
            sa.select(
                tasks.c.plan_id,
                plans.c.uid,
                plans.c.lease_epoch,
                tasks.c.position,
                tasks.c.name,
                tasks.c.attempt,
                tasks.c.worker,
                tasks.c.beat,
            )
            .join(plans, plans.c.id == tasks.c.plan_id)
            .where(
                plans.c.lease_owner == instance(),
                tasks.c.status == State.INPROGRESS,
                tasks.c.worker.is_not(None),
            )
        )
        with self._database.read() as connection:
            return [Beat(*row) for row in connection.execute(query)]

    def lose(self, beat: Beat, lost_limit: int) -> State | None:
        """Declare a claimed attempt lost, unless its beat has moved meanwhile.

        What it was to be killed for is what it ends with.

        :param lost_limit: with so many lost attempts the task ends in ERROR, else it is PENDING again
        :return: the new state, or None when nothing was changed
        """
        conditions = (
            *_this(beat.plan_id, beat.position, beat.attempt),
            tasks.c.worker == beat.worker,
            tasks.c.beat == beat.beat,
            _led(beat.plan_id, beat.epoch),
        )
        what = f"attempt {beat.attempt} was lost with its worker {beat.worker}"

        def work(connection: Connection) -> State | None:
            row = connection.execute(sa.select(*JUDGED).where(*conditions)).one_or_none()
            if row is None:
                return None
            loss = after_loss(what, OnLost(row.on_lost), row.losses + 1, lost_limit)
            verdict = with_wish(row.kill, row.failures, row.retry, row.timeout, loss)
            ended = end_attempt(
                connection,
                verdict,
                *conditions,
                message=verdict.errmsg or what,
                losses=tasks.c.losses + 1,
                worker=None,
                lost_workers=sa.func.trim(tasks.c.lost_workers.concat(f" {beat.worker}")),
            )
            return verdict.state if ended else None

        return self._database.write(work, "lose")

    def expire(self, plan_id: int, epoch: int, position: int, attempt: int, errmsg: str) -> bool:
        """As the plan's leader: end an attempt that has had no result in time.

        One that nobody claimed ends at once.  For a claimed one the wish is
        recorded; its worker reads it with the next heartbeat and settles it
        when the task is dead.

        :return: whether it ended at once
        """
        conditions = (*_this(plan_id, position, attempt), _led(plan_id, epoch))

        def work(connection: Connection) -> bool:
            row = connection.execute(sa.select(*JUDGED).where(*conditions)).one_or_none()
            if row is None:
                return False
            verdict = after_failure(row.failures, row.retry, errmsg)
            if end_attempt(connection, verdict, *conditions, _UNCLAIMED, message=errmsg):
                return True
            _wish(connection, *conditions, reason=TIMED_OUT)
            return False

        return self._database.write(work, "expire")

    def kill(self, plan_uid: str, name: str, attempt: int | None, reason: str) -> bool:
        """Record that the attempt in progress of a task is to be killed; durable when this returns.

        One that nobody claimed ends in ERROR at once.

        :param attempt: only this one; None means whichever is in progress
        :param reason: becomes the task's error
        :return: whether there was such an attempt
        """
        plan = sa.select(plans.c.id).where(plans.c.uid == plan_uid).scalar_subquery()
        conditions: list[sa.ColumnElement[bool]] = [tasks.c.plan_id == plan, tasks.c.name == name]
        if attempt is not None:
            conditions.append(tasks.c.attempt == attempt)

        def work(connection: Connection) -> bool:
            verdict = after_kill(reason, 0, 0, None)
            if end_attempt(connection, verdict, *conditions, _UNCLAIMED, message=verdict.errmsg):
                return True
            return _wish(connection, *conditions, reason=reason)

        return self._database.write(work, "kill")

    def pass_over(
        self, plan_id: int, epoch: int, positions: Mapping[int, State], *, revision: int | None = None
    ) -> set[int]:
        """As the plan's leader: make NOOP of tasks whose condition does not hold.

        :param positions: position of the task to the state it is believed to be in
        :param revision: as of :meth:`dispatch`
        :return: the positions of those that were still so
        """
        unchanged = sa.exists().where(
            plans.c.id == plan_id,
            plans.c.wanted,
            plans.c.revision == (plans.c.revision if revision is None else revision),
        )

        def work(connection: Connection) -> set[int]:
            return {
                row.position
                for old in sorted(set(positions.values()))
                for row in transition(
                    connection,
                    old,
                    State.NOOP,
                    tasks.c.plan_id == plan_id,
                    tasks.c.position.in_([place for place, state in positions.items() if state == old]),
                    _led(plan_id, epoch),
                    unchanged,
                    message="its condition does not hold",
                )
            }

        return self._database.write(work, "pass_over")

    def refuse(self, plan_uid: str, name: str, attempt: int, errmsg: str) -> bool:
        """As the plan's leader: end in ERROR an attempt that cannot be sent to anyone.

        :return: whether it was still waiting to be sent
        """
        plan = sa.select(plans.c.id).where(plans.c.uid == plan_uid, plans.c.lease_owner == instance())

        def work(connection: Connection) -> bool:
            verdict = Verdict(State.ERROR, errmsg, failed=True)
            return end_attempt(
                connection,
                verdict,
                tasks.c.plan_id == plan.scalar_subquery(),
                tasks.c.name == name,
                tasks.c.attempt == attempt,
                _UNCLAIMED,
                message=errmsg,
            )

        return self._database.write(work, "refuse")

    def take_back(self, plan_id: int, epoch: int) -> int:
        """As the plan's leader: return the attempts that nobody claimed to PENDING; the number of them."""

        def work(connection: Connection) -> int:
            return len(
                transition(
                    connection,
                    State.INPROGRESS,
                    State.PENDING,
                    tasks.c.plan_id == plan_id,
                    _UNCLAIMED,
                    _led(plan_id, epoch),
                    message="taken back before it was claimed",
                )
            )

        return self._database.write(work, "return")


def _wish(connection: Connection, *conditions: sa.ColumnElement[bool], reason: str) -> bool:
    """Have the holder of an attempt kill it; the first wish stands, but somebody's own outdoes a timeout."""
    before = tasks.c.kill if reason == TIMED_OUT else sa.func.nullif(tasks.c.kill, TIMED_OUT)
    statement = (
        sa.update(tasks)
        .where(*conditions, tasks.c.status == State.INPROGRESS)
        .values(kill=sa.func.coalesce(before, reason))
        .returning(tasks.c.id)
    )
    return connection.execute(statement).first() is not None
