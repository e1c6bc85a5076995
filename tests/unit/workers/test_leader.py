"""What a leader sends, and what it does not, though its machine would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from solar_orch import config
from solar_orch.plan.model import Plan, Task
from solar_orch.plan.verdict import Verdict
from solar_orch.states import State
from solar_orch.store import Store
from solar_orch.workers.leader import Leader

Lead = Callable[..., Leader]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(config.load([], overrides={"state_dir": str(tmp_path)}))
    yield opened
    opened.close()


@pytest.fixture
def sent() -> list[tuple[Any, ...]]:
    """The calls: method, name of the task, arguments."""
    return []


@pytest.fixture
def lead(store: Store, sent: list[tuple[Any, ...]], tmp_path: Path) -> Lead:
    """Makes a leader of a plan of these tasks."""

    def send(method: str, ctxt: Any, *args: Any, **kwargs: Any) -> None:
        sent.append((method, ctxt["task_name"], *args))

    def make(*tasks: Task, **plan: Any) -> Leader:
        uid = store.plans.create(Plan("p", list(tasks), **plan), wanted=True)
        (lease,) = store.leases.open()
        epoch = store.leases.acquire(lease)
        assert epoch is not None
        conf = config.load([], overrides={"state_dir": str(tmp_path)})
        return Leader(store, conf, lease.plan_id, uid, epoch, send, lambda: True)

    return make


def state(store: Store, name: str) -> str:
    row = store.plans.task(store.plans.get("last").id, name)
    assert row is not None
    return str(row["status"])


def succeed(store: Store, leader: Leader, name: str, result: Any) -> None:
    claim = store.claims.claim(leader.uid, name, 1)
    assert claim is not None
    store.claims.settle(claim, Verdict(State.SUCCESS), result=result)


def test_a_condition_that_cannot_be_decided_is_not_forgotten_when_its_leader_dies(
    store: Store, lead: Lead, sent: list[tuple[Any, ...]]
) -> None:
    leader = lead(Task("a", "noop"), Task("b", "cmd", ["touch x"], when="${tasks.a.result} < 5", after=["a"]))
    leader.advance(0.0)
    succeed(store, leader, "a", "no number")
    # Its attempt was made, and then the process was killed.
    assert store.attempts.dispatch(leader.plan_id, leader.epoch, {1: State.PENDING})
    leader.stale = True
    leader.advance(1.0)
    assert sent == [("noop", "a")]
    assert state(store, "b") == "ERROR"


def test_nothing_is_sent_that_waits_for_what_was_made_pending_meanwhile(
    store: Store, lead: Lead, sent: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    leader = lead(Task("a", "noop"), Task("b", "echo", ["${tasks.a.result}"], after=["a"]))
    leader.advance(0.0)
    succeed(store, leader, "a", "old")
    after = store.events.after

    def steered_behind_the_look(*args: Any, **kwargs: Any) -> Any:
        found = after(*args, **kwargs)
        if found:
            monkeypatch.undo()
            store.plans.stop(leader.uid)
            store.steering.restart(leader.uid)
        return found

    monkeypatch.setattr(store.events, "after", steered_behind_the_look)
    leader.advance(1.0)
    assert [call[:2] for call in sent if call[1] == "b"] == []
    assert state(store, "b") == "PENDING"
    leader.stale = True  # as the scheduler sees by the revision
    leader.advance(2.0)
    assert [call[:2] for call in sent] == [("noop", "a"), ("noop", "a")]


def test_a_task_that_cannot_be_given_its_arguments_keeps_no_other_from_running(
    store: Store, lead: Lead, sent: list[tuple[Any, ...]]
) -> None:
    leader = lead(Task("bad", "cmd", ["echo ${x-y}"]), Task("good", "cmd", ["echo ${env.HOME}"]))
    leader.advance(0.0)
    assert [call[1] for call in sent] == ["good"]
    assert state(store, "bad") == "ERROR"


def test_a_result_that_is_nested_too_deeply_ends_the_one_that_needs_it(
    store: Store, lead: Lead, sent: list[tuple[Any, ...]]
) -> None:
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    leader = lead(
        Task("a", "noop"),
        Task("b", "echo", ["${tasks.a.result}", "${env.HOME}"], after=["a"]),
        Task("c", "echo", ["fine"], after=["a"]),
    )
    leader.advance(0.0)
    succeed(store, leader, "a", deep)
    leader.advance(1.0)
    assert sent[1:] == [("echo", "c", "fine")]
    assert state(store, "b") == "ERROR"
