"""The rows of a new plan, written in few statements.

They go to the driver as they are: SQLAlchemy's own processing of each row
takes longer than SQLite does to write it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from solar_orch.plan.model import Plan, Task
from solar_orch.plan.templates import is_template
from solar_orch.states import PlanStatus
from solar_orch.store.database import db_now
from solar_orch.store.schema import edges, plans, tasks

#: Rows that are in memory at once.
_BATCH = 2000

#: The columns in the order of what :func:`_task_row` returns.
_TASK_COLUMNS = (
    tasks.c.plan_id,
    tasks.c.position,
    tasks.c.name,
    tasks.c.type,
    tasks.c.args,
    tasks.c.kwargs,
    tasks.c.templates,
    tasks.c.condition,
    tasks.c.target,
    tasks.c.timelimit,
    tasks.c.timeout,
    tasks.c.retry,
    tasks.c.retry_delay,
    tasks.c.retry_delay_max,
    tasks.c.on_lost,
    tasks.c.on_error,
    tasks.c.type_limit,
    tasks.c.resource_type,
    tasks.c.weight,
    tasks.c.status,
)
_EDGE_COLUMNS = (edges.c.plan_id, edges.c.child, edges.c.parent)


def insert_plan(connection: Connection, uid: str, plan: Plan, *, wanted: bool) -> None:
    """Write a plan, its tasks and their edges within the transaction of `connection`."""
    made = connection.execute(
        plans.insert()
        .values(
            uid=uid,
            name=plan.name,
            env=plan.env or None,
            cwd=plan.cwd,
            created_at=db_now(),
            status=PlanStatus.RUNNING if wanted else PlanStatus.PENDING,
            wanted=wanted,
        )
        .returning(plans.c.id)
    )
    plan_id = made.scalar_one()
    _insert(connection, tasks, _TASK_COLUMNS, _task_rows(plan_id, plan.tasks))
    _insert(connection, edges, _EDGE_COLUMNS, _edge_rows(plan_id, plan.tasks))


def _insert(
    connection: Connection,
    table: sa.Table,
    columns: Sequence[sa.Column[Any]],
    rows: Iterator[tuple[Any, ...]],
) -> None:
    statement = _statement(table, columns)
    while batch := list(islice(rows, _BATCH)):
        connection.exec_driver_sql(statement, batch)


def _statement(table: sa.Table, columns: Sequence[sa.Column[Any]]) -> str:
    """An INSERT of rows of these columns; the others get the defaults that the schema states."""
    defaults = _defaults(table, columns)
    names = ", ".join(f'"{name}"' for name in [*(column.name for column in columns), *defaults])
    values = ", ".join([*("?" for _ in columns), *defaults.values()])
    return f"INSERT INTO {table.name} ({names}) VALUES ({values})"


def _defaults(table: sa.Table, given: Iterable[sa.Column[Any]]) -> Mapping[str, str]:
    names = {column.name for column in given}
    return {
        column.name: repr(column.default.arg)
        for column in table.c
        if column.name not in names and isinstance(column.default, sa.ColumnDefault)
    }


def _task_rows(plan_id: int, every: Iterable[Task]) -> Iterator[tuple[Any, ...]]:
    for position, task in enumerate(every):
        yield _task_row(plan_id, position, task)


def _task_row(plan_id: int, position: int, task: Task) -> tuple[Any, ...]:
    args = json.dumps(task.args) if task.args else "[]"
    kwargs = json.dumps(task.kwargs) if task.kwargs else "{}"
    return (
        plan_id,
        position,
        task.name,
        task.type,
        args,
        kwargs,
        is_template(args) or is_template(kwargs),
        task.when,
        task.target,
        task.timelimit,
        task.timeout,
        task.retry,
        task.retry_delay,
        task.retry_delay_max,
        # The driver would look for an adapter of each value that is no plain str.
        str(task.on_lost),
        str(task.on_error),
        task.type_limit,
        task.resource_type,
        task.weight,
        str(task.status),
    )


def _edge_rows(plan_id: int, every: Sequence[Task]) -> Iterator[tuple[int, int, int]]:
    positions = {task.name: position for position, task in enumerate(every)}
    for child, task in enumerate(every):
        # In the order of their key, so that each goes to the table's end.
        for parent in sorted([positions[name] for name in task.after]):
            yield plan_id, child, parent
