"""What happens in the instants around a claim, and to tasks that must not be made twice."""

from __future__ import annotations

import signal

import pytest
from checker import guarded
from harness import Site, plan, task, wait_until
from outcome import ended_well

LEASE = 1.0


@pytest.mark.parametrize("point", ["claim.before", "claim.after"])
def test_what_is_being_claimed_when_its_worker_is_told_to_stop_does_not_start(site: Site, point: str) -> None:
    gate = site.root / "barrier"
    worker = site.worker(faults=f"{point}=hold:{gate}")
    uid = site.want(plan(task("it", "cmd", guarded()), task("next", after=["it"])))
    wait_until((site.root / "barrier.held").exists, f"{point} to be reached")
    worker.send(signal.SIGTERM)
    worker.wait_for("received SIGTERM")
    gate.touch()
    assert worker.wait() == 0, worker.log
    assert site.look(uid).states == {"it": "PENDING", "next": "PENDING"}
    assert site.marks == []
    site.worker()
    ended, _ = ended_well(site, uid)
    assert [mark.attempt for mark in site.marks if mark.begins] == [ended.attempts["it"]]


def test_an_attempt_that_was_claimed_just_before_its_worker_was_stopped_does_not_begin_late(
    site: Site,
) -> None:
    """It had started no command yet; when it goes on, another worker is running the next attempt."""
    site.set(lease=LEASE, poll_interval=0.1, resend_interval=0.5)
    first = site.worker(faults="claim.after=stop")
    uid = site.want(plan(task("it", "cmd", guarded('until [ -e "$SITE/gate" ]; do sleep 0.05; done'))))
    first.wait_for("fault: claim.after: stop")
    second = site.worker(**site.elsewhere)
    site.wait_for_mark("it")
    first.send(signal.SIGCONT)
    first.wait_for(f"{uid}~it: cmd of attempt 1 not made")
    site.open()
    ended, _ = ended_well(site, uid)
    assert {mark.attempt for mark in site.marks} == {ended.attempts["it"]}
    assert [first.stop(), second.stop()] == [0, 0]


def test_a_lead_that_is_taken_while_leases_are_renewed_is_kept(site: Site) -> None:
    site.set(lease=LEASE, poll_interval=0.1)
    gate = site.root / "barrier"
    worker = site.worker(faults=f"renew.after=hold:{gate}")
    wait_until((site.root / "barrier.held").exists, "leases to be renewed")
    # The answer, which is on its way, does not hold this lead.
    uid = site.want(
        plan(
            task("it", "cmd", guarded('until [ -e "$SITE/gate" ]; do sleep 0.05; done')),
            task("next", after=["it"]),
        )
    )
    site.wait_for_mark("it")
    gate.touch()
    site.open()
    assert set(ended_well(site, uid)[0].states.values()) == {"SUCCESS"}
    assert "lead was lost" not in worker.log


@pytest.mark.parametrize("how", ["killed", "told to stop"])
def test_a_task_that_must_not_run_twice_ends_in_error_with_its_worker(site: Site, how: str) -> None:
    site.set(lease=LEASE, poll_interval=0.1, drain_timeout=0)
    made = plan(task("once", "cmd", guarded("sleep 60"), on_lost="error", retry=5), task("other", "noop"))
    uid = site.want(made)
    worker = site.worker()
    site.wait_for_mark("once")
    if how == "killed":
        worker.kill()
    else:
        assert worker.stop() == 0
    site.worker()
    ended, _ = ended_well(site, uid, {"once": ["ERROR"]})
    assert ended["once"]["errmsg"].endswith("it is not run again (on_lost: error)")
    assert [mark.attempt for mark in site.marks] == [1]
