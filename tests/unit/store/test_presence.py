"""Which workers are known."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from solar_orch.store import Store
from solar_orch.store.schema import workers


@pytest.mark.parametrize(("days", "known"), [(6, ["scheduler", "tasks"]), (8, ["scheduler"])])
def test_one_that_was_killed_is_forgotten_after_a_week(store: Store, days: int, known: list[str]):
    store.workers.beat("tasks", "ipc:///r/tasks.sock")
    silent = sa.update(workers).values(beat_at=workers.c.beat_at - days * 86_400)
    store.database.write(lambda connection: connection.execute(silent), "presence")
    store.workers.beat("scheduler", "ipc:///r/scheduler.sock")
    assert [row.name for row in store.workers.all()] == known
