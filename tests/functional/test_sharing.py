"""Several processes on one database: workers apart, workers side by side, and workers that were killed."""

from __future__ import annotations

import collections
import signal

import pytest
from harness import WORKERS, Mark, Process, Site, gated, marked, plan, task, wait_until


def begun(marks: list[Mark]) -> collections.Counter[tuple[str, str, int]]:
    """How often each attempt has begun."""
    return collections.Counter((mark.plan, mark.task, mark.attempt) for mark in marks if mark.begins)


def chains(name: str, *, length: int = 4, width: int = 3) -> dict[str, object]:
    """A plan of several chains of short commands, and one task after all of them."""
    tasks = [
        task(f"c{c}t{n}", "cmd", marked("sleep 0.02"), after=[f"c{c}t{n - 1}"] if n else [])
        for c in range(width)
        for n in range(length)
    ]
    last = task("last", "cmd", marked(), after=[f"c{c}t{length - 1}" for c in range(width)])
    return plan(*tasks, last, name=name)


def test_three_processes_with_one_worker_each_run_a_plan_together(site: Site) -> None:
    site.set(poll_interval=600)  # they must talk to each other
    parts = {name: site.worker(name) for name in WORKERS}
    for name, process in parts.items():
        assert [other for other in WORKERS if f" {other}: ready at " in process.log] == [name]
    file = site.write("plan.yaml", chains("together"))
    uid = site.orch("create", file).stdout.strip()
    ran = site.orch("run-once", uid, "-w", "30")
    assert ran.returncode == 0, ran
    assert set(site.look(uid).states.values()) == {"SUCCESS"}
    wait_until(lambda: len(site.store.log.outcomes(uid)) == 13)
    pids = {row.name: row.pid for row in site.store.workers.all()}
    assert pids == {name: process.pid for name, process in parts.items()}
    assert [process.stop() for process in parts.values()] == [0, 0, 0]


def test_a_plan_that_is_wanted_before_any_worker_is_up_starts_when_one_is(site: Site) -> None:
    uid = site.create(plan(task("a", "cmd", marked()), task("b", "cmd", marked(), after=["a"])))
    early = site.orch("run-once", uid, "-w", "30")
    assert (early.returncode, early.stdout) == (4, "")
    assert uid in early.stderr
    tasks = site.worker("tasks")
    still = site.orch("run-once", uid)
    assert still.returncode == 4
    assert "scheduler" in still.stderr
    assert site.look(uid).attempts == {"a": 0, "b": 0}
    site.worker("scheduler", "system_log")
    assert set(site.ended(uid).states.values()) == {"SUCCESS"}
    assert tasks.code is None
    assert set(begun(site.marks).values()) == {1}


def test_a_scheduler_without_a_tasks_worker_waits_for_one(site: Site) -> None:
    site.set(resend_interval=0.3, send_timeout=0.5)
    site.worker("scheduler", "system_log")
    uid = site.want(plan(task("a", "cmd", marked()), task("b", "cmd", marked(), after=["a"])))
    wait_until(lambda: site.look(uid)["a"]["status"] == "INPROGRESS")
    site.worker("tasks")
    ended = site.ended(uid)
    assert set(ended.states.values()) == {"SUCCESS"}
    assert set(begun(site.marks).values()) == {1}


# -- side by side ------------------------------------------------------------------


def test_two_workers_share_the_plans_of_a_database_and_run_each_attempt_once(site: Site) -> None:
    workers = [site.worker(), site.worker(**site.elsewhere)]
    uids = [site.create(chains(f"p{n}")) for n in range(8)]
    for uid in uids:
        site.want(uid)
    for uid in uids:
        ended = site.ended(uid)
        assert ended.status == "finished"
        assert set(ended.attempts.values()) == {1}
    assert len(begun(site.marks)) == 8 * 13
    assert set(begun(site.marks).values()) == {1}
    leads = [line for worker in workers for line in worker.log.splitlines() if line.endswith(": leading it")]
    assert len(leads) == 8  # no plan had two
    for uid in uids:
        wait_until(lambda uid=uid: len(site.store.log.outcomes(uid)) == 13)
        assert len({row["task_name"] for row in site.store.log.outcomes(uid)}) == 13
    assert [worker.stop() for worker in workers] == [0, 0]


def test_each_of_two_workers_leads_the_plans_that_it_is_told_of(site: Site) -> None:
    """Neither looks around by itself, so that a hint is all that it goes by."""
    site.set(poll_interval=600)
    first = site.worker()
    second = site.worker(**site.elsewhere)
    here = site.create(chains("here"))
    assert site.orch("run-once", here, "-w", "30").returncode == 0
    there = site.create(chains("there"))
    site.set(**site.elsewhere)
    assert site.orch("run-once", there, "-w", "30").returncode == 0
    assert [f"{uid}: leading it" in first.log for uid in (here, there)] == [True, False]
    assert [f"{uid}: leading it" in second.log for uid in (here, there)] == [False, True]
    assert set(begun(site.marks).values()) == {1}


