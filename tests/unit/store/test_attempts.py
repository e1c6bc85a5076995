"""The life of attempts and leases, by two processes' names on one real database."""

import gevent
import pytest

from solar_orch.errors import PlanExists, UnknownPlan
from solar_orch.plan.model import OnLost, Plan, Task
from solar_orch.plan.verdict import TIMED_OUT, Verdict, after_failure
from solar_orch.states import PlanStatus, State
from solar_orch.store import Store, attempts, bulk, claims, events, leases, plans, transitions, workers
from solar_orch.store.claims import Standing

SUCCESS = Verdict(State.SUCCESS)


@pytest.fixture
def acting_as(monkeypatch):
    """Take another process's name."""

    def take(name):
        for module in (attempts, bulk, claims, events, leases, plans, transitions, workers):
            monkeypatch.setattr(module, "instance", lambda: name)

    take("one")
    return take


@pytest.fixture
def plan(store, acting_as):
    tasks = [Task("a", "cmd", ["x"], retry=1), Task("b.run", "noop", after=["a"])]
    uid = store.plans.create(Plan("p", tasks), wanted=True)
    epoch = store.leases.acquire(store.leases.open()[0])
    return store.plans.get(uid), epoch


def dispatch(store, plan, position=0, state=State.PENDING):
    row, epoch = plan
    return store.attempts.dispatch(row.id, epoch, {position: state})


def lead(plan):
    return plan[0].id, plan[1]


def status(store, plan, position=0):
    return store.plans.tasks(plan[0].id)[position]["status"]


def test_an_attempt_is_dispatched_claimed_and_settled_once(store, plan):
    uid = plan[0].uid
    (sent,) = dispatch(store, plan)
    assert (sent.name, sent.type, sent.args, sent.attempt) == ("a", "cmd", ["x"], 1)
    assert dispatch(store, plan) == []
    claim = store.claims.claim(uid, "a", 1)
    assert claim is not None
    assert store.claims.claim(uid, "a", 1) is None
    assert store.claims.settle(claim, SUCCESS, output="o", result=[1]).counts
    assert store.claims.settle(claim, after_failure(0, 0, "late")) == Standing(False, State.SUCCESS, 1)
    row = store.plans.tasks(plan[0].id)[0]
    assert (row["status"], row["output"], row["result"], row["errmsg"]) == ("SUCCESS", "o", [1], None)
    assert [(e.old, e.new) for e in store.events.after(plan[0].id, 0)] == [
        (State.PENDING, State.INPROGRESS),
        (State.INPROGRESS, State.SUCCESS),
    ]


def test_a_wrong_attempt_or_an_unwanted_plan_is_not_claimed(store, plan):
    dispatch(store, plan)
    assert store.claims.claim(plan[0].uid, "a", 2) is None
    store.plans.pause(plan[0].uid)
    assert store.claims.claim(plan[0].uid, "a", 1) is None
    assert status(store, plan) == State.PENDING


def test_what_was_decided_before_the_plan_was_steered_is_not_done(store, plan):
    row, epoch = plan
    store.plans.want(row.uid)
    wish = {0: State.PENDING}
    assert store.attempts.dispatch(row.id, epoch, wish, revision=row.revision) == []
    assert store.attempts.pass_over(row.id, epoch, wish, revision=row.revision) == set()
    now = store.plans.get(row.uid).revision
    assert store.attempts.pass_over(row.id, epoch, {1: State.PENDING}, revision=now) == {1}
    assert len(store.attempts.dispatch(row.id, epoch, wish, revision=now)) == 1


def test_nothing_is_passed_over_in_a_plan_that_is_not_wanted(store, plan):
    store.plans.pause(plan[0].uid)
    assert store.attempts.pass_over(*lead(plan), {0: State.PENDING}) == set()


