"""The verbs that steer plans, as they are typed, with real workers.

The scheduler looks around by itself every ten minutes only: what takes effect here was told to it.
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from harness import Ended, Process, Site, gated, marked, plan, script, task, wait_until

from solar_orch.cli import orch
from solar_orch.states import PlanStatus

#: Fails until ``site.open("mended")``.
MENDABLE = marked('[ -e "$SITE/mended" ] || { echo no luck >&2; exit 3; }')


@pytest.fixture
def worker(site: Site) -> Process:
    site.set(poll_interval=600)
    return site.worker()


def said(site: Site, *args: str, code: int = 0, out: str = "") -> str:
    """Run a command that ends with this code and writes just this to stdout; what it writes to stderr."""
    done = site.orch(*args)
    assert (done.returncode, done.stdout) == (code, out), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def waited(site: Site, *args: str, code: int = 0) -> Ended:
    """Run a command that waits for the end of the last plan and prints its report."""
    done = site.orch(*args, "--wait", "60")
    assert done.returncode == code, done.stderr
    row = site.store.plans.get("last")
    assert done.stdout.startswith(f"plan {row.uid}: {row.status}")
    return site.look("last")


def begin(site: Site, made: dict[str, Any] | str) -> str:
    """Have a plan run, and the scheduler told of it; its uid."""
    uid = made if isinstance(made, str) else site.create(made)
    said(site, "run-once", uid)
    return uid


def run(site: Site, uid: str) -> Ended:
    """Have a plan run to its end."""
    return site.ended(begin(site, uid))


def runs_of(site: Site, name: str) -> int:
    return sum(mark.task == name and mark.begins for mark in site.marks)


def wait_for_state(site: Site, uid: str, **states: str) -> None:
    wait_until(
        lambda: states.items() <= site.look(uid).states.items(),
        lambda: f"{states} in {site.look(uid).report}",
    )


# -- restart, reset ------------------------------------------------------------------------


def test_restart_runs_all_of_a_plan_again_as_often_as_it_is_asked_to(site: Site, worker: Process) -> None:
    made = plan(task("first", "cmd", marked()), task("second", "cmd", marked(), after=["first"]))
    uid = site.create(made)
    assert site.orch("run-once", uid, "-w", "60").returncode == 0
    for turn in (2, 3):
        ended = waited(site, "restart", "last")
        assert (ended.status, ended.attempts) == ("finished", {"first": turn, "second": turn})
        assert runs_of(site, "second") == turn


def test_restart_judges_the_tasks_by_its_exit_code_only_when_it_waits(site: Site, worker: Process) -> None:
    uid = site.create(plan(task("bad", "error", "no luck")))
    assert said(site, "restart", uid) == f"{uid}: 0 tasks are PENDING again\n"
    assert site.ended(uid).status == "failed"
    assert waited(site, "restart", uid, code=1)["bad"]["attempt"] == 2


def test_with_no_worker_up_what_is_to_go_does_so_later(site: Site) -> None:
    uid = site.create(plan(task("good", "cmd", marked(), status="SUCCESS"), task("bad", status="ERROR")))
    error = said(site, "restart", uid, code=4)
    assert error.endswith(
        f"no scheduler worker and no tasks worker is up: {uid} starts when one is (solar-worker)\n"
    )
    assert said(site, "restart", uid, code=2).startswith(f"solar-orch: error: plan {uid} is running; stop")
    site.worker()
    assert site.ended(uid).states == {"good": "SUCCESS", "bad": "SUCCESS"}


def test_a_wait_that_runs_out_is_told_and_the_plan_goes_on(site: Site, worker: Process) -> None:
    uid = site.create(plan(task("gate", "cmd", marked(gated()))))
    done = site.orch("restart", uid, "-w", "0.2")
    assert done.returncode == 3
    assert f"{uid} is not over after 0.2 s; it goes on" in done.stderr
    site.open()
    assert site.ended(uid).status == "finished"


def test_reset_lets_a_plan_be_as_if_it_had_never_run(site: Site, worker: Process) -> None:
    uid = site.create(plan(task("bad", "error", "no luck"), task("never", after=["bad"])))
    assert run(site, uid).states == {"bad": "ERROR", "never": "PENDING"}
    assert said(site, "reset", uid) == f"{uid}: 1 task is PENDING again\n"
    look = site.look(uid)
    assert (look.status, look.states) == ("pending", {"bad": "PENDING", "never": "PENDING"})
    assert (look["bad"]["errmsg"], look["bad"]["attempt"]) == (None, 1)


# -- retry -----------------------------------------------------------------------------------


def test_retry_runs_what_failed_and_what_hangs_below_it(site: Site, worker: Process) -> None:
    uid = site.create(
        plan(
            task("good", "cmd", marked()),
            task("bad", "cmd", MENDABLE, after=["good"]),
            task("share", "fault_tolerance", 50, after=["good", "bad"]),
            task("last", "cmd", marked(), after=["share"]),
            task("never", "cmd", marked(), after=["bad"]),
        )
    )
    first = run(site, uid)
    assert first.states == {
        "good": "SUCCESS",
        "bad": "ERROR",
        "share": "SUCCESS",
        "last": "SUCCESS",
        "never": "PENDING",
    }
    assert waited(site, "retry", uid, code=1).attempts == {
        "good": 1,
        "bad": 2,
        "share": 2,
        "last": 2,
        "never": 0,
    }
    site.open("mended")
    ended = waited(site, "retry", uid)
    assert set(ended.states.values()) == {"SUCCESS"}
    assert (runs_of(site, "good"), runs_of(site, "last"), runs_of(site, "never")) == (1, 3, 1)
    assert said(site, "retry", uid, code=2) == (
        f"solar-orch: error: plan {uid} is finished, and none of its tasks is in ERROR\n"
    )


def test_retry_of_one_task_takes_effect_in_the_midst_of_a_plan(site: Site, worker: Process) -> None:
    uid = begin(
        site,
        plan(
            task("gate", "cmd", marked(gated())),
            task("one", "cmd", MENDABLE),
            task("below", "cmd", marked(), after=["one"]),
            task("other", "cmd", MENDABLE),
        ),
    )
    wait_for_state(site, uid, gate="INPROGRESS", one="ERROR", other="ERROR")
    site.open("mended")
    assert said(site, "retry", uid, "--task", "one") == f"{uid}: 1 task is PENDING again\n"
    wait_for_state(site, uid, gate="INPROGRESS", one="SUCCESS", below="SUCCESS", other="ERROR")
    site.open()
    ended = site.ended(uid)
    assert (ended.status, ended.attempts) == ("failed", {"gate": 1, "one": 2, "below": 1, "other": 1})


def test_retry_is_not_lost_when_the_plan_is_about_to_end(site: Site) -> None:
    site.set(poll_interval=600)
    # The scheduler has decided that the plan has failed, and has not written it down yet.
    site.worker(faults=f"finish.before=hold:{site.root}/hold")
    uid = begin(site, plan(task("bad", "cmd", MENDABLE), task("below", after=["bad"])))
    wait_until((site.root / "hold.held").exists)
    site.open("mended")
    assert said(site, "retry", uid) == f"{uid}: 1 task is PENDING again\n"
    site.open("hold")
    ended = site.ended(uid)
    assert (ended.status, ended.attempts) == ("finished", {"bad": 2, "below": 1})


# -- stop, resume, cancel --------------------------------------------------------------------


def test_a_plan_that_was_stopped_is_resumed(site: Site, worker: Process) -> None:
    uid = begin(
        site, plan(task("gate", "cmd", marked(gated())), task("next", "cmd", marked(), after=["gate"]))
    )
    site.wait_for_mark("gate")
    assert said(site, "stop", uid) == f"{uid}: 1 task is SKIPPED now\n"
    look = site.look(uid)
    assert (look.status, look.states) == ("stopped", {"gate": "INPROGRESS", "next": "SKIPPED"})
    assert "has been stopped already, and 1 task is in progress still" in said(site, "stop", uid, code=2)
    site.open()
    assert site.ended(uid).states == {"gate": "SUCCESS", "next": "SKIPPED"}
    assert said(site, "stop", uid, code=2) == f"solar-orch: error: plan {uid} is not running, it is stopped\n"
    assert waited(site, "resume", uid).status == "finished"
    assert (runs_of(site, "gate"), runs_of(site, "next")) == (1, 1)
    assert "is finished, and none of its tasks is SKIPPED" in said(site, "resume", uid, code=2)


def test_a_plan_is_resumed_while_what_ran_when_it_was_stopped_still_does(site: Site, worker: Process) -> None:
    uid = begin(
        site,
        plan(
            task("gate", "cmd", marked(gated())),
            task("next", "cmd", marked(), after=["gate"]),
            task("free", "cmd", marked(), after=["first"]),
            task("first", "cmd", marked(gated("first"))),
        ),
    )
    site.wait_for_mark("gate")
    site.wait_for_mark("first")
    said(site, "stop", uid)
    site.open("first")
    wait_for_state(site, uid, first="SUCCESS", free="SKIPPED")
    assert said(site, "resume", uid) == f"{uid}: 2 tasks are PENDING again\n"
    # Before anything else tells the scheduler of this plan.
    wait_for_state(site, uid, gate="INPROGRESS", free="SUCCESS")
    site.open()
    assert set(site.ended(uid).states.values()) == {"SUCCESS"}


def cancellable() -> dict[str, Any]:
    return plan(
        task("one", "cmd", marked("sleep 601 & sleep 602; sleep 603"), retry=5),
        task("two", "sleep", 604),
        task("next", "cmd", marked(), after=["one"]),
    )


def wait_for_sleep(site: Site, uid: str) -> None:
    wait_until(lambda: {"sleep 601", "sleep 602"} <= set(site.commands()))
    wait_until(lambda: site.look(uid)["two"]["start_time"])


def was_cancelled(site: Site, uid: str, name: str) -> None:
    ended = site.look(uid)[name]
    assert (ended["status"], ended["attempt"]) == ("ERROR", 1)
    assert ended["errmsg"].startswith("cancelled by solar-orch cancel (")


def test_cancel_stops_a_plan_and_kills_what_runs(site: Site, worker: Process) -> None:
    uid = begin(site, cancellable())
    wait_for_sleep(site, uid)
    assert said(site, "cancel", "last").splitlines() == [
        f"{uid}: 1 task is SKIPPED now",
        f"{uid}: one is being killed",
        f"{uid}: two is being killed",
    ]
    ended = site.ended(uid)
    assert (ended.status, ended.states["next"]) == ("stopped", "SKIPPED")
    for name in ("one", "two"):
        was_cancelled(site, uid, name)
    assert not [command for command in site.commands() if command.startswith("sleep")]
    assert (
        said(site, "cancel", uid, code=2) == f"solar-orch: error: plan {uid} is not running, it is stopped\n"
    )


def test_cancel_kills_though_its_messages_are_lost(site: Site) -> None:
    site.set(lease=1.5, poll_interval=0.2)
    site.worker()
    uid = begin(site, cancellable())
    wait_for_sleep(site, uid)
    cancel = site.start("solar-orch", "cancel", uid, faults="send.hint.before=raise@*")
    assert cancel.wait() == 0, cancel.log
    ended = site.ended(uid)
    assert (ended.status, ended.states["next"]) == ("stopped", "SKIPPED")
    for name in ("one", "two"):
        was_cancelled(site, uid, name)
    wait_until(lambda: not [command for command in site.commands() if command.startswith("sleep")])


def test_cancel_of_one_task_lets_the_plan_go_on(site: Site, worker: Process) -> None:
    uid = begin(
        site,
        plan(
            task("one", "cmd", marked("sleep 605"), retry=5),
            task("gate", "cmd", marked(gated())),
            task("next", "cmd", marked(), after=["gate"]),
        ),
    )
    wait_until(lambda: "sleep 605" in site.commands())
    site.wait_for_mark("gate")
    assert said(site, "cancel", uid, "-t", "one") == f"{uid}: one is being killed\n"
    wait_for_state(site, uid, one="ERROR", gate="INPROGRESS")
    was_cancelled(site, uid, "one")
    assert "can cancel tasks in progress only, and one is ERROR" in said(
        site, "cancel", uid, "-t", "one", code=2
    )
    site.open()
    assert site.ended(uid).states == {"one": "ERROR", "gate": "SUCCESS", "next": "SUCCESS"}


# -- noop, filter ------------------------------------------------------------------------------


def test_noop_lets_a_running_plan_go_on_without_a_task(site: Site, worker: Process) -> None:
    uid = begin(
        site,
        plan(
            task("gate", "cmd", marked(gated())),
            task("behind", "cmd", marked(), after=["gate"]),
            task("bad", "error", "no luck"),
            task("next", "cmd", marked(), after=["bad"]),
        ),
    )
    site.wait_for_mark("gate")
    wait_for_state(site, uid, bad="ERROR")
    assert f"plan {uid} has gate in INPROGRESS" in said(site, "noop", uid, "-t", "bad", "-t", "gate", code=2)
    assert site.look(uid).states["bad"] == "ERROR"
    assert said(site, "noop", uid, "-t", "bad", "-t", "behind") == f"{uid}: 2 tasks are NOOP now\n"
    wait_for_state(site, uid, gate="INPROGRESS", next="SUCCESS")
    site.open()
    ended = site.ended(uid)
    assert (ended.status, ended.states["behind"]) == ("finished", "NOOP")
    assert runs_of(site, "behind") == 0


def test_filter_prints_what_is_skipped_and_the_rest_runs(site: Site, worker: Process) -> None:
    uid = site.create(
        plan(
            task("db", "cmd", marked()),
            task("web1", "cmd", marked(), after=["db"], target="web1"),
            task("web2", "cmd", marked(), after=["db"], target="web2"),
            task("report", "cmd", marked(), after=["web1"]),
        )
    )
    before = site.look(uid).report
    error = said(site, "filter", uid, "--end", "web1", "--dry-run", out="web2\nreport\n")
    assert error == f"{uid}: 2 tasks would be SKIPPED, 2 will run\n"
    assert site.look(uid).report == before
    shown = json.loads(site.orch("filter", uid, "--end", "web1", "--format", "json").stdout)
    assert shown == {"uid": uid, "runs": ["db", "web1"], "skipped": ["web2", "report"]}
    assert waited(site, "run-once", uid).states == {
        "db": "SUCCESS",
        "web1": "SUCCESS",
        "web2": "SKIPPED",
        "report": "SKIPPED",
    }
    error = said(site, "filter", uid, "--task", "web2", "--target", "web2", out="report\n")
    assert error == f"{uid}: 1 task is SKIPPED, 1 will run\n"
    assert waited(site, "run-once", uid).states["web2"] == "SUCCESS"
    said(site, "filter", uid)
    assert set(waited(site, "run-once", uid).states.values()) == {"SUCCESS"}
    assert [runs_of(site, name) for name in ("db", "web1", "web2", "report")] == [1, 1, 1, 1]


# -- delete, prune -----------------------------------------------------------------------------


def test_delete_takes_a_plan_away_and_its_uid_is_free(site: Site, worker: Process) -> None:
    file = site.write("plan.json", {**plan(task("gate", "cmd", marked(gated()))), "uid": "mine"})
    said(site, "create", file, out="mine\n")
    begin(site, "mine")
    site.wait_for_mark("gate")
    assert "plan mine is running; stop or cancel it first" in said(site, "delete", "mine", code=2)
    site.open()
    site.ended("mine")
    assert said(site, "delete", "mine") == "mine is deleted\n"
    assert "there is no plan with the uid mine" in said(site, "report", "mine", code=2)
    said(site, "create", file, out="mine\n")
    assert run(site, "mine").attempts == {"gate": 1}


@pytest.mark.parametrize(("answer", "left"), [("n", 1), ("y", 0)])
def test_delete_asks_in_a_terminal(site: Site, answer: str, left: int) -> None:
    uid = site.create(plan(task("a")))
    ours, theirs = pty.openpty()
    try:
        asking = subprocess.Popen(
            [script("solar-orch"), "delete", "last"],
            env=site.env,
            cwd=site.root,
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.write(ours, f"{answer}\n".encode())
        out, error = asking.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert (out, asking.returncode) == ("", 1 if left else 0)
    assert f"Delete the plan {uid}?" in error
    assert len(site.store.plans.summaries()) == left


def test_prune_deletes_what_is_old_and_does_not_run(site: Site, worker: Process) -> None:
    running = begin(site, plan(task("gate", "cmd", marked(gated())), name="running"))
    site.wait_for_mark("gate")
    done = site.create(plan(task("good"), name="done"))
    run(site, done)
    never = site.create(plan(task("good"), name="never"))
    said(site, "prune", "--older-than", "1h")
    said(site, "prune", "--older-than", "0s", "--dry-run", out=f"{done}\n{never}\n")
    shown = json.loads(site.orch("prune", "--older-than", "0s", "--dry-run", "--format", "json").stdout)
    assert shown == [done, never]
    said(site, "prune", "--older-than", "0s", "--status", "finished", "--status", "failed", out=f"{done}\n")
    said(site, "prune", "--older-than", "0s", out=f"{never}\n")
    assert [row.uid for row, _ in site.store.plans.summaries()] == [running]
    wait_until(lambda: [row["task_name"] for row in site.store.log.outcomes(done)] == ["good"])
    site.open()
    assert site.ended(running).status == "finished"


# -- what is refused -----------------------------------------------------------------------------


#: Gives a command that ends with 2 and writes nothing to stdout; what it writes to stderr.
Refused = Callable[..., str]


@pytest.fixture
def refused(site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """In this process, to be quick: no worker is needed."""
    for name, value in site.env.items():
        monkeypatch.setenv(name, value)

    def check(*args: str) -> str:
        with pytest.raises(SystemExit) as stop:
            orch(args, prog_name="solar-orch")
        out, error = capsys.readouterr()
        assert (stop.value.code, out) == (2, ""), error
        return error

    return check


VERBS = {
    "restart": [],
    "resume": [],
    "retry": [],
    "reset": [],
    "stop": [],
    "cancel": [],
    "noop": ["-t", "a"],
    "filter": [],
    "delete": [],
}


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_uid_is_refused(site: Site, refused: Refused, verb: str) -> None:
    uid = site.create(plan(task("a"), name="rollout"))
    error = refused(verb, uid[:-1] + "_", *VERBS[verb])
    assert error.startswith("solar-orch: error: there is no plan with the uid ")
    assert error.endswith(f"; did you mean {uid}?\n")


@pytest.mark.parametrize(
    "args",
    [
        ["retry", "last", "--task"],
        ["cancel", "last", "--task"],
        ["noop", "last", "-t"],
        ["filter", "last", "--start"],
        ["filter", "last", "--end"],
        ["filter", "last", "--task"],
    ],
)
def test_an_unknown_task_is_refused_with_the_name_that_was_meant(
    site: Site, refused: Refused, args: list[str]
) -> None:
    uid = site.create(plan(task("web1.setup"), task("database")))
    error = refused(*args, "web1.stup")
    assert error == f"solar-orch: error: plan {uid} has no task web1.stup; did you mean web1.setup?\n"


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["resume", "last"], "has not been run yet; start it: solar-orch run-once plan:1"),
        (["retry", "last"], "is pending, and none of its tasks is in ERROR"),
        (["retry", "last", "-t", "a"], "can retry tasks in ERROR only, and a is PENDING"),
        (["stop", "last"], "is not running, it is pending"),
        (["cancel", "last"], "is not running, it is pending"),
        (["cancel", "last", "-t", "a"], "can cancel tasks in progress only, and a is PENDING"),
        (["noop", "last", "-t", "b"], "has b in SUCCESS, and only what is ERROR, ERROR_RETRY, PENDING or"),
        (["filter", "last", "--target", "web"], "has no task for the target web; none of its tasks has one"),
        (["filter", "last", "--start", "c"], "c cannot be started alone: it waits for a;"),
    ],
)
def test_what_the_state_does_not_allow_is_refused(
    site: Site, refused: Refused, args: list[str], why: str
) -> None:
    made = plan(task("a"), task("b", status="SUCCESS"), task("c", after=["a", "b"]))
    site.create({**made, "uid": "plan:1"})
    before = site.look("last").report
    assert why in refused(*args)
    assert site.look("last").report == before


@pytest.mark.parametrize(
    "args",
    [
        ["noop", "last"],
        ["restart", "last", "-w", "soon"],
        ["prune"],
        ["prune", "--older-than", "30"],
        ["prune", "--older-than", "-1d"],
        ["prune", "--older-than", "1y"],
        ["prune", "--older-than", "1d", "--status", "running"],
        ["filter", "last", "--format", "xml"],
    ],
)
def test_wrong_usage_is_refused(site: Site, refused: Refused, args: list[str]) -> None:
    site.create(plan(task("a")))
    assert refused(*args).splitlines()[-1].startswith("Error: ")
    assert site.store.plans.get("last").status is PlanStatus.PENDING
