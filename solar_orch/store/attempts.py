"""Attempts: dispatched by a scheduler, claimed and settled by a tasks worker, watched by both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from solar_orch.states import State
from solar_orch.store.database import Database, db_now
from solar_orch.store.instance import instance
from solar_orch.store.schema import plans, tasks
from solar_orch.store.transitions import transition

#: Reason of a kill: no result within the task's ``timeout``.
TIMED_OUT = "timeout"


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


@dataclass(frozen=True, slots=True)
class Claim:
    """An attempt that this process holds."""

    id: int
    plan_id: int
    position: int
    attempt: int
    retry: int
    failures: int


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


_SENT = (
    tasks.c.name,
    tasks.c.type,
    tasks.c.args,
    tasks.c.kwargs,
    tasks.c.timelimit,
    tasks.c.timeout,
    tasks.c.target,
)


def _dispatch_of(row: Any) -> Dispatch:
    return Dispatch(
        row.position,
        row.name,
        row.type,
        row.args,
        row.kwargs,
        row.attempt,
        row.timelimit,
        row.timeout,
        row.target,
    )


def _led(plan_id: int, epoch: int) -> sa.ColumnElement[bool]:
    """Holds while this process leads the plan under this epoch."""
    return sa.exists().where(
        plans.c.id == plan_id, plans.c.lease_owner == instance(), plans.c.lease_epoch == epoch
    )


_UNCLAIMED = tasks.c.worker.is_(None)


class Attempts:
    """All methods block on the database and raise what ``Database`` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- the scheduler's side ---------------------------------------------------

    def dispatch(self, plan_id: int, epoch: int, positions: Mapping[int, State]) -> list[Dispatch]:
        """Record a new attempt of each of these tasks, as the plan's leader.

        :param positions: position of the task to the state it is believed to be in
        :return: the attempts that were made; none of them if the lease was lost or the plan is not wanted
        """
        wanted = sa.exists().where(plans.c.id == plan_id, plans.c.wanted.is_(True))
        fresh = {
            "attempt": tasks.c.attempt + 1,
            "worker": None,
            "kill": None,
            "beat": 0,
            "dispatched_at": db_now(),
            "start_time": None,
            "end_time": None,
            "errmsg": None,
            "output": None,
            "result": sa.null(),
        }

        def work(connection: Connection) -> list[Dispatch]:
            made: list[Dispatch] = []
            for old in {*positions.values()}:
                chosen = [position for position, state in positions.items() if state == old]
                rows = transition(
                    connection,
                    old,
                    State.INPROGRESS,
                    tasks.c.plan_id == plan_id,
                    tasks.c.position.in_(chosen),
                    _led(plan_id, epoch),
                    wanted,
                    values=fresh,
                    returning=_SENT,
                )
                made += [_dispatch_of(row) for row in rows]
            return made

        return self._database.write(work)

    def unclaimed(self, plan_id: int, attempts: Mapping[int, int]) -> list[Dispatch]:
        """Those of these attempts (position to attempt) that wait to be claimed."""
        query = sa.select(tasks.c.position, tasks.c.attempt, *_SENT).where(
            tasks.c.plan_id == plan_id,
            tasks.c.position.in_(list(attempts)),
            tasks.c.status == State.INPROGRESS,
            _UNCLAIMED,
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [_dispatch_of(row) for row in rows if attempts[row.position] == row.attempt]

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

        :param lost_limit: with so many lost attempts the task ends in ERROR, else it is PENDING again
        :return: the new state, or None when nothing was changed
        """
        conditions = (
            tasks.c.plan_id == beat.plan_id,
            tasks.c.position == beat.position,
            tasks.c.attempt == beat.attempt,
            tasks.c.worker == beat.worker,
            tasks.c.beat == beat.beat,
            _led(beat.plan_id, beat.epoch),
        )
        message = f"attempt {beat.attempt} was lost with its worker {beat.worker}"
        lost = {"losses": tasks.c.losses + 1, "worker": None, "end_time": db_now()}

        def work(connection: Connection) -> State | None:
            for new, condition, values in (
                (State.ERROR, tasks.c.losses + 1 >= lost_limit, {**lost, "errmsg": message}),
                (State.PENDING, tasks.c.losses + 1 < lost_limit, lost),
            ):
                if transition(
                    connection, State.INPROGRESS, new, *conditions, condition, values=values, message=message
                ):
                    return new
            return None

        return self._database.write(work)

    def expire(self, plan_id: int, position: int, attempt: int, errmsg: str) -> bool:
        """End an attempt that has had no result in time.

        One that nobody claimed ends at once.  For a claimed one the wish is
        recorded; its worker reads it with the next heartbeat and settles it
        when the task is dead.

        :return: whether it ended at once
        """
        this = (
            tasks.c.plan_id == plan_id,
            tasks.c.position == position,
            tasks.c.attempt == attempt,
        )

        def work(connection: Connection) -> bool:
            for new, condition in (
                (State.ERROR_RETRY, tasks.c.failures < tasks.c.retry),
                (State.ERROR, tasks.c.failures >= tasks.c.retry),
            ):
                if transition(
                    connection,
                    State.INPROGRESS,
                    new,
                    *this,
                    _UNCLAIMED,
                    condition,
                    values={"failures": tasks.c.failures + 1, "errmsg": errmsg, "end_time": db_now()},
                    message=errmsg,
                ):
                    return True
            connection.execute(
                sa.update(tasks).where(*this, tasks.c.status == State.INPROGRESS).values(kill=TIMED_OUT)
            )
            return False

        return self._database.write(work)

    def refuse(self, plan_uid: str, name: str, attempt: int, errmsg: str) -> bool:
        """End in ERROR an attempt that cannot be sent to anyone; whether it was still waiting to be."""
        plan = sa.select(plans.c.id).where(plans.c.uid == plan_uid).scalar_subquery()

        def work(connection: Connection) -> bool:
            return bool(
                transition(
                    connection,
                    State.INPROGRESS,
                    State.ERROR,
                    tasks.c.plan_id == plan,
                    tasks.c.name == name,
                    tasks.c.attempt == attempt,
                    _UNCLAIMED,
                    values={"errmsg": errmsg, "end_time": db_now(), "failures": tasks.c.failures + 1},
                    message=errmsg,
                )
            )

        return self._database.write(work)

    def hand_back_unclaimed(self, plan_id: int, epoch: int) -> int:
        """Return the attempts that nobody claimed to PENDING; the number of them."""

        def work(connection: Connection) -> int:
            return len(
                transition(
                    connection,
                    State.INPROGRESS,
                    State.PENDING,
                    tasks.c.plan_id == plan_id,
                    _UNCLAIMED,
                    _led(plan_id, epoch),
                    message="handed back before it was claimed",
                )
            )

        return self._database.write(work)

    # -- the tasks side ---------------------------------------------------------

    def claim(self, plan_uid: str, name: str, attempt: int) -> Claim | None:
        """Take an attempt for this process, once, and only if its plan still wants it.

        :return: None when it was claimed before, is not the current one, or is not wanted
        """
        plan = sa.select(plans.c.id).where(plans.c.uid == plan_uid, plans.c.wanted.is_(True))
        statement = (
            sa.update(tasks)
            .where(
                tasks.c.plan_id == plan.scalar_subquery(),
                tasks.c.name == name,
                tasks.c.attempt == attempt,
                tasks.c.status == State.INPROGRESS,
                _UNCLAIMED,
            )
            .values(worker=instance(), beat=1, start_time=db_now())
            .returning(
                tasks.c.id,
                tasks.c.plan_id,
                tasks.c.position,
                tasks.c.attempt,
                tasks.c.retry,
                tasks.c.failures,
            )
        )
        row = self._database.write(lambda connection: connection.execute(statement).one_or_none())
        return Claim(*row) if row else None

    def settle(
        self,
        claim: Claim,
        new: State,
        *,
        errmsg: str | None = None,
        output: str | None = None,
        result: Any = None,
    ) -> bool:
        """End an attempt that this process holds, with its outcome.

        :return: False if it does not hold it any more: somebody else ended it first
        """
        failed = new in (State.ERROR, State.ERROR_RETRY)

        def work(connection: Connection) -> bool:
            return bool(
                transition(
                    connection,
                    State.INPROGRESS,
                    new,
                    tasks.c.id == claim.id,
                    tasks.c.attempt == claim.attempt,
                    tasks.c.worker == instance(),
                    values={
                        "end_time": db_now(),
                        "errmsg": errmsg,
                        "output": output,
                        "result": sa.null() if result is None else result,
                        "failures": tasks.c.failures + (1 if failed else 0),
                        "worker": None if new == State.PENDING else tasks.c.worker,
                    },
                    message=errmsg,
                )
            )

        return self._database.write(work)

    def beat(self, claims: Iterable[Claim], *, patience: float) -> dict[int, tuple[int, str | None]]:
        """Keep the attempts that this process holds alive, all in one statement.

        :param patience: seconds to try for
        :return: task id to its attempt and the reason why it is to be killed (or None); what is missing is
            not held any more
        """
        ids = [claim.id for claim in claims]
        statement = (
            sa.update(tasks)
            .where(
                tasks.c.id.in_(ids),
                tasks.c.worker == instance(),
                tasks.c.status == State.INPROGRESS,
            )
            .values(beat=tasks.c.beat + 1)
            .returning(tasks.c.id, tasks.c.attempt, tasks.c.kill)
        )
        rows: Sequence[Any] = self._database.write(
            lambda connection: connection.execute(statement).all(), patience=patience
        )
        return {row.id: (row.attempt, row.kill) for row in rows}