def test_a_message_of_a_plan_that_had_the_same_uid_claims_nothing(store, plan):
    dispatch(store, plan)
    uid, id_ = plan[0].uid, plan[0].id
    assert store.claims.claim(uid, "a", 1, id_ + 1) is None
    assert store.claims.claim(uid, "a", 1, id_) is not None


def test_who_lost_the_lease_dispatches_nothing(store, plan, acting_as):
    acting_as("two")
    (lease,) = store.leases.open()
    assert store.leases.acquire(lease) == 2
    acting_as("one")
    assert dispatch(store, plan) == []
    assert store.leases.renew(patience=1) == {}
    assert store.attempts.take_back(plan[0].id, plan[1]) == 0


def test_a_lease_that_moved_is_not_taken(store, plan, acting_as):
    acting_as("two")
    (lease,) = store.leases.open()
    acting_as("one")
    store.leases.renew(patience=1)
    acting_as("two")
    assert store.leases.acquire(lease) is None


def test_somebody_elses_claim_is_not_settled(store, plan, acting_as):
    dispatch(store, plan)
    acting_as("worker")
    claim = store.claims.claim(plan[0].uid, "a", 1)
    acting_as("other")
    assert not store.claims.settle(claim, SUCCESS).counts
    assert store.claims.beat([claim], patience=1) == {}
    assert status(store, plan) == State.INPROGRESS


def test_an_attempt_is_lost_only_while_its_beat_stands_still(store, plan):
    dispatch(store, plan)
    claim = store.claims.claim(plan[0].uid, "a", 1)
    (seen,) = store.attempts.running()
    store.claims.beat([claim], patience=1)
    assert store.attempts.lose(seen, lost_limit=3) is None
    (seen,) = store.attempts.running()
    assert store.attempts.lose(seen, lost_limit=3) == State.PENDING
    assert not store.claims.settle(claim, SUCCESS).counts


def test_too_many_lost_attempts_are_an_error(store, plan):
    for attempt in (1, 2):
        dispatch(store, plan)
        store.claims.claim(plan[0].uid, "a", attempt)
        new = store.attempts.lose(store.attempts.running()[0], lost_limit=2)
    assert new == State.ERROR
    assert "lost" in store.plans.tasks(plan[0].id)[0]["errmsg"]


def test_an_unclaimed_attempt_expires_at_once_a_claimed_one_by_its_worker(store, plan):
    dispatch(store, plan)
    assert store.attempts.expire(*lead(plan), 0, 1, "too late")
    assert status(store, plan) == State.ERROR_RETRY
    dispatch(store, plan, state=State.ERROR_RETRY)
    claim = store.claims.claim(plan[0].uid, "a", 2)
    assert not store.attempts.expire(*lead(plan), 0, 2, "too late")
    assert status(store, plan) == State.INPROGRESS
    assert store.claims.beat([claim], patience=1) == {claim.id: (2, TIMED_OUT)}


def test_stop_skips_what_was_not_claimed(store, plan):
    dispatch(store, plan)
    store.plans.stop(plan[0].uid)
    assert [t["status"] for t in store.plans.tasks(plan[0].id)] == ["SKIPPED", "SKIPPED"]
    assert store.plans.get(plan[0].uid).status == PlanStatus.STOPPED
    assert store.claims.claim(plan[0].uid, "a", 1) is None


def test_stop_lets_what_runs_end(store, plan):
    dispatch(store, plan)
    claim = store.claims.claim(plan[0].uid, "a", 1)
    store.plans.stop(plan[0].uid)
    assert store.claims.settle(claim, SUCCESS).counts
    assert [t["status"] for t in store.plans.tasks(plan[0].id)] == ["SUCCESS", "SKIPPED"]


def test_a_plan_is_finished_by_its_leader_only(store, plan):
    row, epoch = plan
    assert not store.plans.finish(row.id, epoch + 1, row.revision, failed=False)
    assert store.plans.finish(row.id, epoch, row.revision, failed=True)
    assert store.plans.get(row.uid).status == PlanStatus.FAILED
    assert store.leases.open() == []


