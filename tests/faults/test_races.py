"""Who comes first: each race is held at a barrier, and let go once the other side has arrived."""

from __future__ import annotations

from typing import Any

import pytest
from checker import guarded
from harness import Ended, Process, Site, gated, plan, task, wait_until
from outcome import ended_well

from solar_orch.extensions import make_client

#: Nothing is lost, or sent again, while somebody is held.
OPTIONS = {"lease": 15, "poll_interval": 0.1, "resend_interval": 60}


class Barriers:
    """Places at which a process waits, each named like its point, the first time that it comes there."""

    def __init__(self, site: Site, *points: str) -> None:
        self._site = site
        self.faults = "; ".join(f"{point}=hold:{site.root / point}" for point in points)

    def reached(self, point: str) -> None:
        """Wait until the process waits there."""
        held = self._site.root / f"{point}.held"
        wait_until(held.exists, lambda: f"{point} to be reached\n{self._site.processes[-1].log}")

    def go(self, point: str) -> None:
        self._site.open(point)


def race(site: Site, *points: str, **options: object) -> tuple[Process, Barriers]:
    """A worker that is held at these points."""
    site.set(**OPTIONS | options)
    barriers = Barriers(site, *points)
    return site.worker(faults=barriers.faults), barriers


def contended(command: str = ":", **parameters: Any) -> dict[str, Any]:
    """A plan of the task that is raced for, and its successor."""
    return plan(task("it", "cmd", guarded(command), **parameters), task("next", after=["it"]))


def over(site: Site, uid: str, it: str, following: str, *, attempt: int = 1, starts: int | None = 1) -> Ended:
    """The plan has ended: `it` so, with this attempt and after so many starts (None: any), and its successor so."""
    ended, _ = ended_well(site, uid, {"it": [it], "next": [following]})
    assert ended.attempts["it"] == attempt
    begun = sum(mark.begins for mark in site.marks if (mark.plan, mark.task) == (uid, "it"))
    assert starts in (None, begun)
    ends = [
        (event["attempt"], event["new"])
        for event in site.store.events.all(site.store.plans.get(uid).id)
        if (event["name"], event["old"]) == ("it", "INPROGRESS")
    ]
    assert ends[-1] == (attempt, it)
    assert len({number for number, _ in ends}) == len(ends)
    for process in site.processes:
        assert process.stop() == 0
        assert "Traceback" not in process.log
    return ended


# -- a timeout and a result ----------------------------------------------------------


def test_a_result_that_is_about_to_be_recorded_is_not_undone_by_a_timeout(site: Site) -> None:
    worker, at = race(site, "settle.before")
    uid = site.want(contended(timeout=0.5))
    at.reached("settle.before")
    worker.wait_for(f"{uid}~it: attempt 1: ExecutionTimeout: timeout of 0.5 s exceeded")
    at.go("settle.before")
    over(site, uid, "SUCCESS", "SUCCESS")


def test_a_timeout_that_comes_after_the_result_changes_nothing(site: Site) -> None:
    _, at = race(site, "expire.before")
    uid = site.want(contended(gated(), timeout=0.5))
    at.reached("expire.before")
    site.open()
    wait_until(lambda: site.look(uid)["it"]["status"] == "SUCCESS")
    at.go("expire.before")
    over(site, uid, "SUCCESS", "SUCCESS")


def test_an_attempt_that_timed_out_before_its_claim_never_starts(site: Site) -> None:
    _, at = race(site, "claim.before")
    uid = site.want(contended(timeout=0.5))
    at.reached("claim.before")
    wait_until(lambda: site.look(uid)["it"]["status"] == "ERROR")
    at.go("claim.before")
    ended = over(site, uid, "ERROR", "PENDING", starts=0)
    assert ended["it"]["errmsg"] == "ExecutionTimeout: timeout of 0.5 s exceeded"


