"""What commands do to plans, on a real database and without workers."""

import re

import pytest
import sqlalchemy as sa

from solar_orch.errors import CannotStart, UnknownPlan, UnknownTask, WrongState
from solar_orch.plan.model import OnError, Plan, Task
from solar_orch.plan.verdict import TIMED_OUT, Verdict, after_failure
from solar_orch.states import PlanStatus, State
from solar_orch.store import deletion
from solar_orch.store.instance import command
from solar_orch.store.schema import events, plans, tasks

SUCCESS = Verdict(State.SUCCESS)
FAILED = after_failure(0, 0, "no luck")

#: a -> b -> c, a -> d; e stands alone.
CHAIN = {"a": "", "b": "a", "c": "b", "d": "a", "e": ""}


#: How the states of a plan's tasks are written here.
LETTERS = {
    "P": State.PENDING,
    "I": State.INPROGRESS,
    "S": State.SUCCESS,
    "E": State.ERROR,
    "R": State.ERROR_RETRY,
    "K": State.SKIPPED,
    "N": State.NOOP,
}


def make(store, states="", *, uid="p:1", wanted=False, after=CHAIN):
    """A plan whose tasks are in these states, the rest PENDING."""
    made = [
        Task(name, "noop", status=LETTERS[state], after=before.split())
        for (name, before), state in zip(after.items(), states.ljust(len(after), "P"), strict=True)
    ]
    return store.plans.create(Plan("p", made, uid=uid), wanted=wanted)


def run(store, uid, *names, claimed=True):
    """Have attempts of these tasks in progress."""
    row = store.plans.want(uid)
    leases = [lease for lease in store.leases.open() if lease.uid == uid]
    epoch = store.leases.acquire(leases[0]) if leases else store.leases.mine()[row.id].epoch
    places = {t["name"]: t["position"] for t in store.plans.tasks(row.id)}
    made = store.attempts.dispatch(row.id, epoch, {places[name]: State.PENDING for name in names})
    assert len(made) == len(names)
    return [store.claims.claim(uid, d.name, d.attempt) for d in made] if claimed else made


def end(store, uid, status, *names):
    """Have a plan run these tasks, all of which end well but the last, and end itself."""
    *well, last = run(store, uid, *names)
    for claim in well:
        store.claims.settle(claim, SUCCESS, output="o", result=1)
    store.claims.settle(last, FAILED if status is PlanStatus.FAILED else SUCCESS, output="o")
    row = store.plans.get(uid)
    epoch = store.leases.mine()[row.id].epoch
    assert store.plans.finish(row.id, epoch, row.revision, failed=status is PlanStatus.FAILED)


def states(store, uid="p:1"):
    letters = {state: letter for letter, state in LETTERS.items()}
    return "".join(letters[t["status"]] for t in store.plans.tasks(store.plans.get(uid).id))


def standing(store, uid="p:1"):
    row = store.plans.get(uid)
    return states(store, uid), row.status, row.wanted


def everything(store):
    """All that a verb could have changed."""
    with store.database.read() as connection:
        return [connection.execute(sa.select(table)).all() for table in (plans, tasks, events)]


@pytest.fixture
def refused(store):
    """Whether something is refused with a text, and changes nothing."""

    def check(call, text, kind=WrongState):
        before = everything(store)
        with pytest.raises(kind) as caught:
            call()
        assert re.search(text, str(caught.value)), caught.value
        assert everything(store) == before
        return caught.value

    return check