def test_a_uid_is_taken_once(store):
    plan = Plan("p", [Task("a", "noop")], uid="p:1")
    store.plans.create(plan)
    with pytest.raises(PlanExists):
        store.plans.create(plan)
    assert len(store.plans.summaries()) == 1


def test_an_unknown_uid_is_told_with_what_was_meant(store):
    with pytest.raises(UnknownPlan, match="no plan yet"):
        store.plans.get("last")
    store.plans.create(Plan("p", [Task("a", "noop")], uid="rollout:1"))
    with pytest.raises(UnknownPlan, match="did you mean rollout:1"):
        store.plans.get("rolout:1")


def test_the_model_comes_back_as_it_was_written(store):
    plan = Plan("p", [Task("a", "cmd", ["x", 1], {"k": None}, "n", 1.5, 2.0, 3, 4, "r", 5.0),
                      Task("b", "noop", after=["a"])], uid="p:1")  # fmt: skip
    store.plans.create(plan)
    assert store.plans.model("p:1") == plan


# -- the system log -------------------------------------------------------------------


def end(store, plan, position, name, new, attempt=1, state=State.PENDING):
    dispatch(store, plan, position, state)
    claim = store.claims.claim(plan[0].uid, name, attempt)
    assert store.claims.settle(claim, Verdict(new, "bad" if new != State.SUCCESS else None)).counts


def test_each_outcome_is_entered_once(store, plan):
    end(store, plan, 0, "a", State.ERROR_RETRY)
    end(store, plan, 0, "a", State.SUCCESS, 2, State.ERROR_RETRY)
    assert store.log.catch_up() == 2
    assert store.log.catch_up() == 0
    outcomes = [(o["task_name"], o["attempt"], o["status"]) for o in store.log.outcomes(plan[0].uid)]
    assert outcomes == [("a", 1, "ERROR_RETRY"), ("a", 2, "SUCCESS")]


def test_attempts_that_were_handed_back_have_no_outcome(store, plan):
    dispatch(store, plan)
    store.attempts.take_back(*[plan[0].id, plan[1]])
    assert store.log.catch_up() == 0


def test_a_staged_change_goes_to_the_history_with_its_task(store, plan):
    item = store.log.stage("b", "run", {"x": 1}, ["t"])
    store.log.stage("c", "run")
    end(store, plan, 1, "b.run", State.SUCCESS)
    store.log.catch_up()
    assert [(i["id"], i["state"], i["diff"], i["tags"]) for i in store.log.history()] == [
        (item, "success", {"x": 1}, ["t"])
    ]
    assert [i["resource"] for i in store.log.staged()] == ["c"]


def test_a_staged_change_is_marked_when_its_task_fails(store, plan):
    store.log.stage("b", "run")
    end(store, plan, 1, "b.run", State.ERROR)
    store.log.catch_up()
    (item,) = store.log.staged()
    assert (item["state"], item["errmsg"], item["plan_uid"]) == ("error", "bad", plan[0].uid)


def test_a_change_staged_after_the_task_ended_stays(store, plan):
    end(store, plan, 1, "b.run", State.SUCCESS)
    store.log.stage("b", "run")
    store.log.catch_up()
    assert len(store.log.staged()) == 1


# -- workers ---------------------------------------------------------------------------


def test_workers_come_and_go(store, acting_as):
    store.workers.beat("tasks", "ipc:///x")
    store.workers.beat("tasks", "ipc:///x")
    acting_as("two")
    store.workers.beat("tasks", "ipc:///y")
    assert sorted(w.address for w in store.workers.all("tasks")) == ["ipc:///x", "ipc:///y"]
    assert all(0 <= w.age < 60 for w in store.workers.all())
    store.workers.leave("tasks")
    assert [w.instance for w in store.workers.all()] == ["one"]


def test_two_stores_see_each_other(conf, store):
    other = Store(conf)
    uid = store.plans.create(Plan("p", [Task("a", "noop")]))
    assert other.plans.get("last").uid == uid
    other.close()


