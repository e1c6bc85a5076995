"""The only place where the state of a task is changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from solar_orch import states
from solar_orch.plan.verdict import Verdict
from solar_orch.states import State
from solar_orch.store.database import db_now
from solar_orch.store.instance import instance
from solar_orch.store.schema import events, tasks


def transition(
    connection: Connection,
    old: State,
    new: State,
    *conditions: sa.ColumnElement[bool],
    values: dict[str, Any] | None = None,
    message: str | None = None,
    returning: Sequence[sa.ColumnElement[Any]] = (),
) -> Sequence[Any]:
    """Move all tasks in state `old` that meet the conditions to `new`, and record an event for each.

    :param values: further columns to set
    :param message: for the event
    :param returning: columns wanted besides ``plan_id``, ``position`` and ``attempt``
    :return: a row for each task that was moved; the others were in another state or did not
        meet the conditions
    :raises TransitionError: if the table of transitions does not allow the move
    """
    states.check(old, new)
    statement = (
        sa.update(tasks)
        .where(tasks.c.status == old, *conditions)
        .values(status=new, **(values or {}))
        .returning(tasks.c.plan_id, tasks.c.position, tasks.c.attempt, *returning)
    )
    moved = connection.execute(statement).all()
    if moved:
        connection.execute(
            sa.insert(events).values(at=db_now()),
            [
                {
                    "plan_id": row.plan_id,
                    "position": row.position,
                    "attempt": row.attempt,
                    "old": old,
                    "new": new,
                    "by": instance(),
                    "message": message,
                }
                for row in moved
            ],
        )
    return moved


def move(
    connection: Connection,
    olds: Collection[State],
    new: State,
    *conditions: sa.ColumnElement[bool],
    by: str | None = None,
    values: Mapping[str, Any] | None = None,
    message: str | None = None,
) -> int:
    """As :func:`transition`, from several states, in two statements however many tasks there are.

    :param conditions: must not depend on what `values` sets
    :param by: who makes it, for the event; this process when None
    :return: the number of tasks that were moved
    :raises TransitionError: if the table of transitions does not allow one of the moves
    """
    for old in olds:
        states.check(old, new)
    met = (tasks.c.status.in_(sorted(olds)), *conditions)
    noted = (
        sa.select(
            tasks.c.plan_id,
            tasks.c.position,
            tasks.c.attempt,
            tasks.c.status,
            sa.literal(str(new)),
            db_now(),
            sa.literal(by or instance()),
            sa.literal(message, sa.Text),
        )
        .where(*met)
        .order_by(tasks.c.plan_id, tasks.c.position)
    )
    columns = ("plan_id", "position", "attempt", "old", "new", "at", "by", "message")
    # The events first: they tell of the states from which the tasks come.
    moved = connection.execute(sa.insert(events).from_select(columns, noted)).rowcount
    if moved:
        connection.execute(sa.update(tasks).where(*met).values(status=new, **(values or {})))
    return moved


#: What is to be known of a task in order to judge what becomes of it after an attempt.
JUDGED = (
    tasks.c.status,
    tasks.c.attempt,
    tasks.c.kill,
    tasks.c.failures,
    tasks.c.retry,
    tasks.c.timeout,
    tasks.c.losses,
    tasks.c.on_lost,
)


def end_attempt(
    connection: Connection,
    verdict: Verdict,
    *conditions: sa.ColumnElement[bool],
    message: str | None,
    **values: Any,
) -> bool:
    """End an attempt in progress as the verdict says.

    :param message: for the event
    :param values: further columns to set
    :return: False if there was none that met the conditions
    """
    moved = transition(
        connection,
        State.INPROGRESS,
        verdict.state,
        *conditions,
        values={
            "errmsg": verdict.errmsg,
            "failures": tasks.c.failures + int(verdict.failed),
            "end_time": db_now(),
            **values,
        },
        message=message,
    )
    return bool(moved)
