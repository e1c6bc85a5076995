"""Claims: attempts that a tasks worker holds, from the claim to the outcome."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from solar_orch.plan.model import OnLost
from solar_orch.plan.verdict import Verdict, after_interruption, after_loss, with_wish
from solar_orch.states import State
from solar_orch.store import raw
from solar_orch.store.bulk import Ended, Judged, end, judged
from solar_orch.store.database import Database
from solar_orch.store.instance import instance
from solar_orch.store.raw import NOW
from solar_orch.store.schema import plans, tasks


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


class _Ending(NamedTuple):
    """An attempt of this process that is to end."""

    id: int
    attempt: int
    #: From the task's row to what becomes of it, but for a wish to kill it.
    judge: Callable[[Judged], Verdict]
    #: For the event, where the verdict has no error.
    why: str | None
    output: str | None = None
    #: As JSON.
    result: str | None = None
    lost: bool = False


class Claims:
    """All methods block on the database and raise what ``Database`` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, plan_uid: str, name: str, attempt: int, plan_id: int | None = None) -> Claim | None:
        """Take an attempt for this process, once, and only if its plan still wants it.

        :param plan_id: of the plan, of which there may be another one with that uid by now; None for any
        :return: None when it was claimed before, is not the current one, or is not wanted
        """
        return self._database.write_many(_claim_all, (plan_uid, name, attempt, plan_id), "claim")

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
        kept = None if result is None else json.dumps(result)
        ending = _Ending(claim.id, claim.attempt, lambda row: verdict, None, output, kept)
        return self._database.write_many(_end_all, ending, "settle")

    def hand_back(self, claim: Claim, why: str, *, output: str | None = None) -> Standing:
        """End an attempt that this process holds and has interrupted, by no fault of the task's.

        It is to be run again, unless the task says ``on_lost: error``, or was
        to be killed anyway: then that is its outcome.

        :param why: for the event, and the error if there is one
        """
        what = f"attempt {claim.attempt} was interrupted: {why}"

        def judge(row: Judged) -> Verdict:
            return after_interruption(what, OnLost(row.on_lost))

        ending = _Ending(claim.id, claim.attempt, judge, why, output)
        return self._database.write_many(_end_all, ending, "hand_back")

    def give_back(self, claim: Claim, why: str) -> Standing:
        """End an attempt that this process holds and has not run; it is made again."""
        ending = _Ending(claim.id, claim.attempt, _pending, why)
        return self._database.write_many(_end_all, ending, "hand_back")

    def give_up(self, claim: Claim, why: str, lost_limit: int) -> Standing:
        """Give back an attempt that cannot be run here for now; counts as one that was lost."""

        def judge(row: Judged) -> Verdict:
            return after_loss(why, OnLost.RERUN, row.losses + 1, lost_limit)

        ending = _Ending(claim.id, claim.attempt, judge, why, lost=True)
        return self._database.write_many(_end_all, ending, "hand_back")

    def disclaim(self, plan_uid: str, name: str, attempt: int) -> bool:
        """Give back an attempt that this process has not run, if it has claimed it at all."""
        plan = sa.select(plans.c.id).where(plans.c.uid == plan_uid).scalar_subquery()
        query = sa.select(tasks.c.id).where(
            tasks.c.plan_id == plan,
            tasks.c.name == name,
            tasks.c.attempt == attempt,
            tasks.c.worker == instance(),
        )

        def work(connection: Connection) -> bool:
            task = connection.execute(query).scalar_one_or_none()
            if task is None:
                return False
            return _end_all(connection, [_Ending(task, attempt, _pending, "claimed, but not run")])[0].counts

        return self._database.write(work, "hand_back", patience=1.0)

    def show_output(self, plan_uid: str, name: str, attempt: int, output: str) -> bool:
        """Write down what an attempt that this process holds has written so far, for others to see.

        :return: whether this process holds it
        """
        plan = sa.select(plans.c.id).where(plans.c.uid == plan_uid).scalar_subquery()
        statement = (
            sa.update(tasks)
            .where(
                tasks.c.plan_id == plan,
                tasks.c.name == name,
                tasks.c.attempt == attempt,
                tasks.c.worker == instance(),
                tasks.c.status == State.INPROGRESS,
            )
            .values(output=output)
            .returning(tasks.c.id)
        )

        def work(connection: Connection) -> bool:
            return connection.execute(statement).first() is not None

        return self._database.write(work, "show_output", patience=1.0)

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


def _pending(_row: Judged) -> Verdict:
    return Verdict(State.PENDING)


_CLAIMABLE = f"""
    SELECT json_group_array(json_array(
        item.key, tasks.id, tasks.plan_id, tasks.position, tasks.attempt, tasks.retry, tasks.failures,
        tasks.lost_workers))
    FROM json_each(?) AS item
    CROSS JOIN plans ON plans.uid = item.value ->> 0 AND plans.wanted
    CROSS JOIN tasks ON tasks.plan_id = plans.id AND tasks.name = item.value ->> 1
    WHERE tasks.attempt = item.value ->> 2 AND tasks.status = '{State.INPROGRESS}' AND tasks.worker IS NULL
    AND plans.id = coalesce(item.value ->> 3, plans.id)
"""
_CLAIM = f"""
    UPDATE tasks SET worker = ?, beat = 1, start_time = {NOW}
    WHERE id IN (SELECT value FROM json_each(?))
"""


def _claim_all(
    connection: Connection, attempts: Sequence[tuple[str, str, int, int | None]]
) -> list[Claim | None]:
    """Take those of these attempts (uid of the plan, name of the task, number, id of the plan) to be had."""
    found: dict[int, tuple[int, Claim]] = {}
    for key, id_, plan_id, position, attempt, retry, failures, lost in raw.rows(
        connection, _CLAIMABLE, (raw.array(attempts),)
    ):
        # One that is asked for twice goes to who asked first.
        if id_ not in found or key < found[id_][0]:
            found[id_] = key, Claim(id_, plan_id, position, attempt, retry, failures, tuple(lost.split()))
    if found:
        raw.execute(connection, _CLAIM, (instance(), raw.array(found)))
    taken: list[Claim | None] = [None] * len(attempts)
    for key, claim in found.values():
        taken[key] = claim
    return taken


def _end_all(connection: Connection, endings: Sequence[_Ending]) -> list[Standing]:
    """End those of these attempts that this process still holds."""
    rows = judged(connection, [ending.id for ending in endings])
    mine = instance()
    standings: list[Standing] = []
    ended: list[Ended] = []
    for ending in endings:
        row = rows.get(ending.id)
        if row is None:
            standings.append(Standing(False, None, None))
            continue
        if not (row.status == State.INPROGRESS and row.attempt == ending.attempt and row.worker == mine):
            standings.append(Standing(False, State(row.status), row.attempt))
            continue
        verdict = with_wish(row.kill, row.failures, row.retry, row.timeout, ending.judge(row))
        ended.append(_ended(row, verdict, ending))
        standings.append(Standing(True, verdict.state, row.attempt))
        # Whoever tells of the same attempt after this comes too late.
        rows[ending.id] = row._replace(status=verdict.state)
    end(connection, ended)
    return standings


def _ended(row: Judged, verdict: Verdict, ending: _Ending) -> Ended:
    return Ended(
        row.id,
        row.plan_id,
        row.position,
        row.attempt,
        verdict.state,
        errmsg=verdict.errmsg,
        failed=verdict.failed,
        lost=ending.lost,
        output=ending.output,
        result=ending.result,
        message=verdict.errmsg or ending.why,
    )