def test_an_attempt_that_cannot_be_sent_ends_in_error(store, plan):
    dispatch(store, plan)
    assert not store.attempts.refuse(plan[0].uid, "a", 2, "too large")
    assert store.attempts.refuse(plan[0].uid, "a", 1, "too large")
    assert store.plans.tasks(plan[0].id)[0]["errmsg"] == "too large"
    dispatch(store, plan, 1)
    store.claims.claim(plan[0].uid, "b.run", 1)
    assert not store.attempts.refuse(plan[0].uid, "b.run", 1, "too late")


# -- what was to be killed, and what must not be run again --------------------------------


def test_a_kill_is_recorded_and_read_with_the_heartbeat(store, plan):
    uid = plan[0].uid
    assert not store.attempts.kill(uid, "a", None, "not today")
    dispatch(store, plan)
    claim = store.claims.claim(uid, "a", 1)
    assert not store.attempts.kill(uid, "a", 2, "another attempt")
    assert store.attempts.kill(uid, "a", 1, "not today")
    assert store.attempts.kill(uid, "a", None, "too late: the first reason stands")
    store.attempts.expire(*lead(plan), 0, 1, "late")
    assert store.claims.beat([claim], patience=1) == {claim.id: (1, "not today")}


def test_a_kill_outdoes_a_timeout(store, plan):
    dispatch(store, plan)
    claim = store.claims.claim(plan[0].uid, "a", 1)
    store.attempts.expire(*lead(plan), 0, 1, "late")
    store.attempts.kill(plan[0].uid, "a", 1, "not today")
    assert store.claims.beat([claim], patience=1) == {claim.id: (1, "not today")}


def test_what_was_to_be_killed_and_failed_by_itself_is_not_tried_again(store, plan):
    dispatch(store, plan)
    claim = store.claims.claim(plan[0].uid, "a", 1)
    store.attempts.kill(plan[0].uid, "a", 1, "not today")
    assert store.claims.settle(claim, after_failure(0, 1, "by itself")) == Standing(True, State.ERROR, 1)
    assert store.plans.tasks(plan[0].id)[0]["errmsg"] == "not today"


def test_what_was_to_be_killed_and_succeeded_has_succeeded(store, plan):
    dispatch(store, plan)
    claim = store.claims.claim(plan[0].uid, "a", 1)
    store.attempts.kill(plan[0].uid, "a", 1, "not today")
    assert store.claims.settle(claim, SUCCESS) == Standing(True, State.SUCCESS, 1)


def test_what_was_to_be_killed_and_was_given_back_is_not_made_again(store, plan):
    dispatch(store, plan)
    store.claims.claim(plan[0].uid, "a", 1)
    store.attempts.kill(plan[0].uid, "a", 1, "not today")
    assert store.claims.disclaim(plan[0].uid, "a", 1)
    assert status(store, plan) == State.ERROR


def test_what_nobody_has_claimed_is_killed_at_once(store, plan):
    dispatch(store, plan)
    assert store.attempts.kill(plan[0].uid, "a", None, "not today")
    row = store.plans.tasks(plan[0].id)[0]
    assert (row["status"], row["errmsg"]) == ("ERROR", "not today")
    assert store.claims.claim(plan[0].uid, "a", 1) is None


@pytest.mark.parametrize("end", ["lose", "hand back"])
@pytest.mark.parametrize(("reason", "state"), [("not today", "ERROR"), (TIMED_OUT, "ERROR_RETRY")])
def test_what_was_to_be_killed_is_not_run_again_though_its_worker_went(store, plan, end, reason, state):
    dispatch(store, plan)
    claim = store.claims.claim(plan[0].uid, "a", 1)
    store.attempts.kill(plan[0].uid, "a", 1, reason)
    if end == "lose":
        assert store.attempts.lose(store.attempts.running()[0], lost_limit=9) == state
    else:
        assert store.claims.hand_back(claim, "the worker stops") == Standing(True, State(state), 1)
    row = store.plans.tasks(plan[0].id)[0]
    assert (row["status"], row["failures"]) == (state, 1)


