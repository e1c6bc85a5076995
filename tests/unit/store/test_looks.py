"""What is looked at while plans run, and what the looking writes."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from solar_orch.errors import UnknownItem, UnknownTask
from solar_orch.plan.model import OnError, Plan, Task
from solar_orch.plan.verdict import Verdict
from solar_orch.states import PlanStatus, State
from solar_orch.store import Store
from solar_orch.store.instance import instance
from solar_orch.store.plans import PlanRow
from solar_orch.store.schema import events
from solar_orch.store.schema import tasks as task_table

ERROR = Verdict(State.ERROR, "no luck", failed=True)


@pytest.fixture
def plan(store: Store) -> PlanRow:
    tasks = [
        Task("web1.install", "cmd"),
        Task("web2.install", "noop", on_error=OnError.IGNORE),
        Task("db", "noop"),
    ]
    uid = store.plans.create(Plan("p", tasks), wanted=True)
    return store.plans.get(uid)


def lead(store: Store) -> int:
    epoch = store.leases.acquire(store.leases.open()[0])
    assert epoch is not None
    return epoch


def test_output_is_shown_of_an_attempt_that_is_held_and_of_no_other(store: Store, plan: PlanRow):
    epoch = lead(store)

    def shown(attempt: int, text: str) -> tuple[bool, str | None]:
        told = store.claims.show_output(plan.uid, "web1.install", attempt, text)
        return told, store.looks.task(plan, "web1.install").output

    assert shown(1, "before it is begun") == (False, None)
    store.attempts.dispatch(plan.id, epoch, {0: State.PENDING})
    assert shown(1, "before it is claimed") == (False, None)
    claim = store.claims.claim(plan.uid, "web1.install", 1)
    assert claim is not None
    assert shown(1, "so far") == (True, "so far")
    assert shown(2, "of another attempt") == (False, "so far")
    assert not store.claims.show_output("p:nope", "web1.install", 1, "of another plan")
    look = store.looks.task(plan, "web1.install")
    assert (look.status, look.attempt, look.worker) == (State.INPROGRESS, 1, instance())
    assert store.looks.loads() == {instance(): 1}
    store.claims.settle(claim, Verdict(State.SUCCESS), output="all of it")
    assert shown(1, "late") == (False, "all of it")
    assert store.looks.loads() == {}


def test_output_of_another_process_is_not_touched(
    store: Store, plan: PlanRow, monkeypatch: pytest.MonkeyPatch
):
    store.attempts.dispatch(plan.id, lead(store), {0: State.PENDING})
    store.claims.claim(plan.uid, "web1.install", 1)
    monkeypatch.setattr("solar_orch.store.claims.instance", lambda: "another")
    assert not store.claims.show_output(plan.uid, "web1.install", 1, "mine")
    assert store.looks.task(plan, "web1.install").output is None


def test_a_task_that_is_unknown_is_like_others(store: Store, plan: PlanRow):
    with pytest.raises(UnknownTask) as caught:
        store.looks.task(plan, "web1.instal")
    assert caught.value.similar == ["web1.install", "web2.install"]
    assert str(caught.value) == (
        f"plan {plan.uid} has no task web1.instal; did you mean web1.install or web2.install?"
    )
    with pytest.raises(UnknownTask) as caught:
        store.looks.task(plan, "x")
    assert caught.value.similar == []


def test_failures_that_are_ignored_fail_no_plan(store: Store, plan: PlanRow):
    epoch = lead(store)
    assert (store.looks.failed(plan.id, 9), store.looks.has_failed(plan.id)) == ([], False)
    for position, name in ((1, "web2.install"), (0, "web1.install")):
        store.attempts.dispatch(plan.id, epoch, {position: State.PENDING})
        claim = store.claims.claim(plan.uid, name, 1)
        assert claim is not None
        store.claims.settle(claim, ERROR)
        assert store.looks.has_failed(plan.id) is (position == 0)
    found = [(one.name, one.errmsg, one.ignored) for one in store.looks.failed(plan.id, 9)]
    assert found == [("web2.install", "no luck", True), ("web1.install", "no luck", False)]
    assert [one.name for one in store.looks.failed(plan.id, 1)] == ["web1.install"]
    young = store.looks.ages_of_ends(plan.id, 60, 9)
    assert len(young) == 2
    assert young == sorted(young, reverse=True)
    assert store.looks.ages_of_ends(plan.id, 60, 1) == [pytest.approx(young[1], abs=60)]
    store.database.write(
        lambda connection: connection.execute(sa.update(events).values(at=events.c.at - 100))
    )
    assert store.looks.ages_of_ends(plan.id, 60, 9) == []


def test_names_begin_as_they_are_asked_for(store: Store, plan: PlanRow):
    other = store.plans.create(Plan("p", [Task("a_b", "noop"), Task("axb", "noop")]))
    assert store.looks.uids("p:", 9) == [other, plan.uid]
    assert store.looks.uids("", 1) == [other]
    assert store.looks.uids("%", 9) == []
    assert store.looks.names(plan.id, "web", 9) == ["web1.install", "web2.install"]
    assert store.looks.names(plan.id, "", 2) == ["web1.install", "web2.install"]
    assert store.looks.names(store.plans.get(other).id, "a_", 9) == ["a_b"]


def test_events_are_read_a_part_at_a_time(store: Store, plan: PlanRow):
    epoch = lead(store)
    for position, name in ((0, "web1.install"), (2, "db")):
        store.attempts.dispatch(plan.id, epoch, {position: State.PENDING})
        claim = store.claims.claim(plan.uid, name, 1)
        assert claim is not None
        store.claims.settle(claim, ERROR)
    whole = list(store.events.stream(plan.id))
    assert [(event.task, event.old, event.new, event.message) for event in whole] == [
        ("web1.install", State.PENDING, State.INPROGRESS, None),
        ("web1.install", State.INPROGRESS, State.ERROR, "no luck"),
        ("db", State.PENDING, State.INPROGRESS, None),
        ("db", State.INPROGRESS, State.ERROR, "no luck"),
    ]
    for limit in (1, 2, 3, 4, 5):
        assert list(store.events.stream(plan.id, limit=limit)) == whole
    assert list(store.events.stream(plan.id, position=2)) == whole[2:]
    assert list(store.events.stream(plan.id, after=whole[0].id, limit=1)) == whole[1:]
    assert all(event.by == instance() for event in whole)


def test_the_plans_of_which_something_has_happened(store: Store, plan: PlanRow):
    other = store.plans.get(store.plans.create(Plan("other", [Task("a", "noop")]), wanted=True))
    assert store.events.touched(0) == ([], 0)
    assert store.events.last() == 0
    epochs = {lease.plan_id: store.leases.acquire(lease) for lease in store.leases.open()}

    def dispatch(led: PlanRow, position: int) -> int:
        epoch = epochs[led.id]
        assert epoch is not None
        store.attempts.dispatch(led.id, epoch, {position: State.PENDING})
        return store.events.last()

    first, second, third = dispatch(plan, 0), dispatch(other, 0), dispatch(plan, 1)
    assert store.events.touched(0) == ([other.uid, plan.uid], third)
    assert store.events.touched(first) == ([other.uid, plan.uid], third)
    assert store.events.touched(second) == ([plan.uid], third)
    assert store.events.touched(third) == ([], third)
    # A part at a time.
    assert store.events.touched(0, limit=2) == ([plan.uid, other.uid], second)
    # What is left of a plan that was deleted counts as read.
    with store.database.engine().begin() as connection:
        connection.execute(sa.text("DELETE FROM plans WHERE id = :id"), {"id": other.id})
    assert store.events.touched(first, limit=1) == ([], second)


def test_leases_that_are_held(store: Store, plan: PlanRow):
    assert store.leases.held() == []
    epoch = lead(store)
    [held] = store.leases.held()
    assert (held.uid, held.owner) == (plan.uid, instance())
    store.leases.release(plan.id, epoch)
    assert store.leases.held() == []


def test_plans_of_a_status(store: Store, plan: PlanRow):
    other = store.plans.create(Plan("p", [Task("a", "noop")]))

    def listed(*statuses: PlanStatus) -> list[str]:
        return [row.uid for row, _ in store.plans.summaries(statuses=statuses)]

    assert listed() == [other, plan.uid]
    assert listed(PlanStatus.RUNNING) == [plan.uid]
    assert listed(PlanStatus.FAILED) == []
    assert listed(PlanStatus.RUNNING, PlanStatus.PENDING) == [other, plan.uid]


def test_what_was_made_is_not_discarded(store: Store, plan: PlanRow):
    ids = [store.log.stage(resource, "install") for resource in ("web1", "web2", "web3")]
    epoch = lead(store)
    store.attempts.dispatch(plan.id, epoch, {0: State.PENDING})
    claim = store.claims.claim(plan.uid, "web1.install", 1)
    assert claim is not None
    store.claims.settle(claim, Verdict(State.SUCCESS))
    store.log.catch_up()
    with pytest.raises(UnknownItem) as caught:
        store.log.discard([ids[1], ids[0]])
    assert caught.value.ids == [ids[0]]
    assert [item["id"] for item in store.log.staged()] == ids[1:]
    assert store.log.discard([ids[1]]) == [ids[1]]
    assert store.log.discard() == [ids[2]]
    assert [item["id"] for item in store.log.history()] == [ids[0]]


def test_the_index_of_what_is_in_progress_is_used(store: Store, plan: PlanRow):
    """Whoever looks again and again must not read all the tasks of all plans each time."""
    asked: list[str] = []
    engine = store.database.engine()
    sa.event.listen(engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    store.looks.loads()
    [query] = [text for text in asked if task_table.name in text]
    with store.database.read() as connection:
        steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").all()
    assert any("tasks_in_progress" in step.detail for step in steps)
