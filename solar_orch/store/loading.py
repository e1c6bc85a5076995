"""Plans loaded for a leader, or whoever else wants to know what can still run."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from sys import intern
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from solar_orch.plan.model import FAULT_TOLERANCE, OnError
from solar_orch.states import State
from solar_orch.store import raw
from solar_orch.store.raw import NOW

#: Tasks that are read in one step.
CHUNK = 2000


class TaskState(NamedTuple):
    """What a leader needs of a task to go on with a plan."""

    position: int
    name: str
    status: State
    attempt: int
    claimed: bool
    #: None: the length of the longest path below it.
    weight: float | None
    target: str | None
    limited_type: str
    tolerant: bool
    ignored: bool
    #: Whether a condition says if it runs.
    conditional: bool
    type_limit: int | None
    timeout: float | None
    retry_delay: float
    retry_delay_max: float | None
    failures: int
    #: Seconds since the attempt in progress was dispatched, by the database's clock; else None.
    dispatched_for: float | None
    #: Seconds since the last attempt ended, by the database's clock; else None.
    ended_for: float | None


@dataclass(frozen=True, slots=True)
class Graph:
    """The tasks of a plan, and which wait for which."""

    tasks: list[TaskState]
    #: Positions: the task at the same place in the one waits for that in the other.
    children: array[int]
    parents: array[int]

    @property
    def edges(self) -> Iterator[tuple[int, int]]:
        """(child, parent) positions."""
        return zip(self.children, self.parents, strict=True)


_TASKS = f"""
    SELECT json_group_array(json_array(
        position, name, status, attempt, worker IS NOT NULL, weight, target, coalesce(resource_type, type),
        type = '{FAULT_TOLERANCE}', on_error = '{OnError.IGNORE}', condition IS NOT NULL,
        type_limit, timeout, retry_delay, retry_delay_max, failures, {NOW} - dispatched_at, {NOW} - end_time))
    FROM (SELECT * FROM tasks WHERE plan_id = ? AND position >= ? AND position < ? ORDER BY position)
"""
_EDGES = """
    SELECT json_group_array(child), json_group_array(parent)
    FROM edges WHERE plan_id = ? AND child >= ? AND child < ?
"""

_BOOLEANS = tuple(TaskState._fields.index(name) for name in ("claimed", "tolerant", "ignored", "conditional"))

_STATES = {str(state): state for state in State}


def load(connection: Connection, plan_id: int, pause: Callable[[], object]) -> Graph:
    """Read a whole plan.

    :param pause: is called between steps, so that others may run meanwhile
    """
    tasks: list[TaskState] = []
    children, parents = array("q"), array("q")
    begun = 0
    while begun == len(tasks):
        bounds = (plan_id, begun, begun + CHUNK)
        tasks.extend(map(_task, raw.rows(connection, _TASKS, bounds)))
        for positions, found in zip(
            (children, parents), raw.execute(connection, _EDGES, bounds).fetchone(), strict=True
        ):
            positions.extend(json.loads(found))
        begun += CHUNK
        pause()
    return Graph(tasks, children, parents)


def _task(row: list[Any]) -> TaskState:
    row[2] = _STATES[row[2]]
    for place in _BOOLEANS:
        row[place] = bool(row[place])
    # Of most there are few different ones.
    row[7] = intern(row[7])
    return TaskState._make(row)
