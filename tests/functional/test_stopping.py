"""How ``solar-worker`` ends: running tasks are let end, handed back or killed, and none is lost."""

from __future__ import annotations

import signal

import pytest
from harness import Site, gated, marked, plan, task, wait_until


def test_sigterm_lets_running_tasks_end_and_starts_nothing_more(site: Site) -> None:
    worker = site.worker(pool_size=2)
    uid = site.want(
        plan(
            task("command", "cmd", marked(gated(), "echo bye"), weight=3),
            task("sleeps", "sleep", 1.5, weight=2),
            # Received, but without a place to run.
            task("queued", "cmd", marked(), weight=1),
            task("next", "cmd", marked(), after=["command"]),
        )
    )
    site.wait_for_mark("command")
    wait_until(lambda: site.look(uid)["sleeps"]["start_time"])
    worker.send(signal.SIGTERM)
    worker.wait_for("running calls get time to end")
    assert worker.code is None
    site.open()
    assert worker.wait() == 0, worker.log
    stopped = site.look(uid)
    assert stopped.states == {
        "command": "SUCCESS",
        "sleeps": "SUCCESS",
        "queued": "PENDING",
        "next": "PENDING",
    }
    assert stopped["command"]["output"] == "bye\n"
    assert {mark.task for mark in site.marks} == {"command"}
    assert stopped.status == "running"  # it is still wanted
    assert site.others() == []
    assert list(site.runtime.glob("*.sock")) == []

    site.worker()
    ended = site.ended(uid)
    assert set(ended.states.values()) == {"SUCCESS"}
    assert [mark.task for mark in site.marks if mark.begins].count("command") == 1


def test_what_does_not_end_in_time_is_handed_back_and_run_again(site: Site) -> None:
    first = site.worker(drain_timeout=0.5)
    command = marked('[ "$SOLAR_ATTEMPT" != 1 ] || { sleep 601 & sleep 602; }')
    uid = site.want(
        plan(
            task("long", "cmd", command),
            task("nap", "cmd", marked(gated())),
            task("next", "cmd", marked(), after=["long", "nap"]),
        )
    )
    site.wait_for_mark("long")
    site.wait_for_mark("nap")
    wait_until(lambda: "sleep 601" in site.commands())
    first.send(signal.SIGTERM)
    site.open()
    assert first.wait() == 0, first.log
    assert site.others() == []
    stopped = site.look(uid)
    assert stopped.states == {"long": "PENDING", "nap": "SUCCESS", "next": "PENDING"}

    site.worker()
    ended = site.ended(uid)
    assert set(ended.states.values()) == {"SUCCESS"}
    assert (ended.attempts["long"], ended.attempts["nap"]) == (2, 1)
    assert ended["long"]["errmsg"] is None
    assert [(mark.task, mark.attempt) for mark in site.marks if not mark.begins and mark.task == "long"] == [
        ("long", 2)
    ]


def test_what_is_handed_back_does_not_use_up_a_retry(site: Site) -> None:
    first = site.worker(drain_timeout=0)
    uid = site.want(
        plan(task("long", "cmd", marked('[ "$SOLAR_ATTEMPT" -gt 2 ] || { sleep 600; }; exit 1'), retry=1))
    )
    site.wait_for_mark("long")
    assert first.stop() == 0
    second = site.worker(drain_timeout=0)
    wait_until(lambda: any(mark.attempt == 2 for mark in site.marks))
    assert second.stop() == 0
    site.worker()
    ended = site.ended(uid)
    # Attempts 1 and 2 were handed back; 3 failed, and 4 was the one retry.
    assert (ended.states, ended.attempts) == ({"long": "ERROR"}, {"long": 4})


def test_no_attempt_is_made_while_the_process_stops(site: Site) -> None:
    first = site.worker()
    uid = site.want(
        plan(
            task("fails", "cmd", marked('[ "$SOLAR_ATTEMPT" = 2 ] || { ' + gated() + "; exit 1; }"), retry=1),
            task("long", "cmd", marked(gated("second"))),
        )
    )
    site.wait_for_mark("fails")
    site.wait_for_mark("long")
    first.send(signal.SIGTERM)
    first.wait_for("running calls get time to end")
    site.open()
    wait_until(lambda: site.look(uid)["fails"]["status"] == "ERROR_RETRY")
    site.open("second")
    assert first.wait() == 0, first.log
    site.worker()
    assert site.ended(uid).attempts == {"fails": 2, "long": 1}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once_and_leaves_no_child(site: Site, number: signal.Signals) -> None:
    worker = site.worker(drain_timeout=600)
    uid = site.want(
        plan(
            task("long", "cmd", marked('[ "$SOLAR_ATTEMPT" != 1 ] || { sleep 601 & sleep 602; }')),
            task("sleeps", "sleep", 0.5, after=["long"]),
        )
    )
    site.wait_for_mark("long")
    worker.send(number)
    worker.wait_for("running calls get time to end")
    worker.send(number)
    # Not after 600 seconds.
    assert worker.wait() == 1, worker.log
    assert "solar-worker: error: ended at once by a second signal" in worker.log
    assert site.others() == []
    assert site.look(uid).states == {"long": "PENDING", "sleeps": "PENDING"}
    site.worker()
    assert set(site.ended(uid).states.values()) == {"SUCCESS"}


def test_a_second_signal_ends_what_does_not_hear_sigterm(site: Site) -> None:
    worker = site.worker(drain_timeout=600)
    deaf = marked("trap '' TERM; sh -c 'while :; do sleep 0.2; done'")
    uid = site.want(plan(task("deaf", "cmd", deaf)))
    site.wait_for_mark("deaf")
    worker.send(signal.SIGTERM)
    worker.wait_for("running calls get time to end")
    worker.send(signal.SIGTERM)
    assert worker.wait() == 1, worker.log
    assert site.others() == []
    assert site.look(uid).states == {"deaf": "PENDING"}


def test_a_worker_with_nothing_to_do_ends_by_itself_no_sooner_than_asked(site: Site) -> None:
    worker = site.worker()
    assert site.run(plan(task("only"))).status == "finished"
    assert {row.name for row in site.store.workers.all()} == {"scheduler", "system_log", "tasks"}
    assert worker.stop() == 0
    # It has said good-bye: nobody counts on it until a lease has passed.
    assert site.store.workers.all() == []
    assert site.orch("run-once", site.create(plan(task("a")))).returncode == 4
    assert "Traceback" not in worker.log
    assert "Exception" not in worker.log
    assert " ERROR " not in worker.log


def test_no_outcome_is_missing_from_the_system_log_after_a_stop(site: Site) -> None:
    worker = site.worker()
    uid = site.want(plan(*(task(f"t{n}", "cmd", marked(gated())) for n in range(10)), task("end", "error")))
    for n in range(10):
        site.wait_for_mark(f"t{n}")
    worker.send(signal.SIGTERM)
    worker.wait_for("running calls get time to end")
    site.open()
    assert worker.wait() == 0
    names = [row["task_name"] for row in site.store.log.outcomes(uid)]
    assert sorted(names) == sorted([*(f"t{n}" for n in range(10)), "end"])