def test_who_stops_passes_its_plans_on_at_once(site: Site) -> None:
    site.set(lease=300)  # nobody may wait for one to end
    first = site.worker()
    uid = site.want(plan(task("slow", "cmd", marked(gated())), task("next", "cmd", marked(), after=["slow"])))
    site.wait_for_mark("slow")
    second = site.worker(**site.elsewhere)
    first.send(signal.SIGTERM)
    first.wait_for("running calls get time to end")
    site.open()
    assert first.wait() == 0
    ended = site.ended(uid)
    assert set(ended.states.values()) == {"SUCCESS"}
    assert set(begun(site.marks).values()) == {1}
    assert f"{uid}: leading it" in second.log


# -- beside solar-orch run -----------------------------------------------------------


def test_run_beside_a_worker(site: Site) -> None:
    worker = site.worker()
    other = site.want(chains("others"))
    file = site.write("plan.yaml", chains("mine"))
    ran = site.orch("run", file)
    assert ran.returncode == 0, ran
    assert ": finished" in ran.stdout
    assert site.ended(other).status == "finished"
    assert site.look("last").status == "finished"
    assert len(begun(site.marks)) == 26
    assert set(begun(site.marks).values()) == {1}
    assert worker.code is None
    assert site.run(plan(task("more"))).status == "finished"


def test_an_interrupted_run_can_be_resumed_and_no_worker_goes_on_with_it(site: Site) -> None:
    site.worker()
    made = plan(task("slow", "cmd", marked(gated())), task("next", "cmd", marked(), after=["slow"]))
    run = site.start("solar-orch", "run", site.write("plan.yaml", made))
    site.wait_for_mark("slow")
    uid = site.store.plans.get("last").uid
    run.send(signal.SIGINT)
    run.wait_for("interrupted: ")
    site.open()
    assert run.wait() == 130, run.log
    assert f"solar-orch run {uid}" in run.log
    left = wait_until(lambda: (now := site.look(uid)).states["slow"] == "SUCCESS" and now)
    assert left.states == {"slow": "SUCCESS", "next": "PENDING"}
    assert left.status == "stopped"

    again = site.orch("run", uid)
    assert again.returncode == 0, again
    assert set(site.look(uid).states.values()) == {"SUCCESS"}
    assert begun(site.marks) == {(uid, "slow", 1): 1, (uid, "next", 1): 1}


# -- killed --------------------------------------------------------------------------


def kill_mid_plan(site: Site, victims: list[Process], uid: str, after_marks: int) -> None:
    """Kill processes with -9 when so many marks are there."""
    wait_until(lambda: len(site.marks) >= after_marks, lambda: str(site.look(uid).states))
    for victim in victims:
        victim.kill()


@pytest.mark.parametrize("after_marks", [1, 15])
def test_a_plan_goes_on_by_itself_after_its_worker_was_killed(site: Site, after_marks: int) -> None:
    site.set(lease=2, resend_interval=0.5)
    uid = site.want(chains("killed"))
    kill_mid_plan(site, [site.worker()], uid, after_marks)
    assert site.look(uid).status == "running"
    site.worker()
    ended = site.ended(uid)
    assert ended.status == "finished"
    assert set(ended.states.values()) == {"SUCCESS"}
    assert set(begun(site.marks).values()) == {1}
    # At most those that ran at the time have been run again.
    assert sum(ended.attempts.values()) <= 13 + 3
    wait_until(lambda: len(site.store.log.outcomes(uid)) >= 13)
    finished = [row["task_name"] for row in site.store.log.outcomes(uid)]
    assert sorted(finished) == sorted(ended.tasks)


def test_a_plan_goes_on_when_the_worker_that_leads_it_is_killed_beside_another(site: Site) -> None:
    site.set(lease=2, resend_interval=0.5)
    first = site.worker()
    uid = site.want(plan(task("slow", "cmd", marked('[ "$SOLAR_ATTEMPT" != 1 ] || sleep 600')), task("next", "cmd",
                    marked(), after=["slow"])))  # fmt: skip
    site.wait_for_mark("slow")
    site.worker(**site.elsewhere)
    first.kill()
    ended = site.ended(uid)
    assert set(ended.states.values()) == {"SUCCESS"}
    assert ended.attempts == {"slow": 2, "next": 1}


def test_a_killed_scheduler_costs_no_running_task(site: Site) -> None:
    site.set(lease=2, resend_interval=0.5)
    scheduler = site.worker("scheduler")
    site.worker("tasks", "system_log")
    uid = site.want(plan(task("slow", "cmd", marked(gated())), task("next", "cmd", marked(), after=["slow"])))
    site.wait_for_mark("slow")
    scheduler.kill()
    site.open()
    wait_until(lambda: site.look(uid)["slow"]["status"] == "SUCCESS")
    site.worker("scheduler")
    ended = site.ended(uid)
    assert (ended.states, ended.attempts) == ({"slow": "SUCCESS", "next": "SUCCESS"}, {"slow": 1, "next": 1})


def test_a_killed_system_log_misses_no_outcome(site: Site) -> None:
    site.worker("tasks", "scheduler")
    log = site.worker("system_log")
    uid = site.want(chains("logged"))
    kill_mid_plan(site, [log], uid, 3)
    assert site.ended(uid).status == "finished"
    site.worker("system_log")
    wait_until(lambda: len(site.store.log.outcomes(uid)) == 13)
