"""The same transitions of many tasks at once, each set of them in a few statements.

With ``transitions`` the only place where the state of a task is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from solar_orch import states
from solar_orch.states import State
from solar_orch.store import raw
from solar_orch.store.instance import instance
from solar_orch.store.raw import NOW

_INPROGRESS = f"'{State.INPROGRESS}'"

#: Characters up to which a task's new columns go to the database together with those of others.
_SHORT = 1000


class Started(NamedTuple):
    """A task that is to begin an attempt."""

    id: int
    old: State


@dataclass(frozen=True, slots=True)
class Ended:
    """A task whose attempt is to end, with what is known of it beforehand."""

    id: int
    plan_id: int
    position: int
    attempt: int
    new: State
    errmsg: str | None = None
    failed: bool = False
    lost: bool = False
    output: str | None = None
    #: As JSON.
    result: str | None = None
    #: For the event.
    message: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether nothing is to be recorded but the end, and a short result."""
        texts = (self.errmsg, self.output, self.message)
        # SQLite's JSON ends at a NUL.
        return texts == (None, None, None) and (
            self.result is None or (len(self.result) < _SHORT and "\\u0000" not in self.result)
        )


_START = f"""
    UPDATE tasks SET status = {_INPROGRESS}, attempt = attempt + 1, worker = NULL, kill = NULL, beat = 0,
        dispatched_at = {NOW}, start_time = NULL, end_time = NULL, errmsg = NULL, output = NULL, result = NULL
    WHERE id IN (SELECT value ->> 0 FROM json_each(?))
"""
_NOTE_STARTS = f"""
    INSERT INTO events (plan_id, position, attempt, old, new, at, "by")
    SELECT tasks.plan_id, tasks.position, tasks.attempt, item.value ->> 1, {_INPROGRESS}, {NOW}, ?
    FROM json_each(?) AS item CROSS JOIN tasks ON tasks.id = item.value ->> 0
    ORDER BY item.key
"""

_END = f"""
    UPDATE tasks SET status = item.value ->> 1, result = item.value ->> 5, end_time = {NOW}, errmsg = NULL,
        failures = failures + (item.value ->> 6), losses = losses + (item.value ->> 7), output = NULL,
        worker = iif(item.value ->> 1 = '{State.PENDING}', NULL, worker)
    FROM json_each(?) AS item WHERE tasks.id = item.value ->> 0
"""
_NOTE_ENDS = f"""
    INSERT INTO events (plan_id, position, attempt, old, new, at, "by")
    SELECT value ->> 2, value ->> 3, value ->> 4, {_INPROGRESS}, value ->> 1, {NOW}, ?
    FROM json_each(?) ORDER BY key
"""

_END_ONE = f"""
    UPDATE tasks SET status = ?1, result = ?2, end_time = {NOW}, errmsg = ?3, output = ?4,
        failures = failures + ?5, losses = losses + ?6,
        worker = iif(?1 = '{State.PENDING}', NULL, worker)
    WHERE id = ?7
"""
_NOTE_END = f"""
    INSERT INTO events (plan_id, position, attempt, old, new, at, "by", message)
    VALUES (?, ?, ?, {_INPROGRESS}, ?, {NOW}, ?, ?)
"""


class Judged(NamedTuple):
    """What is to be known of a task in order to judge what becomes of it after an attempt."""

    id: int
    plan_id: int
    position: int
    status: str
    attempt: int
    worker: str | None
    kill: str | None
    failures: int
    retry: int
    timeout: float | None
    losses: int
    on_lost: str


_JUDGED = f"""
    SELECT json_group_array(json_array({", ".join(Judged._fields)}))
    FROM tasks WHERE id IN (SELECT value FROM json_each(?))
"""


def judged(connection: Connection, ids: Iterable[int]) -> dict[int, Judged]:
    """Those of these tasks that there are, by id."""
    rows = raw.rows(connection, _JUDGED, (raw.array(ids),))
    return {row[0]: Judged._make(row) for row in rows}


def start(connection: Connection, tasks: Sequence[Started]) -> None:
    """Begin a new attempt of each of these tasks, which are in the states given, in this order.

    :raises TransitionError: if the table of transitions does not allow one of the moves
    """
    for old in {task.old for task in tasks}:
        states.check(old, State.INPROGRESS)
    if tasks:
        items = raw.array(tasks)
        raw.execute(connection, _START, (items,))
        raw.execute(connection, _NOTE_STARTS, (instance(), items))


def end(connection: Connection, tasks: Sequence[Ended]) -> None:
    """End the attempts in progress of these tasks.

    :raises TransitionError: if the table of transitions does not allow one of the moves
    """
    for new in {task.new for task in tasks}:
        states.check(State.INPROGRESS, new)
    plain = [task for task in tasks if task.is_plain]
    if plain:
        items = raw.array(_values(plain))
        raw.execute(connection, _END, (items,))
        raw.execute(connection, _NOTE_ENDS, (instance(), items))
    rest = [task for task in tasks if not task.is_plain]
    if rest:
        raw.execute_many(
            connection,
            _END_ONE,
            ((t.new, t.result, t.errmsg, t.output, t.failed, t.lost, t.id) for t in rest),
        )
        raw.execute_many(
            connection,
            _NOTE_END,
            ((t.plan_id, t.position, t.attempt, t.new, instance(), t.message) for t in rest),
        )


def _values(tasks: Iterable[Ended]) -> list[Any]:
    return [
        (t.id, t.new, t.plan_id, t.position, t.attempt, t.result, int(t.failed), int(t.lost)) for t in tasks
    ]
