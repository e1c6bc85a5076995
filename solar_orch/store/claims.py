"""Claims: attempts that a tasks worker holds, from the claim to the outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from solar_orch.plan.model import OnLost
from solar_orch.plan.verdict import Verdict, after_interruption, after_loss, with_wish
from solar_orch.states import State
from solar_orch.store.database import Database, db_now
from solar_orch.store.instance import instance
from solar_orch.store.schema import plans, tasks
from solar_orch.store.transitions import JUDGED, end_attempt


@dataclass(frozen=True, slots=True)
class Claim:
    """An attempt that this process holds."""

    id: int
    plan_id: int
    position: int
    attempt: int
    retry: int
    failures: int
    #: The instances whose attempts of this task were lost.
    lost_workers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """How the task of a claim stands after an attempt to end it."""

    #: Whether the attempt was ended by this, and not by somebody else before.
    counts: bool
    status: State | None
    #: The task's latest attempt; None if the task is gone.
    attempt: int | None


_CLAIM = (
    tasks.c.id,
    tasks.c.plan_id,
    tasks.c.position,
    tasks.c.attempt,
    tasks.c.retry,
    tasks.c.failures,
    tasks.c.lost_workers,
)


class Claims:
    """All methods block on the database and raise what ``Database`` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
                tasks.c.worker.is_(None),
            )
            .values(worker=instance(), beat=1, start_time=db_now())
            .returning(*_CLAIM)
        )
        row = self._database.write(lambda connection: connection.execute(statement).one_or_none(), "claim")
        return _claim_of(row) if row is not None else None

    def settle(
        self,
        claim: Claim,
        verdict: Verdict,
        *,
        output: str | None = None,
        result: Any = None,
    ) -> Standing:
        """End an attempt that this process holds, with its outcome.

        One that was to be killed, and failed by itself, is not tried again.
        """

        def work(connection: Connection) -> Standing:
            return _ended(connection, claim, lambda row: verdict, None, output=output, result=result)

        return self._database.write(work, "settle")

    def hand_back(self, claim: Claim, why: str, *, output: str | None = None) -> Standing:
        """End an attempt that this process holds and has interrupted, by no fault of the task's.

        It is to be run again, unless the task says ``on_lost: error``, or was
        to be killed anyway: then that is its outcome.

        :param why: for the event, and the error if there is one
        """
        what = f"attempt {claim.attempt} was interrupted: {why}"

        def work(connection: Connection) -> Standing:
            return _ended(
                connection,
                claim,
                lambda row: after_interruption(what, OnLost(row.on_lost)),
                why,
                output=output,
            )

        return self._database.write(work, "hand_back")

    def give_back(self, claim: Claim, why: str) -> Standing:
        """End an attempt that this process holds and has not run; it is made again."""

        def work(connection: Connection) -> Standing:
            return _ended(connection, claim, lambda row: Verdict(State.PENDING), why)

        return self._database.write(work, "hand_back")

    def give_up(self, claim: Claim, why: str, lost_limit: int) -> Standing:
        """Give back an attempt that cannot be run here for now; counts as one that was lost."""

        def work(connection: Connection) -> Standing:
            return _ended(
                connection,
                claim,
                lambda row: after_loss(why, OnLost.RERUN, row.losses + 1, lost_limit),
                why,
                losses=tasks.c.losses + 1,
            )

        return self._database.write(work, "hand_back")

    def disclaim(self, plan_uid: str, name: str, attempt: int) -> bool:
        """Give back an attempt that this process has not run, if it has claimed it at all."""
        plan = sa.select(plans.c.id).where(plans.c.uid == plan_uid).scalar_subquery()
        query = sa.select(*_CLAIM).where(
            tasks.c.plan_id == plan,
            tasks.c.name == name,
            tasks.c.attempt == attempt,
            tasks.c.worker == instance(),
        )

        def work(connection: Connection) -> bool:
            row = connection.execute(query).one_or_none()
            if row is None:
                return False
            claim = _claim_of(row)
            return _ended(
                connection, claim, lambda row: Verdict(State.PENDING), "claimed, but not run"
            ).counts

        return self._database.write(work, "hand_back", patience=1.0)

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
            lambda connection: connection.execute(statement).all(), "beat", patience=patience
        )
        return {row.id: (row.attempt, row.kill) for row in rows}


def _claim_of(row: Any) -> Claim:
    return Claim(
        id=row.id,
        plan_id=row.plan_id,
        position=row.position,
        attempt=row.attempt,
        retry=row.retry,
        failures=row.failures,
        lost_workers=tuple(row.lost_workers.split()),
    )


def _ended(
    connection: Connection,
    claim: Claim,
    judge: Callable[[Any], Verdict],
    why: str | None,
    *,
    output: str | None = None,
    result: Any = None,
    **values: Any,
) -> Standing:
    """End the attempt of a claim, if it is still held.

    :param judge: from the task's row to what becomes of it, but for a wish to kill it
    :param why: for the event, where the verdict has no error
    """
    row = connection.execute(sa.select(*JUDGED).where(tasks.c.id == claim.id)).one_or_none()
    if row is None:
        return Standing(False, None, None)
    verdict = with_wish(row.kill, row.failures, row.retry, row.timeout, judge(row))
    ended = end_attempt(
        connection,
        verdict,
        tasks.c.id == claim.id,
        tasks.c.attempt == claim.attempt,
        tasks.c.worker == instance(),
        message=verdict.errmsg or why,
        output=output,
        result=sa.null() if result is None else result,
        worker=None if verdict.state == State.PENDING else tasks.c.worker,
        **values,
    )
    return Standing(ended, verdict.state if ended else State(row.status), row.attempt)
