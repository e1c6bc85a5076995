"""The wall clock is moved by an hour while a plan runs: nothing is due at once, and nothing an hour late.

The database's clock, and what Python takes for the time, are moved by a construct hook of a third party
in all workers of a site; the test itself reads the true time.
"""

from __future__ import annotations

import time

import packages
import pytest
import sqlalchemy as sa
from checker import check, guarded, log_is_complete
from harness import Process, Site, gated, plan, task, wait_until

from solar_orch.store.schema import workers

HOUR = 3600.0

MOVABLE_CLOCK = """
    import os
    import time

    from sqlalchemy import Engine, event

    TRUE_TIME = time.time
    OFFSET = os.path.join(os.environ["SITE"], "offset")

    def moved_time():
        try:
            with open(OFFSET) as file:
                return TRUE_TIME() + float(file.read())
        except FileNotFoundError:
            return TRUE_TIME()

    def julianday(what):
        assert what == "now"
        return moved_time() / 86400 + 2440587.5

    @event.listens_for(Engine, "connect")
    def replace(connection, record):
        connection.create_function("julianday", 1, julianday)

    time.time = moved_time

    def hook(worker, clients):
        pass
"""


@pytest.fixture(autouse=True)
def a_clock_that_can_be_moved(site: Site) -> None:
    hooks = {f"solar.orchestration.hooks.{name}.construct": {"clock": "movable_clock:hook"}
             for name in ("scheduler", "system_log", "tasks")}  # fmt: skip
    packages.install(site, "movable-clock", hooks, {"movable_clock": MOVABLE_CLOCK})
    site.set(lease=1.2, resend_interval=0.5, send_timeout=0.5)


def move(site: Site, seconds: float) -> None:
    """Move the clock of all workers of the site to so many seconds beside the true time."""
    fresh = site.root / "offset.new"
    fresh.write_text(str(seconds))
    fresh.rename(site.root / "offset")


def wait_for_clock(site: Site, seconds: float, *processes: Process) -> None:
    """Wait until all workers in these processes have written a beat by a clock that is so much off."""
    pids = {process.pid for process in processes}

    def off() -> list[float]:
        with site.store.database.read() as connection:
            rows = connection.execute(sa.select(workers).where(workers.c.pid.in_(pids))).all()
        return [row.beat_at - time.time() for row in rows]

    wait_until(
        lambda: (found := off()) and all(abs(one - seconds) < 600 for one in found),
        lambda: f"clocks that are {seconds} s off: {off()}",
    )


#: Fails at its first attempt, and succeeds at the second.
FAILS_ONCE = guarded('[ "$SOLAR_ATTEMPT" != 1 ] || exit 1')


def test_nothing_is_due_at_once_or_an_hour_late_when_the_clock_is_moved(site: Site) -> None:
    worker = site.worker()
    wait_for_clock(site, 0, worker)
    uid = site.want(
        plan(
            # May take long, and must not be ended at once.
            task("easy", "cmd", guarded(gated()), timeout=600, timelimit=600),
            # Must be ended soon.
            task("late", "cmd", guarded("sleep 600"), timeout=3),
            task("slow", "cmd", guarded("sleep 600"), timelimit=3),
            task("again", "cmd", FAILS_ONCE, retry=1, retry_delay=3),
            task("next", "cmd", guarded(), after=["easy", "again"]),
        )
    )
    patient = site.want(plan(task("patient", "cmd", FAILS_ONCE, retry=1, retry_delay=600)))
    for name in ("easy", "late", "slow"):
        site.wait_for_mark(name)
    wait_until(lambda: site.look(uid)["again"]["status"] == "ERROR_RETRY")
    wait_until(lambda: site.look(patient)["patient"]["status"] == "ERROR_RETRY")
    for seconds in (HOUR, -HOUR):
        move(site, seconds)
        wait_for_clock(site, seconds, worker)
        # Nor are workers taken for lost; and a plan that is steered is loaded anew.
        again = site.orch("run-once", uid)
        assert again.returncode == 0, again
    for name in ("late", "slow"):
        wait_until(lambda name=name: site.look(uid)[name]["status"] == "ERROR", f"the end of {name}")
    assert site.look(uid)["easy"]["status"] == "INPROGRESS"
    site.open()
    ended = site.ended(uid)
    wait_until(lambda: log_is_complete(site, uid), "all outcomes in the system log")
    found = check(site, uid, {"late": {"ERROR"}, "slow": {"ERROR"}})
    assert found.broken == []
    assert (found.lost, found.repeated) == (0, 0)
    assert ended.attempts == {"easy": 1, "late": 1, "slow": 1, "again": 2, "next": 1}
    assert ended["late"]["errmsg"] == "ExecutionTimeout: timeout of 3 s exceeded"
    assert ended["slow"]["errmsg"] == "ExecutionTimeout: timelimit of 3 s exceeded"
    assert (site.look(patient).states, site.look(patient).attempts) == (
        {"patient": "ERROR_RETRY"},
        {"patient": 1},
    )
    assert site.store.plans.get(patient).status == "running"
    assert "taking the lead over" not in worker.log
    assert worker.stop() == 0