def test_an_attempt_that_timed_out_right_after_its_claim_is_ended_by_its_worker(site: Site) -> None:
    worker, at = race(site, "claim.after")
    uid = site.want(contended("sleep 60", timeout=0.5))
    at.reached("claim.after")
    assert site.look(uid)["it"]["start_time"] is not None
    worker.wait_for(f"{uid}~it: attempt 1: ExecutionTimeout: timeout of 0.5 s exceeded")
    at.go("claim.after")
    ended = over(site, uid, "ERROR", "PENDING", starts=None)
    assert ended["it"]["errmsg"] == "ExecutionTimeout: timeout of 0.5 s exceeded"


# -- a kill and a result ---------------------------------------------------------------


def send_kill(site: Site, uid: str, reason: str) -> None:
    """As anyone would who kills a task."""
    client = make_client(site.conf, "tasks")
    try:
        client.kill({}, f"{uid}~it", 1, reason)
    finally:
        assert client.close(5.0) == 0


def test_a_result_that_is_about_to_be_recorded_is_not_undone_by_a_kill(site: Site) -> None:
    _, at = race(site, "settle.before", "kill.after")
    uid = site.want(contended())
    at.reached("settle.before")
    send_kill(site, uid, "not wanted")
    at.reached("kill.after")
    at.go("settle.before")
    wait_until(lambda: site.look(uid)["it"]["status"] == "SUCCESS")
    at.go("kill.after")
    over(site, uid, "SUCCESS", "SUCCESS")


def test_a_kill_that_comes_after_the_result_changes_nothing(site: Site) -> None:
    _, at = race(site, "kill.before")
    uid = site.want(contended(gated()))
    site.wait_for_mark("it")
    send_kill(site, uid, "not wanted")
    at.reached("kill.before")
    site.open()
    wait_until(lambda: site.look(uid)["it"]["status"] == "SUCCESS")
    at.go("kill.before")
    over(site, uid, "SUCCESS", "SUCCESS")
    assert not site.store.attempts.kill(uid, "it", 1, "too late")


def test_a_kill_that_is_recorded_first_is_the_outcome(site: Site) -> None:
    _, at = race(site, "kill.after", "settle.before")
    uid = site.want(contended(gated(), retry=3))
    site.wait_for_mark("it")
    send_kill(site, uid, "not wanted")
    at.reached("kill.after")
    at.go("kill.after")
    at.reached("settle.before")
    # Its state changes after the command is dead, not before.
    assert site.look(uid)["it"]["status"] == "INPROGRESS"
    assert not any("/gate" in command for command in site.commands())
    at.go("settle.before")
    ended = over(site, uid, "ERROR", "PENDING")
    assert ended["it"]["errmsg"] == "not wanted"


def test_an_attempt_that_was_killed_before_its_claim_never_starts(site: Site) -> None:
    _, at = race(site, "claim.before")
    uid = site.want(contended(retry=3))
    at.reached("claim.before")
    assert site.store.attempts.kill(uid, "it", 1, "not wanted")
    assert site.look(uid)["it"]["status"] == "ERROR"
    at.go("claim.before")
    ended = over(site, uid, "ERROR", "PENDING", starts=0)
    assert ended["it"]["errmsg"] == "not wanted"


# -- stopping, and what is about to start -----------------------------------------------


@pytest.mark.parametrize("point", ["dispatch.before", "dispatch.after", "send.tasks.before", "claim.before"])
def test_what_nobody_has_claimed_when_its_plan_is_stopped_or_paused_does_not_start(
    site: Site, point: str
) -> None:
    """One plan is stopped while the scheduler, or the tasks worker, is there with it; another one is paused."""
    site.set(**OPTIONS)
    site.worker(faults=f"{point}=hold:{site.root}/first@1; {point}=hold:{site.root}/second@2")
    stopped = site.want(contended())
    wait_until((site.root / "first.held").exists)
    site.store.plans.stop(stopped)
    assert set(site.look(stopped).states.values()) == {"SKIPPED"}
    site.open("first")

    paused = site.want(contended())
    wait_until((site.root / "second.held").exists)
    site.store.plans.pause(paused)
    assert set(site.look(paused).states.values()) == {"PENDING"}
    site.open("second")
    run_another(site)
    dispatched = 0 if point == "dispatch.before" else 1
    assert {site.look(uid).attempts["it"] for uid in (stopped, paused)} == {dispatched}
    assert site.marks == []

    ended_well(site, stopped, {"it": ["SKIPPED"], "next": ["SKIPPED"]})
    site.store.plans.want(paused)
    over(site, paused, "SUCCESS", "SUCCESS", attempt=dispatched + 1)
    assert not [mark for mark in site.marks if mark.plan == stopped]