VERBS = {
    "restart": lambda steering, uid: steering.restart(uid),
    "reset": lambda steering, uid: steering.reset(uid),
    "resume": lambda steering, uid: steering.resume(uid),
    "retry": lambda steering, uid: steering.retry(uid),
    "retry --task": lambda steering, uid: steering.retry(uid, "a"),
    "stop": lambda steering, uid: steering.stop(uid),
    "cancel": lambda steering, uid: steering.cancel(uid),
    "cancel --task": lambda steering, uid: steering.cancel_task(uid, "a"),
    "noop": lambda steering, uid: steering.noop(uid, ["a"]),
    "filter": lambda steering, uid: steering.filter(uid, end=["a"]),
    "filter --dry-run": lambda steering, uid: steering.filter(uid, end=["a"], dry_run=True),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_plan_that_there_is_not_is_refused(store, verb):
    make(store, uid="plan:1")
    with pytest.raises(UnknownPlan) as caught:
        VERBS[verb](store.steering, "plan:2")
    assert caught.value.similar == ["plan:1"]


@pytest.mark.parametrize(
    "call",
    [
        lambda steering: steering.retry("p:1", "web2"),
        lambda steering: steering.cancel_task("p:1", "web2"),
        lambda steering: steering.noop("p:1", ["web1", "web2"]),
        lambda steering: steering.filter("p:1", start=["web2"]),
        lambda steering: steering.filter("p:1", end=["web2"]),
        lambda steering: steering.filter("p:1", names=["web1", "web2"]),
    ],
)
def test_a_task_that_there_is_not_is_refused_with_the_name_that_was_meant(store, refused, call):
    make(store, after={"web1": "", "database": ""})
    error = refused(lambda: call(store.steering), "plan p:1 has no task web2; did you mean web1", UnknownTask)
    assert (error.plan_uid, error.name, error.similar) == ("p:1", "web2", ["web1"])


# -- restart, reset ------------------------------------------------------------------------


def test_restart_and_reset_let_all_tasks_begin_anew(store):
    for verb, status, wanted in (("restart", PlanStatus.RUNNING, True), ("reset", PlanStatus.PENDING, False)):
        uid = make(store, "PPNKR", uid=verb)
        end(store, uid, PlanStatus.FAILED, "a", "b")
        revision = store.plans.get(uid).revision
        assert states(store, uid) == "SENKR"
        assert getattr(store.steering, verb)(uid).changed == 5
        assert standing(store, uid) == ("PPPPP", status, wanted)
        assert store.plans.get(uid).revision == revision + 1
        for task, attempt in zip(store.plans.tasks(store.plans.get(uid).id), (1, 1, 0, 0, 0), strict=True):
            # What fences attempts never goes back.
            assert task["attempt"] == attempt
            assert {task[column] for column in ("failures", "losses")} == {0}
            for column in ("errmsg", "output", "result", "worker", "kill", "start_time", "end_time"):
                assert task[column] is None
        with store.database.read() as connection:
            assert (
                connection.execute(sa.text("SELECT count(*) FROM tasks WHERE result IS NOT NULL")).scalar()
                == 0
            )


def test_each_task_that_is_changed_has_an_event_by_the_command(store):
    uid = make(store, "SE")
    store.steering.restart(uid)
    made = store.events.all(store.plans.get(uid).id)
    assert [(e["name"], e["old"], e["new"], e["by"]) for e in made] == [
        ("a", "SUCCESS", "PENDING", command("restart")),
        ("b", "ERROR", "PENDING", command("restart")),
    ]
    assert re.fullmatch(r"solar-orch restart \(.+@.+\)", command("restart"))


def test_the_name_of_a_command_is_cut_to_what_fits(monkeypatch):
    monkeypatch.setenv("LOGNAME", "x" * 100)
    assert command("restart") == "solar-orch restart (" + "x" * 43 + ")"


@pytest.mark.parametrize("verb", ["restart", "reset", "filter", "filter --dry-run"])
def test_what_needs_a_plan_at_rest_is_refused_while_it_runs(store, refused, verb):
    def call():
        VERBS[verb](store.steering, "p:1")

    make(store, wanted=True)
    refused(call, "^plan p:1 is running; stop or cancel it first: solar-orch stop p:1$")
    run(store, "p:1", "a", "e")
    refused(
        call, "^plan p:1 is running: 2 tasks are in progress; stop or cancel it first: solar-orch stop p:1$"
    )
    store.steering.stop("p:1")
    refused(call, "is stopped, but 2 tasks are in progress still; wait .*: solar-orch cancel p:1$")


# -- resume ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [PlanStatus.FAILED, PlanStatus.FINISHED])
def test_resume_goes_on_with_what_is_skipped(store, status):
    make(store, "PPPKK")
    end(store, "p:1", status, "a", "b")
    after = states(store)
    assert store.steering.resume("p:1").changed == 2
    assert standing(store) == (after.replace("K", "P"), PlanStatus.RUNNING, True)


def test_resume_of_a_plan_that_was_stopped_while_something_runs(store):
    make(store)
    run(store, "p:1", "a")
    store.steering.stop("p:1")
    assert states(store) == "IKKKK"
    store.steering.resume("p:1")
    assert standing(store) == ("IPPPP", PlanStatus.RUNNING, True)


def test_resume_of_a_plan_that_was_paused_has_nothing_to_change(store):
    make(store, "S", wanted=True)
    store.plans.pause("p:1")
    assert store.steering.resume("p:1").changed == 0
    assert standing(store) == ("SPPPP", PlanStatus.RUNNING, True)


def test_resume_goes_on_below_what_failed_and_counts_as_done_now(store):
    make(store)
    end(store, "p:1", PlanStatus.FAILED, "a")
    store.steering.noop("p:1", ["a"])
    assert store.steering.resume("p:1").changed == 0
    assert standing(store) == ("NPPPP", PlanStatus.RUNNING, True)


def test_resume_is_refused_where_there_is_nothing_to_go_on_with(store, refused):
    make(store, "K")
    refused(lambda: store.steering.resume("p:1"), "has not been run yet; start it: solar-orch run-once p:1$")
    store.plans.want("p:1")
    refused(lambda: store.steering.resume("p:1"), "is running already$")
    make(store, uid="p:2", after={"a": "", "b": ""})
    end(store, "p:2", PlanStatus.FAILED, "a", "b")
    refused(
        lambda: store.steering.resume("p:2"),
        "is failed, and none of its tasks is SKIPPED; run again what has failed: solar-orch retry p:2$",
    )


# -- retry -----------------------------------------------------------------------------------


def test_retry_runs_what_failed_and_all_below_it_again(store):
    make(store, "PPKSN")
    end(store, "p:1", PlanStatus.FAILED, "a")
    assert states(store) == "EPKSN"
    assert store.steering.retry("p:1").changed == 3
    assert standing(store) == ("PPPPN", PlanStatus.RUNNING, True)
    assert store.plans.tasks(store.plans.get("p:1").id)[0]["attempt"] == 1


def test_retry_of_one_task_leaves_the_others(store):
    make(store, "SEKSE")
    assert store.steering.retry("p:1", "b").changed == 2
    assert states(store) == "SPPSE"


def test_retry_of_a_plan_that_runs(store):
    make(store, "SPPPP")
    run(store, "p:1", "d", "b")
    claim = run(store, "p:1", "e")[0]
    store.claims.settle(claim, FAILED)
    store.steering.retry("p:1")
    assert standing(store) == ("SIPIP", PlanStatus.RUNNING, True)


def test_retry_is_refused_while_something_below_runs(store, refused):
    after = {"a": "", "b": "a", "c": "b"}
    made = [
        Task(name, "noop", after=before.split(), on_error=OnError.IGNORE) for name, before in after.items()
    ]
    made[0].status = State.ERROR
    store.plans.create(Plan("p", made, uid="p:1"))
    run(store, "p:1", "b")
    error = refused(lambda: store.steering.retry("p:1"), "is running b, which would have to run again")
    assert error.remedy == "wait for its end, or cancel it: solar-orch cancel p:1 --task b"


def test_retry_is_refused_without_an_error(store, refused):
    make(store, "SK")
    refused(lambda: store.steering.retry("p:1"), "is pending, and none of its tasks is in ERROR$")
    refused(lambda: store.steering.retry("p:1", "a"), "can retry tasks in ERROR only, and a is SUCCESS$")


# -- stop, cancel ------------------------------------------------------------------------------


def test_stop_skips_what_has_not_been_claimed(store):
    make(store)
    run(store, "p:1", "a")
    run(store, "p:1", "e", claimed=False)
    assert store.steering.stop("p:1").changed == 4
    assert standing(store) == ("IKKKK", PlanStatus.STOPPED, False)
    made = store.events.all(store.plans.get("p:1").id)
    assert {e["by"] for e in made if e["new"] == "SKIPPED"} == {command("stop")}


def test_stop_and_cancel_of_a_plan_that_does_not_run_are_refused(store, refused):
    make(store)
    refused(lambda: store.steering.stop("p:1"), "is not running, it is pending$")
    refused(lambda: store.steering.cancel("p:1"), "is not running, it is pending$")
    refused(
        lambda: store.steering.cancel_task("p:1", "a"), "can cancel tasks in progress only, and a is PENDING$"
    )
    run(store, "p:1", "a")
    store.steering.stop("p:1")
    refused(
        lambda: store.steering.stop("p:1"),
        "has been stopped already, and 1 task is in progress still; kill what runs: solar-orch cancel p:1$",
    )


def test_cancel_stops_and_wishes_to_kill_what_runs(store):
    make(store)
    a, e = run(store, "p:1", "a", "e")
    cancelled = store.steering.cancel("p:1")
    assert cancelled.changed == 3
    reason = f"cancelled by {command('cancel')}"
    assert [(kill.name, kill.attempt, kill.reason) for kill in cancelled.to_kill] == [
        ("a", 1, reason),
        ("e", 1, reason),
    ]
    assert standing(store) == ("IKKKI", PlanStatus.STOPPED, False)
    assert store.claims.beat([a, e], patience=1) == {a.id: (1, reason), e.id: (1, reason)}
    # One that ends by itself before it is killed has ended so; one that fails is not tried again.
    store.claims.settle(a, SUCCESS)
    store.claims.settle(e, after_failure(0, 5, "terminated"))
    assert states(store) == "SKKKE"
    assert store.plans.tasks(store.plans.get("p:1").id)[4]["errmsg"] == reason


def test_cancel_of_a_plan_that_was_stopped_kills_what_still_runs(store):
    make(store)
    run(store, "p:1", "a")
    store.steering.stop("p:1")
    cancelled = store.steering.cancel("p:1")
    assert (cancelled.changed, [kill.name for kill in cancelled.to_kill]) == (0, ["a"])


def test_cancel_of_one_task_lets_the_plan_go_on(store):
    make(store)
    a, _ = run(store, "p:1", "a", "e")
    assert [kill.name for kill in store.steering.cancel_task("p:1", "a").to_kill] == ["a"]
    assert standing(store) == ("IPPPI", PlanStatus.RUNNING, True)
    assert store.claims.beat([a], patience=1)[a.id][1] == f"cancelled by {command('cancel')}"


def test_cancel_of_a_task_that_nobody_has_claimed_ends_it(store):
    make(store)
    run(store, "p:1", "a", claimed=False)
    cancelled = store.steering.cancel_task("p:1", "a")
    assert (cancelled.changed, cancelled.to_kill) == (1, [])
    task = store.plans.tasks(store.plans.get("p:1").id)[0]
    assert (task["status"], task["errmsg"]) == ("ERROR", f"cancelled by {command('cancel')}")
    assert store.claims.claim("p:1", "a", 1) is None


def test_the_first_wish_to_kill_stands_but_outdoes_a_timeout(store):
    make(store)
    a, e = run(store, "p:1", "a", "e")
    with store.database.engine().begin() as connection:
        connection.execute(sa.update(tasks).where(tasks.c.id == a.id).values(kill=TIMED_OUT))
        connection.execute(sa.update(tasks).where(tasks.c.id == e.id).values(kill="mine"))
    reasons = [kill.reason for kill in store.steering.cancel("p:1").to_kill]
    assert reasons == [f"cancelled by {command('cancel')}", "mine"]


# -- noop ------------------------------------------------------------------------------------


def test_noop_lets_tasks_count_as_done(store):
    make(store, "PERKS", wanted=True)
    assert store.steering.noop("p:1", ["a", "b", "c", "d"]).changed == 4
    assert standing(store) == ("NNNNS", PlanStatus.RUNNING, True)


def test_noop_changes_all_or_nothing(store, refused):
    make(store)
    run(store, "p:1", "a")
    error = refused(lambda: store.steering.noop("p:1", ["b", "a"]), "has a in INPROGRESS, and only what is ")
    assert "ERROR, ERROR_RETRY, PENDING or SKIPPED can become NOOP" in error.problem
    assert error.remedy == "cancel it: solar-orch cancel p:1 --task a"
    make(store, "SN", uid="p:2")
    refused(lambda: store.steering.noop("p:2", ["c", "a"]), "has a in SUCCESS")
    refused(lambda: store.steering.noop("p:2", ["b"]), "has b in NOOP")


# -- filter ----------------------------------------------------------------------------------


def test_filter_skips_what_is_not_chosen_and_takes_that_back(store):
    make(store)
    filtered = store.steering.filter("p:1", end=["b"], names=["e"])
    assert (filtered.runs, filtered.skipped) == (["a", "b", "e"], ["c", "d"])
    assert standing(store) == ("PPKKP", PlanStatus.PENDING, False)
    assert store.steering.filter("p:1", start=["a"]).skipped == ["e"]
    assert states(store) == "PPPPK"
    assert store.steering.filter("p:1").skipped == []
    assert states(store) == "PPPPP"


def test_filter_by_target(store, refused):
    made = [Task(name, "noop", target=target) for name, target in (("x", "web1"), ("y", None))]
    store.plans.create(Plan("p", made, uid="p:1"))
    assert store.steering.filter("p:1", targets=["web1"]).skipped == ["y"]
    refused(
        lambda: store.steering.filter("p:1", targets=["web2"]),
        "no task for the target web2; there are: web1$",
    )


def test_a_dry_run_writes_nothing(store):
    make(store, "PPK")
    before = everything(store)
    assert store.steering.filter("p:1", end=["a"], dry_run=True).skipped == ["b", "c", "d", "e"]
    assert everything(store) == before


def test_a_filter_that_cannot_be_is_refused(store, refused):
    make(store)
    refused(lambda: store.steering.filter("p:1", start=["b"]), "it waits for a;", CannotStart)


def test_a_filter_is_chosen_anew_if_the_plan_was_steered_meanwhile(store, monkeypatch):
    make(store)
    read = store.steering._apply

    def steered_before(choice, seen):
        monkeypatch.undo()
        store.steering.noop("p:1", ["a", "b"])
        return read(choice, seen)

    monkeypatch.setattr(store.steering, "_apply", steered_before)
    filtered = store.steering.filter("p:1", end=["c"])
    assert (filtered.runs, filtered.skipped) == (["c"], ["d", "e"])
    assert states(store) == "NNPKK"


# -- delete, prune -------------------------------------------------------------------------------


def rows(store):
    with store.database.read() as connection:
        count = "SELECT (SELECT count(*) FROM {}), (SELECT count(*) FROM {}), (SELECT count(*) FROM {})"
        return tuple(connection.execute(sa.text(count.format("tasks", "edges", "events"))).one())


def test_delete_takes_all_that_belongs_to_the_plan_and_nothing_else(store):
    make(store, uid="other")
    end(store, "other", PlanStatus.FAILED, "a")
    kept = rows(store)
    make(store)
    end(store, "p:1", PlanStatus.FINISHED, "a", "b")
    assert rows(store) != kept
    assert store.deletion.delete("last") == "p:1"
    assert rows(store) == kept
    assert [plan.uid for plan, _ in store.plans.summaries()] == ["other"]
    # The uid is free again.
    make(store)
    assert standing(store) == ("PPPPP", PlanStatus.PENDING, False)


def test_the_system_log_keeps_what_it_had_not_read_yet(store):
    make(store)
    end(store, "p:1", PlanStatus.FINISHED, "a", "b")
    assert store.log.outcomes("p:1") == []
    store.deletion.delete("p:1")
    assert [outcome["task_name"] for outcome in store.log.outcomes("p:1")] == ["a", "b"]


def test_delete_is_refused_while_the_plan_runs(store, refused):
    make(store, wanted=True)
    refused(lambda: store.deletion.delete("p:1"), "is running; stop or cancel it first: solar-orch stop p:1$")
    run(store, "p:1", "a")
    store.steering.stop("p:1")
    refused(lambda: store.deletion.delete("p:1"), "some of its tasks are in progress still; wait")
    refused(lambda: store.deletion.delete("p:2"), "did you mean p:1", UnknownPlan)


def test_what_an_interrupted_delete_leaves_behind_is_deleted_by_the_next(store, monkeypatch):
    monkeypatch.setattr(deletion, "_STEP", 3)
    make(store)
    end(store, "p:1", PlanStatus.FINISHED, "a", "b")
    writes = []
    write = store.database.write

    def stopped_midway(work, point=None, **options):
        writes.append(point)
        if len(writes) == 4:  # the log has been entered, the plan deleted, and a step swept
            raise KeyboardInterrupt
        return write(work, point, **options)

    monkeypatch.setattr(store.database, "write", stopped_midway)
    with pytest.raises(KeyboardInterrupt):
        store.deletion.delete("p:1")
    assert "sweep" in writes
    assert rows(store) != (0, 0, 0)
    with pytest.raises(UnknownPlan):
        store.plans.get("p:1")
    make(store)
    store.deletion.delete("p:1")
    assert rows(store) == (0, 0, 0)


def aged(store, uid, seconds):
    """Let all that has happened to a plan have happened so long ago."""
    with store.database.engine().begin() as connection:
        row = store.plans.get(uid)
        connection.execute(
            sa.update(plans).where(plans.c.id == row.id).values(created_at=row.created_at - seconds)
        )
        connection.execute(
            sa.update(events).where(events.c.plan_id == row.id).values(at=events.c.at - seconds)
        )


def test_old_plans_are_those_of_which_nothing_has_happened_for_long(store):
    for uid in ("young", "never", "done", "steered", "wanted", "stopping"):
        make(store, uid=uid, after={"a": "", "b": ""})
    end(store, "done", PlanStatus.FAILED, "a", "b")
    run(store, "stopping", "a")
    store.plans.stop("stopping")
    store.plans.want("wanted")
    for uid in ("never", "done", "steered", "wanted", "stopping"):
        aged(store, uid, 1000)
    store.steering.noop("steered", ["a"])
    assert store.deletion.old(900) == ["never", "done"]
    assert store.deletion.old(900, [PlanStatus.FAILED]) == ["done"]
    assert store.deletion.old(1100) == []
    assert store.deletion.delete_old("done", 900)
    assert not store.deletion.delete_old("done", 900)
    assert not store.deletion.delete_old("steered", 900)
    assert store.deletion.old(900) == ["never"]
