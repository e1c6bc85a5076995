"""Processes that are stopped (SIGSTOP) for longer than a lease and then go on: nothing runs twice at once.

So does a process that hangs, or a virtual machine that is suspended.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping

import psutil
import pytest
import sqlalchemy as sa
from checker import Findings, check, guarded, log_is_complete
from harness import Process, Site, gated, plan, task, wait_until

from solar_orch.errors import DatabaseUnavailable
from solar_orch.store.schema import plans

LEASE = 1.0

OPTIONS = {"lease": LEASE, "poll_interval": 0.1, "resend_interval": 0.5, "drain_timeout": 5}

#: Is not done within the test when it is tried for the first time.
LONG_ONCE = guarded('[ "$SOLAR_ATTEMPT" != 1 ] || sleep 30')


@pytest.fixture(autouse=True)
def short_leases(site: Site) -> None:
    site.set(**OPTIONS)


def stop(site: Site, process: Process) -> None:
    """Stop a process, but not just in a transaction: the lock of an SQLite file cannot be taken from anyone."""

    def is_stopped_without_lock() -> bool:
        process.send(signal.SIGSTOP)
        wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
        try:
            site.store.database.write(lambda connection: None, patience=0.3)
        except DatabaseUnavailable:
            process.send(signal.SIGCONT)
            return False
        return True

    wait_until(is_stopped_without_lock)


def wait_for_silence(site: Site, process: Process, leases: float = 1.3) -> None:
    """Wait until nothing has been heard of a process for so many leases."""
    wait_until(
        lambda: all(row.age > leases * LEASE for row in site.store.workers.all() if row.pid == process.pid),
        f"silence of process {process.pid}",
    )


def checked(site: Site, uid: str, allowed: Mapping[str, Iterable[str]] | None = None) -> Findings:
    """Wait for the end of a plan, and check it."""
    site.ended(uid)
    wait_until(lambda: log_is_complete(site, uid), "all outcomes in the system log")
    return check(site, uid, allowed)


def history(site: Site, uid: str) -> list[dict[str, object]]:
    return site.store.events.all(site.store.plans.get(uid).id)


def lead(site: Site, uid: str) -> tuple[int | None, int]:
    """Pid of the process that leads a plan, and its epoch."""
    query = sa.select(plans.c.lease_owner, plans.c.lease_epoch).where(plans.c.uid == uid)
    with site.store.database.read() as connection:
        owner, epoch = connection.execute(query).one()
    return owner and int(owner.rsplit(":", 2)[1]), epoch


def lost_lead(uid: str) -> str:
    """What a scheduler says that leads no more: it was lost, or given up since it could not be renewed in time."""
    return f"{uid}: the lead "


def makers(events: list[dict[str, object]]) -> set[int]:
    """Pids of the processes that made these events."""
    return {int(str(event["by"]).rsplit(":", 2)[1]) for event in events}


# -- a whole worker ----------------------------------------------------------------------


@pytest.mark.parametrize("whole", [False, True], ids=["the-worker", "all-of-it"])
def test_a_worker_that_was_stopped_goes_on_with_its_plan(site: Site, whole: bool) -> None:
    """Its guard ends the commands meanwhile, for all it knows somebody else runs them again.

    If the guard and the commands are stopped as well, as those of a suspended machine, it does so afterwards.
    """
    worker = site.worker()
    uid = site.want(
        plan(
            # Neither is a failure: there is no retry.
            task("long", "cmd", LONG_ONCE),
            task("long2", "cmd", LONG_ONCE),
            task("nap", "sleep", 1),
            task("next", "cmd", guarded(), after=["long", "long2", "nap"]),
        )
    )
    for name in ("long", "long2"):
        site.wait_for_mark(name)
    wait_until(lambda: site.look(uid)["nap"]["start_time"])
    below = psutil.Process(worker.pid).children(recursive=True) if whole else []
    for other in below:
        other.suspend()
    stop(site, worker)
    wait_for_silence(site, worker)
    for other in below:
        other.resume()
    wait_until(lambda: "sleep 30" not in site.commands(), "the end of its commands")
    worker.send(signal.SIGCONT)
    found = checked(site, uid)
    assert found.broken == []
    # Nobody was there to judge anything lost, and it does not so itself.
    assert found.lost == 0
    ended = site.look(uid)
    assert ended.attempts == {"long": 2, "long2": 2, "nap": 1, "next": 1}
    assert "the worker gave no sign of life for too long" in worker.log
    assert site.run(plan(task("more", "cmd", guarded()))).status == "finished"
    assert worker.stop() == 0
    assert site.others() == []


@pytest.mark.parametrize(
    ("lease", "cause"),
    [(LEASE, "the worker gave no sign of life for too long"), (600, "another attempt takes its place")],
    ids=["for-its-lease", "on-request"],
)
def test_the_plan_of_a_worker_that_is_stopped_is_taken_over_when_its_commands_are_dead(
    site: Site, lease: float, cause: str
) -> None:
    """With a long lease nothing ends the commands of the first but the request of the second."""
    first = site.worker(lease=lease)
    uid = site.want(
        plan(
            task("long", "cmd", LONG_ONCE),
            task("tree", "cmd", guarded('[ "$SOLAR_ATTEMPT" != 1 ] || { (sleep 30; :) & timeout 60 sleep 30; wait; }')),
            task("nap", "sleep", 0.5),
            task("next", "cmd", guarded(gated()), after=["long", "tree", "nap"]),
        )
    )  # fmt: skip
    for name in ("long", "tree"):
        site.wait_for_mark(name)
    stop(site, first)
    second = site.worker(**site.elsewhere)
    # Were anything of the first attempts alive now, a lock would show it.
    site.wait_for_mark("next")
    before = site.look(uid)
    assert {before.attempts[name] for name in ("long", "tree")} == {2}
    assert cause in first.log  # its guard writes there
    assert f"{uid}: taking the lead over from" in second.log
    taken = history(site, uid)
    pid, epoch = lead(site, uid)
    assert (pid, epoch) == (second.pid, 2)

    first.send(signal.SIGCONT)
    for name in ("long", "tree"):
        first.wait_for(f"{uid}~{name}: stale result of attempt 1 dropped")
    first.wait_for(lost_lead(uid))
    assert history(site, uid) == taken
    site.open()
    found = checked(site, uid)
    assert found.broken == []
    assert found.lost == 2 + (before.attempts["nap"] - 1)
    assert makers(history(site, uid)[len(taken) :]) == {second.pid}
    assert [row["attempt"] for row in site.store.log.outcomes(uid) if row["task_name"] == "long"] == [2]

    assert second.stop() == 0
    # It is as good as before.
    assert site.run(plan(task("more", "cmd", guarded()))).status == "finished"
    assert first.stop() == 0
    assert site.others() == []


# -- one of its processes ------------------------------------------------------------------


def test_a_tasks_worker_that_was_stopped_runs_again_what_it_has_lost(site: Site) -> None:
    scheduler, system_log, tasks = (site.worker(name) for name in ("scheduler", "system_log", "tasks"))
    uid = site.want(
        plan(
            task("long", "cmd", LONG_ONCE),
            task("nap", "sleep", 1),
            task("next", "cmd", guarded(), after=["long", "nap"]),
        )
    )
    site.wait_for_mark("long")
    wait_until(lambda: site.look(uid)["nap"]["start_time"])
    stop(site, tasks)
    # They are lost, and sent again: it finds them in its socket.
    wait_until(lambda: site.look(uid).attempts == {"long": 2, "nap": 2, "next": 0})
    scheduler.wait_for(f"{uid}~long: attempt 2 has not been claimed; sending it again")
    tasks.send(signal.SIGCONT)
    found = checked(site, uid)
    assert found.broken == []
    assert found.lost == 2
    assert site.look(uid).attempts == {"long": 2, "nap": 2, "next": 1}
    for name in ("long", "nap"):
        assert f"{uid}~{name}: stale result of attempt 1 dropped" in tasks.log
    assert [process.stop() for process in (tasks, scheduler, system_log)] == [0, 0, 0]
    assert site.others() == []


def test_a_scheduler_that_was_stopped_has_lost_the_lead_and_costs_no_task(site: Site) -> None:
    old = site.worker("scheduler")
    tasks = site.worker("tasks", "system_log")
    uid = site.want(
        plan(task("slow", "cmd", guarded(gated())), task("next", "cmd", guarded(), after=["slow"]))
    )
    site.wait_for_mark("slow")
    assert lead(site, uid) == (old.pid, 1)
    new = site.worker(**site.elsewhere)
    stop(site, old)
    wait_until(lambda: lead(site, uid) == (new.pid, 2), "another to lead")
    taken = history(site, uid)
    old.send(signal.SIGCONT)
    old.wait_for(lost_lead(uid))
    site.open()
    found = checked(site, uid)
    assert found.broken == []
    assert (found.lost, found.repeated) == (0, 0)
    assert site.look(uid).attempts == {"slow": 1, "next": 1}
    assert old.pid not in makers(history(site, uid)[len(taken) :])
    # What ran for the old one has ended under the new.
    assert tasks.pid in makers(history(site, uid)[len(taken) :])
    assert lead(site, uid) == (None, 2)
    assert [process.stop() for process in (old, new, tasks)] == [0, 0, 0]


def test_what_a_scheduler_was_about_to_dispatch_when_it_was_stopped_is_not(site: Site) -> None:
    """It has decided, and goes on as if nothing had happened; who leads now would not have dispatched all of that."""
    widely = [task(f"two{n}", "cmd", guarded(gated()), after=["one"]) for n in range(3)]
    uid = site.want(plan(task("one", "cmd", guarded()), *widely))
    old = site.worker("scheduler", "tasks", "system_log", faults="dispatch.before=stop@2")
    old.wait_for("fault: dispatch.before: stop")
    new = site.worker(max_inprogress=1, **site.elsewhere)
    wait_until(lambda: sum(mark.task != "one" for mark in site.marks) == 1, "another to go on")
    taken = history(site, uid)
    old.send(signal.SIGCONT)
    old.wait_for(lost_lead(uid))
    assert history(site, uid) == taken
    site.open()
    found = checked(site, uid)
    assert found.broken == []
    assert set(site.look(uid).attempts.values()) == {1}
    assert old.pid not in makers(history(site, uid)[len(taken) :])
    assert lead(site, uid) == (None, 2)
    assert [old.stop(), new.stop()] == [0, 0]


def test_a_lead_that_a_scheduler_was_about_to_take_when_it_was_stopped_is_not_taken(site: Site) -> None:
    uid = site.want(plan(task("one", "cmd", guarded(gated())), task("two", "cmd", guarded(), after=["one"])))
    old = site.worker(faults="acquire.before=stop")
    old.wait_for("fault: acquire.before: stop")
    new = site.worker(**site.elsewhere)
    site.wait_for_mark("one")
    wait_for_silence(site, old)
    old.send(signal.SIGCONT)
    # It came past that point before it could give a sign of life.
    wait_until(lambda: any(row.age < LEASE for row in site.store.workers.all() if row.pid == old.pid))
    assert lead(site, uid) == (new.pid, 1)
    site.open()
    found = checked(site, uid)
    assert found.broken == []
    assert makers(history(site, uid)) == {new.pid}
    assert [old.stop(), new.stop()] == [0, 0]


def test_an_end_that_a_scheduler_was_about_to_record_when_it_was_stopped_is_recorded_once(site: Site) -> None:
    uid = site.want(plan(task("one", "cmd", guarded()), task("two", "cmd", guarded(), after=["one"])))
    old = site.worker(faults="finish.before=stop")
    old.wait_for("fault: finish.before: stop")
    new = site.worker(**site.elsewhere)
    site.ended(uid)
    new.wait_for(f"{uid}: finished")
    done = history(site, uid)
    old.send(signal.SIGCONT)
    assert new.stop() == 0
    # It comes past that point, and does the next.
    assert site.run(plan(task("more", "cmd", guarded()))).status == "finished"
    assert (history(site, uid), lead(site, uid)) == (done, (None, 2))
    found = checked(site, uid)
    assert found.broken == []
    assert f"{uid}: finished" not in old.log
    assert old.stop() == 0