@pytest.mark.parametrize("seconds", [HOUR, -HOUR], ids=["forwards", "backwards"])
def test_a_plan_goes_on_after_a_restart_with_another_time(site: Site, seconds: float) -> None:
    """What is left of a timeout and a delay is then reckoned by the clock that was moved: nothing at least,
    all of it at most.  An attempt may thus be found to be late that was lost, and is as good as a failed one.
    """
    first = site.worker("scheduler", "system_log")
    tasks = site.worker("tasks")
    long_once = guarded('[ "$SOLAR_ATTEMPT" != 1 ] || sleep 600')
    uid = site.want(
        plan(
            task("runs", "cmd", guarded(gated())),
            task("lost", "cmd", long_once),
            task("late", "cmd", long_once, timeout=2, retry=1),
            task("slow", "cmd", long_once, timelimit=2, retry=1),
            task("again", "cmd", FAILS_ONCE, retry=1, retry_delay=2),
            task("next", "cmd", guarded(), after=["runs", "lost", "late", "again"]),
        )
    )
    for name in ("runs", "lost", "late", "slow"):
        site.wait_for_mark(name)
    wait_until(lambda: site.look(uid)["again"]["status"] == "ERROR_RETRY")
    first.kill()
    tasks.kill()
    move(site, seconds)
    site.open()
    second = site.worker()
    site.ended(uid)
    wait_for_clock(site, seconds, second)
    wait_until(lambda: log_is_complete(site, uid), "all outcomes in the system log")
    found = check(site, uid)
    assert found.broken == []
    # One was late and lost at once; which of the two is a matter of the moment.
    assert found.lost in (3, 4)
    assert site.look(uid).attempts == {"runs": 2, "lost": 2, "late": 2, "slow": 2, "again": 2, "next": 1}
    assert second.stop() == 0


def test_who_leads_and_who_runs_stay_the_same_when_the_clock_is_moved(site: Site) -> None:
    """Of two sets on one database neither takes the other for dead."""
    sets = [site.worker(), site.worker(**site.elsewhere)]
    uids = [site.want(plan(task("slow", "cmd", guarded(gated())), name=f"p{n}")) for n in range(4)]
    for uid in uids:
        wait_until(lambda uid=uid: site.look(uid)["slow"]["start_time"])
    for seconds in (HOUR, -HOUR):
        move(site, seconds)
        wait_for_clock(site, seconds, *sets)
    # For more than a lease.
    assert site.run(plan(task("nap", "sleep", 1.6))).attempts == {"nap": 1}
    site.open()
    for uid in uids:
        site.ended(uid)
        wait_until(lambda uid=uid: log_is_complete(site, uid), "all outcomes in the system log")
        found = check(site, uid)
        assert found.broken == []
        assert (found.attempts, found.lost) == (1, 0)
    assert not any("taking the lead over" in one.log for one in sets)
    assert [one.stop() for one in sets] == [0, 0]
