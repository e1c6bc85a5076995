"""A follower: what it counts, what it tells of, and what it reads for that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from solar_orch import config
from solar_orch.api.follow import Follower
from solar_orch.plan.model import Plan, Task
from solar_orch.states import State
from solar_orch.store import Store
from solar_orch.store.schema import events, tasks
from solar_orch.store.transitions import transition

S = State


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(config.load([], overrides={"state_dir": str(tmp_path)}))
    yield made
    made.close()


@pytest.fixture
def uid(store: Store) -> str:
    return store.plans.create(Plan("p", [Task(name, "noop") for name in "abcde"]), wanted=True)


def move(store: Store, position: int, *states: State) -> None:
    """Take a task through these states."""
    for old, new in zip(states, states[1:], strict=False):
        moved = store.database.write(
            lambda connection, old=old, new=new: transition(  # type: ignore[misc]
                connection, old, new, tasks.c.position == position
            )
        )
        assert len(moved) == 1


def run(store: Store, position: int, end: State = S.SUCCESS) -> None:
    move(store, position, S.PENDING, S.INPROGRESS, end)


def told(follower: Follower) -> list[tuple[str, State]]:
    return [(ended.name, ended.state) for ended in follower.look()]


def counts(follower: Follower) -> dict[str, int]:
    return {str(state): number for state, number in follower.counts.items() if number}


def test_it_tells_of_each_end_once_and_counts(store: Store, uid: str) -> None:
    follower = Follower(store, uid, 0)
    assert (told(follower), counts(follower)) == ([], {"PENDING": 5})
    run(store, 1)
    run(store, 0, S.ERROR)
    move(store, 2, S.PENDING, S.INPROGRESS)
    assert told(follower) == [("b", S.SUCCESS), ("a", S.ERROR)]
    assert counts(follower) == {"SUCCESS": 1, "ERROR": 1, "INPROGRESS": 1, "PENDING": 2}
    assert [task.name for task in follower.running()] == ["c"]
    assert told(follower) == []


def test_one_that_starts_in_the_middle_counts_what_was_there_before_once(store: Store, uid: str) -> None:
    run(store, 0)
    since = store.plans.last_event(store.plans.get(uid).id)
    run(store, 1)
    move(store, 2, S.PENDING, S.INPROGRESS)
    follower = Follower(store, uid, since)
    # Events that it has to tell of, and that its counts reflect already.
    assert told(follower) == [("b", S.SUCCESS)]
    assert counts(follower) == {"SUCCESS": 2, "INPROGRESS": 1, "PENDING": 2}
    move(store, 2, S.INPROGRESS, S.SUCCESS)
    assert told(follower) == [("c", S.SUCCESS)]
    assert counts(follower) == {"SUCCESS": 3, "PENDING": 2}
    assert follower.counts == store.plans.counts(follower.plan.id)


def test_what_happens_between_its_making_and_its_first_look_is_counted(store: Store, uid: str) -> None:
    run(store, 0)
    follower = Follower(store, uid, 0)
    run(store, 1, S.ERROR)
    assert told(follower) == [("a", S.SUCCESS), ("b", S.ERROR)]
    assert counts(follower) == {"SUCCESS": 1, "ERROR": 1, "PENDING": 3}


def test_of_single_tasks_only_those_are_read_that_it_tells_of(
    store: Store, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[int] | None] = []
    outcomes = store.plans.outcomes

    def noted(uid: str, positions: list[int] | None = None, *, output: bool = True):  # type: ignore[no-untyped-def]
        read.append(positions)
        return outcomes(uid, positions, output=output)

    monkeypatch.setattr(store.plans, "outcomes", noted)
    follower = Follower(store, uid, 0, {S.ERROR})
    for position in (0, 1, 2):
        run(store, position)
    run(store, 4, S.ERROR)
    assert told(follower) == [("e", S.ERROR)]
    assert counts(follower) == {"SUCCESS": 3, "ERROR": 1, "PENDING": 1}
    run(store, 3)
    assert told(follower) == []
    assert read == [[4]]


def test_an_end_after_which_the_task_went_on_is_told_without_its_outcome(store: Store, uid: str) -> None:
    follower = Follower(store, uid, 0)
    move(store, 0, S.PENDING, S.INPROGRESS, S.ERROR_RETRY, S.INPROGRESS, S.SUCCESS)
    first, second = follower.look()
    assert (first.name, first.state, first.outcome) == ("a", S.ERROR_RETRY, None)
    assert second.outcome is not None
    assert second.outcome.status is S.SUCCESS


def failures(follower: Follower) -> list[str]:
    follower.look()
    return [outcome.name for outcome in follower.failed]


def test_it_knows_the_tasks_that_have_failed_and_have_not_been_steered_out_of_it(
    store: Store, uid: str
) -> None:
    run(store, 3, S.ERROR)
    run(store, 1, S.ERROR)
    follower = Follower(store, uid, None)
    assert sorted(outcome.name for outcome in follower.failed) == ["b", "d"]
    run(store, 2, S.ERROR)
    assert failures(follower)[-1] == "c"
    move(store, 1, S.ERROR, S.PENDING)
    assert failures(follower) == ["d", "c"]
    move(store, 2, S.ERROR, S.PENDING, S.INPROGRESS, S.ERROR)
    move(store, 3, S.ERROR, S.PENDING, S.INPROGRESS, S.SUCCESS)
    assert failures(follower) == ["c"]


def test_of_many_failures_the_latest_are_kept(
    store: Store, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("solar_orch.api.follow.FAILED_LIMIT", 2)
    follower = Follower(store, uid, 0)
    for position in (4, 1, 2):
        run(store, position, S.ERROR)
    assert failures(follower) == ["b", "c"]
    assert len(Follower(store, uid, None).failed) == 2
    assert follower.counts[S.ERROR] == 3


def test_what_has_ended_before_it_was_made_counts_for_its_estimate(store: Store) -> None:
    uid = store.plans.create(Plan("many", [Task(f"t{n}", "noop") for n in range(30)]), wanted=True)
    plan_id = store.plans.get(uid).id
    move_of(store, plan_id, 0, S.PENDING, S.INPROGRESS)
    for position in range(1, 11):
        move_of(store, plan_id, position, S.PENDING, S.INPROGRESS, S.SUCCESS)
    # One in each of the last ten seconds.
    store.database.write(
        lambda connection: connection.execute(
            sa.update(events).where(events.c.new == S.SUCCESS).values(at=events.c.at - 10 + events.c.position)
        )
    )
    follower = Follower(store, uid, None)
    left = follower.left()
    assert left is not None
    # 20 tasks are left; nine ended in nine seconds, and some more as this test took.
    assert 18 < left < 60
    move_of(store, plan_id, 0, S.INPROGRESS, S.SUCCESS)
    follower.look()
    assert follower.left() is None


def move_of(store: Store, plan_id: int, position: int, *states: State) -> None:
    for old, new in zip(states, states[1:], strict=False):
        store.database.write(
            lambda connection, old=old, new=new: transition(  # type: ignore[misc]
                connection, old, new, tasks.c.plan_id == plan_id, tasks.c.position == position
            )
        )