@pytest.mark.parametrize("end", ["lose", "hand back"])
def test_a_task_that_must_not_run_twice_ends_in_error(store, acting_as, end):
    uid = store.plans.create(Plan("p", [Task("a", "cmd", on_lost=OnLost.ERROR, retry=5)]), wanted=True)
    epoch = store.leases.acquire(store.leases.open()[0])
    store.attempts.dispatch(1, epoch, {0: State.PENDING})
    claim = store.claims.claim(uid, "a", 1)
    if end == "lose":
        assert store.attempts.lose(store.attempts.running()[0], lost_limit=9) == State.ERROR
    else:
        assert store.claims.hand_back(claim, "the worker stops").status == State.ERROR
    assert store.plans.tasks(1)[0]["errmsg"].endswith("it is not run again (on_lost: error)")


def test_a_claim_tells_under_whom_earlier_attempts_were_lost(store, plan, acting_as):
    for attempt, name in enumerate(("h:m:1:a", "h:m:2:b"), 1):
        acting_as("one")
        dispatch(store, plan)
        acting_as(name)
        assert len(store.claims.claim(plan[0].uid, "a", attempt).lost_workers) == attempt - 1
        acting_as("one")
        store.attempts.lose(store.attempts.running()[0], lost_limit=9)
    dispatch(store, plan)
    assert store.claims.claim(plan[0].uid, "a", 3).lost_workers == ("h:m:1:a", "h:m:2:b")


def test_a_claim_of_which_the_answer_was_lost_is_given_back(store, plan, acting_as):
    dispatch(store, plan)
    store.claims.claim(plan[0].uid, "a", 1)
    acting_as("other")
    assert not store.claims.disclaim(plan[0].uid, "a", 1)
    acting_as("one")
    assert store.claims.disclaim(plan[0].uid, "a", 1)
    assert status(store, plan) == State.PENDING


def test_who_lost_the_lease_changes_nothing(store, plan, acting_as):
    dispatch(store, plan)
    old = plan[1]
    acting_as("two")
    (lease,) = store.leases.open()
    store.leases.acquire(lease)
    acting_as("one")
    assert not store.attempts.expire(plan[0].id, old, 0, 1, "too late")
    assert not store.attempts.refuse(plan[0].uid, "a", 1, "too large")
    assert not store.plans.finish(plan[0].id, old, plan[0].revision, failed=False)
    store.leases.release(plan[0].id, old)
    assert (status(store, plan), store.plans.get("last").lease_owner) == (State.INPROGRESS, "two")


# -- many at once ------------------------------------------------------------------------


@pytest.fixture
def together(conf):
    """What is written through it at the same time is one transaction."""
    store = Store(conf, grouped=True)
    yield store
    store.close()


@pytest.fixture
def wide(store, acting_as):
    tasks = [Task(f"t{n}", "noop", [n], {"n": n}, retry=n % 2) for n in range(50)]
    uid = store.plans.create(Plan("wide", tasks), wanted=True)
    epoch = store.leases.acquire(store.leases.open()[0])
    return store.plans.get(uid), epoch


def at_once(*calls):
    greenlets = [gevent.spawn(call) for call in calls]
    gevent.joinall(greenlets, timeout=30, raise_error=True)
    return [greenlet.value for greenlet in greenlets]


def test_of_those_who_claim_at_once_one_gets_the_attempt(store, together, wide):
    store.attempts.dispatch(*lead(wide), dict.fromkeys(range(50), State.PENDING))
    names = [f"t{n}" for n in range(50)] * 3
    got = at_once(*(lambda name=name: together.claims.claim(wide[0].uid, name, 1) for name in names))
    assert [claim is not None for claim in got] == [True] * 50 + [False] * 100
    assert len({claim.id for claim in got if claim}) == 50


