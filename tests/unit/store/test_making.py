"""The rows of a new plan: all or none of them, and as SQLAlchemy would write them."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from solar_orch.plan.model import OnLost, Plan, Task
from solar_orch.states import State
from solar_orch.store import Store
from solar_orch.store.schema import edges, plans, tasks

EVERYTHING = Task(
    "everything",
    "cmd",
    ["a", 1, 2.5, None, True, "grüße ☃ 'quoted' \"twice\"", {"deep": [[]]}],
    {"env": {"A": "b"}},
    target="web1",
    timelimit=1.5,
    timeout=3,
    retry=2,
    type_limit=4,
    resource_type="disk",
    weight=-0.5,
    status=State.NOOP,
    after=["plain", "other"],
    retry_delay=0.25,
    retry_delay_max=9,
    on_lost=OnLost.ERROR,
)


def count(store: Store, table: sa.Table) -> int:
    with store.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def large(last: Task) -> Plan:
    """More than are sent to the database at once, in layers of which each waits for the one above."""
    layers = [[f"t{layer}_{place}" for place in range(100)] for layer in range(50)]
    made = [Task(name, "noop") for name in layers[0]]
    for above, layer in zip(layers, layers[1:], strict=False):
        made += [Task(name, "noop", after=[above[i], above[i - 1]]) for i, name in enumerate(layer)]
    return Plan("large", [*made, last])


def test_a_plan_is_read_back_as_it_was_written(store: Store) -> None:
    plan = Plan("p", [Task("plain", "noop"), Task("other", "noop"), EVERYTHING], uid="p:1")
    assert store.plans.create(plan) == "p:1"
    assert store.plans.model("p:1") == plan


def test_what_a_plan_does_not_state_is_as_the_schema_says(store: Store) -> None:
    uid = store.plans.create(Plan("p", [Task("a", "noop")]))
    (row,) = store.plans.tasks(store.plans.get(uid).id)
    stated: dict[str, Any] = {name: row[name] for name in row if tasks.c[name].default is None}
    store.database.write(lambda c: c.execute(sa.delete(tasks)))
    store.database.write(lambda c: c.execute(tasks.insert().values(**stated)))
    assert store.plans.tasks(stated["plan_id"]) == [row]
    assert row["attempt"] == 0


def test_more_rows_than_are_sent_at_once(store: Store) -> None:
    plan = large(Task("last", "noop", after=["t49_99"]))
    uid = store.plans.create(plan)
    assert (count(store, tasks), count(store, edges)) == (5001, 49 * 100 * 2 + 1)
    loaded = store.plans.load(store.plans.get(uid).id)
    assert loaded is not None
    positions = {task.name: position for position, task in enumerate(plan.tasks)}
    assert [task.name for task in loaded.graph.tasks] == list(positions)
    assert set(loaded.graph.edges) == {
        (positions[task.name], positions[name]) for task in plan.tasks for name in task.after
    }


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (Task("last", "noop", [object()]), TypeError),
        (Task("t0_0", "noop"), exc.IntegrityError),
        (Task("last", "noop", after=["nobody"]), KeyError),
    ],
)
def test_an_error_in_the_last_task_leaves_nothing(store: Store, last: Task, error: type[Exception]) -> None:
    kept = store.plans.create(Plan("kept", [Task("a", "noop"), Task("b", "noop", after=["a"])]))
    with pytest.raises(error):
        store.plans.create(large(last))
    assert [row.uid for row, _ in store.plans.summaries()] == [kept]
    assert (count(store, plans), count(store, tasks), count(store, edges)) == (1, 2, 1)


def test_summaries_count_each_plan_by_itself_in_one_statement(store: Store) -> None:
    done = [Task("a", "noop", status=State.SUCCESS), Task("b", "noop", status=State.SKIPPED)]
    uids = [
        store.plans.create(Plan("p", listed))
        for listed in ([Task("a", "noop")], done, [*done, Task("c", "noop")], [])
    ]
    statements: list[str] = []
    sa.event.listen(store.database.engine(), "before_cursor_execute", lambda *a: statements.append(a[2]))
    summaries = store.plans.summaries()
    counting = [statement for statement in statements if "FROM tasks" in statement]
    assert len(counting) == 1
    assert [row.uid for row, _ in summaries] == uids[::-1]
    shown = [{str(state): n for state, n in counts.items() if n} for _, counts in summaries]
    assert shown == [
        {},
        {"SUCCESS": 1, "SKIPPED": 1, "PENDING": 1},
        {"SUCCESS": 1, "SKIPPED": 1},
        {"PENDING": 1},
    ]
    assert all(set(counts) == set(State) for _, counts in summaries)
    assert [counts for _, counts in store.plans.summaries(2)] == [counts for _, counts in summaries[:2]]
    assert [store.plans.counts(row.id) for row, _ in summaries] == [counts for _, counts in summaries]
    assert store.plans.counts(10**6) == dict.fromkeys(State, 0)


def test_what_is_in_progress_is_found_without_going_through_the_plan(store: Store) -> None:
    uid = store.plans.create(Plan("p", [Task(name, "noop") for name in "abc"]))
    plan_id = store.plans.get(uid).id
    running = sa.update(tasks).where(tasks.c.position > 0).values(status=State.INPROGRESS)
    store.database.write(lambda connection: connection.execute(running))
    asked: list[tuple[str, Any]] = []
    sa.event.listen(store.database.engine(), "before_cursor_execute", lambda *a: asked.append((a[2], a[3])))
    assert [row["name"] for row in store.plans.in_progress(plan_id)] == ["b", "c"]
    statement, values = next((text, values) for text, values in asked if "FROM tasks" in text)
    with store.database.read() as connection:
        steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    assert any("tasks_in_progress" in step[3] for step in steps), steps
