"""Leads that a scheduler has given up, though by the database they are its own."""

from __future__ import annotations

import pytest

from solar_orch import config
from solar_orch.errors import DatabaseUnavailable
from solar_orch.plan.model import Plan, Task
from solar_orch.workers.scheduler import Scheduler


@pytest.fixture
def scheduler(tmp_path):
    conf = config.load([], overrides={"state_dir": str(tmp_path)})
    made = Scheduler(conf, {"tasks": None})
    made.store.plans.create(Plan("p", [Task("a", "noop")]), wanted=True)
    yield made
    made.store.close()


def away(*args, **kwargs):
    raise DatabaseUnavailable("db", "away")


def look(scheduler):
    """Look around once; whether the database let it."""
    try:
        scheduler._look_around(0.0)
    except DatabaseUnavailable:
        return False
    return True


def test_a_lead_that_was_given_up_is_taken_up_when_the_database_is_back(scheduler, monkeypatch):
    assert look(scheduler)
    (plan_id,) = scheduler._leaders
    scheduler._lose_lead(plan_id, scheduler._leaders[plan_id])
    with monkeypatch.context() as patch:
        patch.setattr(scheduler.store.leases, "mine", away)
        assert not look(scheduler)
        assert not look(scheduler)
    assert look(scheduler)
    assert list(scheduler._leaders) == [plan_id]


def test_a_lead_of_which_the_answer_was_lost_is_taken_up(scheduler, monkeypatch):
    acquire = scheduler.store.leases.acquire

    def unanswered(lease):
        acquire(lease)
        away()

    monkeypatch.setattr(scheduler.store.leases, "acquire", unanswered)
    assert not look(scheduler)
    assert not scheduler._leaders
    monkeypatch.undo()
    assert look(scheduler)
    assert len(scheduler._leaders) == 1


def test_a_lead_that_is_another_s_by_now_is_not_taken_up(scheduler):
    assert look(scheduler)
    ((plan_id, leader),) = scheduler._leaders.items()
    scheduler.store.leases.release(plan_id, leader.epoch)
    scheduler._lose_lead(plan_id, leader)
    scheduler.store.plans.stop("last")
    assert look(scheduler)
    assert not scheduler._leaders
