"""What is asked for twice is done once.

That a second ``solar-worker`` exits with 3 in the middle of a plan, one worker after the other, is tested by
``test_a_second_worker_on_the_same_addresses_exits_3_and_the_first_goes_on`` in ``tests/functional/test_worker.py``;
what a second signal does to commands with children, and to those that do not hear SIGTERM, by
``test_a_second_signal_*`` in ``tests/functional/test_stopping.py``.
"""

from __future__ import annotations

import re
import signal

from checker import check, guarded, log_is_complete
from harness import Process, Site, gated, plan, task, wait_until
from mixed import mixed


def assert_each_ran_once(site: Site, uid: str) -> None:
    """Of a plan that is over: each task has been run once, and all is as promised."""
    wait_until(lambda: log_is_complete(site, uid), "all outcomes in the system log")
    found = check(site, uid)
    assert found.broken == []
    assert (found.repeated, found.lost) == (0, 0)
    assert set(site.look(uid).attempts.values()) == {1}


def chain() -> dict[str, object]:
    """A plan that cannot end before the gate is opened."""
    return plan(
        *(task(f"first{n}", "cmd", guarded("sleep 0.05")) for n in range(4)),
        task("gate", "cmd", guarded(gated()), after=["first0"]),
        task("last", "cmd", guarded(), after=["gate", "first1", "first2", "first3"]),
    )


# -- run-once ----------------------------------------------------------------------------


def test_a_plan_that_is_wanted_several_times_runs_once(site: Site) -> None:
    uid = site.create(chain())
    # Before a worker is up: it says that there is none, and the plan is wanted all the same.
    early = [site.start("solar-orch", "run-once", uid) for _ in range(2)]
    assert [process.wait() for process in early] == [4, 4]
    site.worker()
    site.wait_for_mark("gate")
    # While it runs: two at once, both of which wait for its end.
    waiting = [site.start("solar-orch", "run-once", uid, "-w", "50") for _ in range(2)]
    assert site.orch("run-once", uid).returncode == 0
    wait_until(lambda: site.store.plans.get(uid).revision == 5, "all five to be heard")
    assert [process.code for process in waiting] == [None, None]
    site.open()
    assert [process.wait() for process in waiting] == [0, 0]
    assert_each_ran_once(site, uid)
    # When it is over there is nothing left to do.
    assert site.orch("run-once", uid, "-w", "50").returncode == 0
    assert_each_ran_once(site, uid)


def test_two_solar_orch_run_of_one_plan_run_each_task_once(site: Site) -> None:
    """Each is a host of its own; they share the plan."""
    uid = site.create(chain())
    runs = [site.start("solar-orch", "run", uid) for _ in range(2)]
    for run in runs:
        run.wait_for(f"plan {uid}")
    site.wait_for_mark("gate")
    site.open()
    assert [run.wait() for run in runs] == [0, 0], [run.log for run in runs]
    wait_until(lambda: site.ended(uid).status == "finished")
    assert_each_ran_once(site, uid)
    assert site.others() == []


# -- solar-worker ------------------------------------------------------------------------


def test_of_workers_that_are_started_at_once_one_serves(site: Site) -> None:
    """In the middle of a plan whose worker was killed."""
    site.set(lease=2, resend_interval=0.5)
    uid = site.want(chain())
    killed = site.worker()
    site.wait_for_mark("gate")
    killed.kill()
    several = [site.begin_worker() for _ in range(3)]

    def losers() -> list[Process]:
        return [process for process in several if process.code is not None]

    wait_until(lambda: len(losers()) == 2, "all but one to exit")
    [winner] = [process for process in several if process not in losers()]
    for loser in losers():
        assert loser.code == 3
        # The winner may not have written its number yet.
        assert re.search(rf"already served by (process {winner.pid}|another process);", loser.log)
    site.open()
    ended = site.ended(uid)
    assert set(ended.states.values()) == {"SUCCESS"}
    wait_until(lambda: log_is_complete(site, uid), "all outcomes in the system log")
    assert check(site, uid).broken == []
    assert site.orch("run-once", site.create(plan(task("more"))), "-w", "30").returncode == 0
    assert winner.stop() == 0
    assert site.others() == []


# -- SIGTERM -----------------------------------------------------------------------------


def test_sigterm_twice_ends_at_once_and_the_next_worker_finishes_the_plan(site: Site) -> None:
    site.set(drain_timeout=600, max_inprogress=20, resend_interval=0.5)
    uid = site.want(mixed(11, count=25))
    worker = site.worker()
    wait_until(lambda: len(site.marks) >= 10, "something to have run")
    busy = site.want(plan(task("busy", "cmd", guarded('[ "$SOLAR_ATTEMPT" != 1 ] || sleep 500'))))
    site.wait_for_mark("busy")
    worker.send(signal.SIGTERM)
    worker.wait_for("running calls get time to end")
    worker.send(signal.SIGTERM)
    assert worker.wait() == 1, worker.log
    assert "ended at once by a second signal" in worker.log
    assert site.others() == []

    last = site.worker()
    for each in (uid, busy):
        site.ended(each)
        wait_until(lambda each=each: log_is_complete(site, each), "all outcomes in the system log")
        found = check(site, each)
        assert found.broken == []
        assert found.lost == 0  # but handed back
    assert site.look(busy).attempts == {"busy": 2}
    assert last.stop() == 0
    assert site.others() == []