def test_attempts_are_made_in_the_order_that_is_asked_for(store, wide):
    order = [7, 3, 41, 0]
    made = store.attempts.dispatch(*lead(wide), dict.fromkeys(order, State.PENDING))
    assert [(one.position, one.name, one.args, one.kwargs) for one in made] == [
        (n, f"t{n}", [n], {"n": n}) for n in order
    ]
    assert [event.position for event in store.events.after(wide[0].id, 0)] == order


def test_what_this_process_has_started_can_be_left_out(store, wide, acting_as):
    store.attempts.dispatch(*lead(wide), {0: State.PENDING})
    claim = store.claims.claim(wide[0].uid, "t0", 1)
    store.claims.settle(claim, SUCCESS)
    assert [event.new for event in store.events.after(wide[0].id, 0, but_starts=True)] == [State.SUCCESS]
    acting_as("two")
    assert len(store.events.after(wide[0].id, 0, but_starts=True)) == 2


@pytest.mark.parametrize("text", ["plain", "a\0b", "\U0001f600 \u2028", "x" * 100_000, '"quoted" \\'])
def test_what_attempts_leave_is_kept_as_it_is(store, together, wide, text):
    store.attempts.dispatch(*lead(wide), dict.fromkeys(range(6), State.PENDING))
    held = [store.claims.claim(wide[0].uid, f"t{n}", 1) for n in range(6)]
    settle = together.claims.settle
    standings = at_once(
        lambda: settle(held[0], SUCCESS, result=text),
        lambda: settle(held[1], SUCCESS, output=text),
        lambda: settle(held[2], SUCCESS, result={"of": [text, 1.5, None, True]}),
        lambda: settle(held[3], after_failure(0, 1, text), output=text),
        lambda: settle(held[4], SUCCESS),
        lambda: settle(held[4], after_failure(0, 0, "too late")),
        lambda: together.claims.hand_back(held[5], text),
    )
    assert [standing.counts for standing in standings] == [True] * 5 + [False, True]
    rows = store.plans.tasks(wide[0].id)
    assert [row["status"] for row in rows[:6]] == ["SUCCESS"] * 3 + ["ERROR_RETRY", "SUCCESS", "PENDING"]
    assert [row["result"] for row in rows[:5]] == [text, None, {"of": [text, 1.5, None, True]}, None, None]
    assert [row["output"] for row in rows[:5]] == [None, text, None, text, None]
    assert (rows[3]["errmsg"], rows[3]["failures"], rows[5]["worker"]) == (text, 1, None)
    ends = [event for event in store.events.all(wide[0].id) if event["old"] == State.INPROGRESS]
    assert sorted(event["position"] for event in ends) == list(range(6))
    assert {event["message"] for event in ends if event["position"] in (3, 5)} == {text}


def test_each_plan_of_those_that_dispatch_at_once_is_judged_by_itself(store, together, wide):
    other = store.plans.create(Plan("other", [Task("a", "noop")]), wanted=True)
    row = store.plans.get(other)
    mine, lost = at_once(
        lambda: together.attempts.dispatch(*lead(wide), {1: State.PENDING, 2: State.ERROR_RETRY}),
        lambda: together.attempts.dispatch(row.id, 1, {0: State.PENDING}),
    )
    assert ([one.name for one in mine], lost) == (["t1"], [])


def test_one_reading_of_the_log_serves_all_who_ask_at_once(store, together, wide):
    store.attempts.dispatch(*lead(wide), dict.fromkeys(range(50), State.PENDING))
    for n in range(50):
        store.claims.settle(store.claims.claim(wide[0].uid, f"t{n}", 1), SUCCESS)
    at_once(*([together.log.catch_up] * 20))
    assert [row["task_name"] for row in store.log.outcomes(wide[0].uid)] == [f"t{n}" for n in range(50)]
    assert together.log.catch_up() == 0
