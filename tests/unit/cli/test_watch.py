"""A plan that is watched in a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from solar_orch import config
from solar_orch.api.follow import Follower
from solar_orch.cli.watch import PlainWatch
from solar_orch.plan.model import Plan, Task
from solar_orch.states import State
from solar_orch.store import Store
from solar_orch.store.schema import tasks
from solar_orch.store.transitions import transition

S = State


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(config.load([], overrides={"state_dir": str(tmp_path)}))
    yield made
    made.close()


def move(store: Store, position: int, *states: State, errmsg: str | None = None) -> None:
    for old, new in zip(states, states[1:], strict=False):
        store.database.write(
            lambda connection, old=old, new=new: transition(  # type: ignore[misc]
                connection, old, new, tasks.c.position == position, values={"errmsg": errmsg}
            )
        )


def test_lines_tell_of_what_ends_and_now_and_then_how_the_plan_stands(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    uid = store.plans.create(Plan("p", [Task(name, "noop") for name in "abcd"]), wanted=True)
    move(store, 0, S.PENDING, S.INPROGRESS, S.ERROR, errmsg="before\nmore")
    now = 100.0
    watch = PlainWatch(lambda: now)
    follower = Follower(store, uid, None, watch.tells)

    def shown() -> list[str]:
        watch.show(follower, follower.look())
        return capsys.readouterr().out.splitlines()

    assert shown() == [
        "ERROR    a  before",
        "-- running: 1 of 4 tasks settled: 1 ERROR, 3 PENDING",
    ]
    assert shown() == []
    move(store, 1, S.PENDING, S.INPROGRESS, S.SUCCESS)
    assert shown() == ["SUCCESS  b"]
    now += 60
    assert shown() == ["-- running: 2 of 4 tasks settled: 1 SUCCESS, 1 ERROR, 2 PENDING"]
    now += 60
    # Nothing has changed.
    assert shown() == []
    move(store, 2, S.PENDING, S.INPROGRESS)
    assert shown() == ["-- running: 2 of 4 tasks settled: 1 SUCCESS, 1 ERROR, 1 INPROGRESS, 1 PENDING"]