@pytest.mark.parametrize("how", ["stop", "pause"])
def test_what_has_been_claimed_when_its_plan_is_stopped_runs_to_its_end(site: Site, how: str) -> None:
    _, at = race(site, "claim.after")
    uid = site.want(contended())
    at.reached("claim.after")
    getattr(site.store.plans, how)(uid)
    at.go("claim.after")
    ended = over(site, uid, "SUCCESS", "SKIPPED" if how == "stop" else "PENDING")
    assert ended.status == "stopped"


@pytest.mark.parametrize("how", ["stop", "pause"])
def test_a_plan_that_is_wanted_again_waits_for_the_result_of_what_still_runs(site: Site, how: str) -> None:
    _, at = race(site, "settle.before")
    uid = site.want(contended())
    at.reached("settle.before")
    getattr(site.store.plans, how)(uid)
    run_another(site)
    site.store.plans.want(uid)
    run_another(site)
    following = "SKIPPED" if how == "stop" else "PENDING"
    assert site.look(uid).states == {"it": "INPROGRESS", "next": following}
    at.go("settle.before")
    ended = over(site, uid, "SUCCESS", "SKIPPED" if how == "stop" else "SUCCESS")
    assert ended.status == "finished"


def run_another(site: Site) -> None:
    """Run a plan to its end: the scheduler has then seen what was done to others before."""
    assert site.run(plan(task("other"))).status == "finished"


# -- a loss and a result -----------------------------------------------------------------


def test_the_result_of_an_attempt_that_was_judged_lost_is_stale(site: Site) -> None:
    """The same worker runs the second attempt while it still has the result of the first."""
    worker, at = race(site, "settle.before", "beat.before", lease=1.5, resend_interval=0.3)
    uid = site.want(contended(f'[ "$SOLAR_ATTEMPT" = 1 ] || {{ {gated()}; }}'))
    at.reached("settle.before")
    at.reached("beat.before")
    worker.wait_for(f"{uid}~it: attempt 1 was lost with its worker")
    at.go("beat.before")
    wait_until(lambda: any(mark.attempt == 2 for mark in site.marks))
    at.go("settle.before")
    worker.wait_for(f"{uid}~it: stale result of attempt 1 dropped (SUCCESS): attempt 2 is INPROGRESS")
    assert site.look(uid)["it"]["status"] == "INPROGRESS"
    site.open()
    over(site, uid, "SUCCESS", "SUCCESS", attempt=2, starts=2)


def test_a_result_is_stale_when_another_set_of_workers_has_taken_over(site: Site) -> None:
    held = ("settle.before", "beat.before", "renew.before", "lose.before")
    first, at = race(site, *held, lease=1, resend_interval=0.3)
    uid = site.want(contended())
    for point in held:
        at.reached(point)
    second = site.worker(**site.elsewhere)
    second.wait_for(f"{uid}~it: attempt 2: SUCCESS")
    for point in reversed(held):
        at.go(point)
    first.wait_for(f"{uid}~it: stale result of attempt 1 dropped (SUCCESS): attempt 2 is SUCCESS")
    over(site, uid, "SUCCESS", "SUCCESS", attempt=2, starts=2)


def test_an_attempt_whose_result_is_recorded_first_is_not_lost(site: Site) -> None:
    worker, at = race(site, "settle.before", "beat.before", "lose.before", lease=1)
    uid = site.want(contended())
    at.reached("settle.before")
    at.reached("lose.before")
    at.go("settle.before")
    wait_until(lambda: site.look(uid)["it"]["status"] == "SUCCESS")
    at.go("lose.before")
    at.go("beat.before")
    over(site, uid, "SUCCESS", "SUCCESS")
    assert "was lost with its worker" not in worker.log
