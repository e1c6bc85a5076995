"""The claims of a tasks worker, over a real database; any driver gets them."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from solar_orch import config
from solar_orch.errors import DatabaseUnavailable, ExecutionTimeout, Interrupted, Rejected, describe
from solar_orch.plan.model import Plan, Task
from solar_orch.plan.verdict import TIMED_OUT
from solar_orch.states import State
from solar_orch.store.instance import instance
from solar_orch.workers import ledger as ledgers
from solar_orch.workers.base import Worker
from solar_orch.workers.calls import Cancelled, cancellation, task_id
from solar_orch.workers.ledger import AttemptLedger


class Driver(Worker):
    """A third party's, which knows nothing of claims."""

    name = "tasks"

    def run(self, ctxt, outcome="fine"):
        self.made.append(ctxt["attempt"])
        if isinstance(outcome, BaseException):
            raise outcome
        self.output(ctxt).write(b"said")
        return outcome


class Killer:
    """An executor of which only `kill` is wanted; tells whom it was to kill."""

    address = "nowhere"

    def __init__(self):
        self.killed = []
        self.asked = Event()

    def kill(self, task, attempt, error):
        self.killed.append((task, attempt, error))
        self.asked.set()
        return True


@pytest.fixture
def worker(tmp_path):
    conf = config.load([], overrides={"state_dir": str(tmp_path), "lease": 0.5})
    worker = Driver(conf, {})
    worker.made = []
    worker.ledger = AttemptLedger(worker)
    worker.executor = Killer()
    yield worker
    worker.store.close()


@pytest.fixture
def ctxt(worker):
    """The context of a dispatched attempt of a task with one retry."""
    uid = worker.store.plans.create(Plan("p", [Task("a", "run", retry=1)]), wanted=True)
    epoch = worker.store.leases.acquire(worker.store.leases.open()[0])
    worker.epoch = epoch
    worker.store.attempts.dispatch(1, epoch, {0: State.PENDING})
    return {"task_id": task_id(uid, "a"), "task_name": "a", "plan_uid": uid, "attempt": 1, "timeout": 7.0}


def row(worker):
    return worker.store.plans.tasks(1)[0]


def told(worker):
    heard = []
    worker.for_all.on_success(lambda ctxt, *a, **k: heard.append(("success", row(worker)["status"])))
    worker.for_all.on_error(lambda ctxt, *a, **k: heard.append(("error", row(worker)["status"])))
    worker.for_all.after(lambda ctxt: heard.append("after"))
    return heard


def test_the_outcome_is_durable_before_anyone_is_told(worker, ctxt):
    heard = told(worker)
    worker.call("run", ctxt, ["fine"])
    assert heard == [("success", "SUCCESS"), "after"]
    assert (row(worker)["output"], row(worker)["result"]) == ("said", "fine")


def test_a_call_that_comes_twice_is_made_once(worker, ctxt):
    heard = told(worker)
    worker.call("run", ctxt)
    worker.call("run", dict(ctxt))
    assert worker.made == [1]
    assert heard == [("success", "SUCCESS"), "after"]


def test_a_call_that_is_no_attempt_is_not_made(worker, ctxt):
    worker.call("run", {})
    worker.call("run", {**ctxt, "attempt": 9})
    assert worker.made == []
    with pytest.raises(Rejected, match="lacks"):
        worker.ledger.admit({})


def test_without_a_database_the_call_is_not_made(worker, ctxt, tmp_path, caplog):
    worker.store.close()
    (tmp_path / "solar.db").rename(tmp_path / "gone")
    (tmp_path / "solar.db").write_bytes(b"")
    worker.call("run", ctxt)
    assert worker.made == []
    assert "could not be claimed" in caplog.text


def test_failures_are_retried_as_often_as_the_task_says(worker, ctxt):
    heard = told(worker)
    worker.call("run", ctxt, [ValueError("bad")])
    assert (row(worker)["status"], row(worker)["errmsg"]) == ("ERROR_RETRY", "ValueError: bad")
    worker.store.attempts.dispatch(1, worker.epoch, {0: State.ERROR_RETRY})
    worker.call("run", {**ctxt, "attempt": 2}, [ValueError("bad")])
    assert row(worker)["status"] == "ERROR"
    assert heard == [("error", "ERROR_RETRY"), "after", ("error", "ERROR"), "after"]


def test_a_rejection_by_a_subscriber_ends_the_attempt_without_another(worker, ctxt):
    @worker.for_all.before
    def refuse(ctxt):
        raise Rejected("not on a Friday")

    worker.call("run", ctxt)
    assert worker.made == []
    assert (row(worker)["status"], row(worker)["errmsg"]) == ("ERROR", "not on a Friday")


def test_what_is_interrupted_is_handed_back_and_nobody_is_told(worker, ctxt):
    heard = told(worker)
    worker.call("run", ctxt, [Cancelled(Interrupted("stopping"))])
    assert (row(worker)["status"], row(worker)["failures"], row(worker)["errmsg"]) == ("PENDING", 0, None)
    assert heard == ["after"]


def test_a_late_outcome_is_stale(worker, ctxt, caplog):
    heard = told(worker)

    @worker.for_all.before
    def lose(ctxt):
        (beat,) = worker.store.attempts.running()
        worker.store.attempts.lose(beat, lost_limit=3)

    worker.call("run", ctxt)
    assert row(worker)["status"] == "PENDING"
    assert heard == ["after"]
    assert "stale result of attempt 1 dropped (SUCCESS): attempt 1 is PENDING" in caplog.text


def test_a_late_outcome_is_logged_with_both_attempts(worker, ctxt, caplog):
    @worker.for_all.before
    def lose(ctxt):
        (beat,) = worker.store.attempts.running()
        worker.store.attempts.lose(beat, lost_limit=3)
        worker.store.attempts.dispatch(1, worker.epoch, {0: State.PENDING})

    worker.call("run", ctxt)
    assert "stale result of attempt 1 dropped (SUCCESS): attempt 2 is INPROGRESS" in caplog.text


def test_an_outcome_is_kept_until_the_database_is_back(worker, ctxt, monkeypatch, caplog):
    settle, tries = worker.store.claims.settle, []

    def away_at_first(*args, **kwargs):
        tries.append(len(worker.ledger._held))
        if len(tries) < 3:
            raise DatabaseUnavailable("db", "away")
        return settle(*args, **kwargs)

    monkeypatch.setattr(worker.store.claims, "settle", away_at_first)
    heard = told(worker)
    worker.call("run", ctxt)
    assert heard == [("success", "SUCCESS"), "after"]
    assert tries == [1, 1, 1]  # its heartbeat goes on meanwhile
    assert "not recorded yet" in caplog.text


def test_an_outcome_is_given_up_when_the_worker_has_stopped(worker, ctxt, monkeypatch):
    def away(*args, **kwargs):
        stopping.set()
        raise DatabaseUnavailable("db", "away")

    stopping = Event()
    keeper = gevent.spawn(worker.ledger.keep_alive, stopping)
    gevent.sleep(0)
    monkeypatch.setattr(worker.store.claims, "settle", away)
    worker.call("run", ctxt)
    assert row(worker)["status"] == "INPROGRESS"
    keeper.get(timeout=5)


def test_a_kill_is_recorded(worker, ctxt):
    worker.ledger.admit(ctxt)
    worker.ledger.record_kill(ctxt["task_id"], None, "not today")
    assert row(worker)["kill"] == "not today"


# -- what lost attempts have left behind ------------------------------------------------


@pytest.fixture
def second(worker, ctxt):
    """The context of an attempt that follows one that was lost on this host."""
    worker.ledger.admit(ctxt)
    (beat,) = worker.store.attempts.running()
    worker.store.attempts.lose(beat, lost_limit=3)
    worker.store.attempts.dispatch(1, worker.epoch, {0: State.PENDING})
    return {**ctxt, "attempt": 2}


def test_what_a_lost_attempt_has_started_here_is_ended_before_the_next(worker, second, monkeypatch):
    asked = []
    monkeypatch.setattr(ledgers, "end_attempts_of", lambda *given: asked.append(given) or True)
    worker.call("run", second)
    assert [given[:3] for given in asked] == [(instance(), second["task_id"], 1)]
    assert worker.made == [2]


def test_the_next_is_not_run_beside_what_does_not_end(worker, second, monkeypatch):
    monkeypatch.setattr(ledgers, "end_attempts_of", lambda *given: False)
    heard = told(worker)
    worker.call("run", second)
    assert (worker.made, heard) == ([], [])
    # One was lost, and this one counts as lost too.
    assert (row(worker)["status"], row(worker)["losses"]) == ("PENDING", 2)
    worker.store.attempts.dispatch(1, worker.epoch, {0: State.PENDING})
    worker.call("run", {**second, "attempt": 3})
    assert (row(worker)["status"], worker.made) == ("ERROR", [])
    assert "does not end" in row(worker)["errmsg"]


def test_what_cannot_be_prepared_is_given_back(worker, second, monkeypatch):
    def broken(*given):
        raise OSError("too many open files")

    monkeypatch.setattr(ledgers, "end_attempts_of", broken)
    worker.call("run", second)
    assert (worker.made, row(worker)["status"]) == ([], "INPROGRESS")
    keep_alive_until(worker, lambda: row(worker)["status"] == "PENDING")
    assert row(worker)["beat"] == 1  # nobody has kept it alive


def test_what_was_lost_on_another_host_is_not_looked_for(worker, second, monkeypatch):
    monkeypatch.setattr(ledgers, "is_of_this_machine", lambda other: False)
    monkeypatch.setattr(ledgers, "end_attempts_of", lambda *given: pytest.fail("asked"))
    monkeypatch.setattr(ledgers, "end_orphans", lambda *given: pytest.fail("looked for"))
    worker.call("run", second)
    assert worker.made == [2]


@pytest.mark.parametrize("outcome", [SystemExit(1), gevent.GreenletExit(), KeyboardInterrupt()])
def test_nothing_that_a_driver_raises_escapes(worker, ctxt, outcome):
    worker.call("run", ctxt, [outcome])
    assert row(worker)["status"] == "ERROR"
    assert row(worker)["errmsg"].startswith(type(outcome).__name__)


def test_a_result_that_is_no_json_is_dropped(worker, ctxt):
    worker.call("run", ctxt, [{1, 2}])
    assert (row(worker)["status"], row(worker)["result"]) == ("SUCCESS", None)


# -- the heartbeat ---------------------------------------------------------------------


@pytest.fixture
def beating(worker, ctxt):
    worker.ledger.admit(ctxt)
    stopping = Event()
    greenlet = gevent.spawn(worker.ledger.keep_alive, stopping)
    yield worker
    stopping.set()
    greenlet.get(timeout=5)


def wait_until(condition):
    with gevent.Timeout(10):
        while not condition():
            gevent.sleep(0.01)


def test_it_moves_the_beat(beating):
    wait_until(lambda: row(beating)["beat"] >= 3)
    assert beating.executor.killed == []


def test_it_reads_the_wish_to_kill(beating, ctxt):
    beating.store.attempts.expire(1, beating.epoch, 0, 1, "late")
    assert beating.executor.asked.wait(10)
    task, attempt, error = beating.executor.killed[0]
    assert (task, attempt) == (ctxt["task_id"], 1)
    assert isinstance(error, ExecutionTimeout)
    assert str(error) == str(cancellation(TIMED_OUT, ctxt))


def test_it_ends_what_was_lost(beating, ctxt):
    (beat,) = beating.store.attempts.running()
    assert beating.store.attempts.lose(beat, lost_limit=3)
    assert beating.executor.asked.wait(10)
    assert isinstance(beating.executor.killed[0][2], Interrupted)


def test_it_ends_everything_when_the_database_is_away_for_most_of_a_lease(beating, monkeypatch):
    def away(*args, **kwargs):
        raise DatabaseUnavailable("db", "away")

    monkeypatch.setattr(beating.store.claims, "beat", away)
    assert beating.executor.asked.wait(10)
    assert isinstance(beating.executor.killed[0][2], Interrupted)


def keep_alive_until(worker, condition):
    stopping = Event()
    keeper = gevent.spawn(worker.ledger.keep_alive, stopping)
    wait_until(condition)
    stopping.set()
    keeper.get(timeout=5)


@pytest.fixture
def unanswered(worker, ctxt, monkeypatch):
    """A claim that was made, and of which nobody knows."""
    claim = worker.store.claims.claim

    def lost(*args, **kwargs):
        claim(*args, **kwargs)
        raise DatabaseUnavailable("db", "away", in_doubt=True)

    monkeypatch.setattr(worker.store.claims, "claim", lost)
    worker.call("run", ctxt)
    monkeypatch.undo()
    assert (worker.made, row(worker)["status"]) == ([], "INPROGRESS")
    return worker


def test_a_claim_without_an_answer_is_given_back(unanswered):
    keep_alive_until(unanswered, lambda: row(unanswered)["status"] == "PENDING")


def test_what_may_be_claimed_is_not_claimed_again_before_that_is_known(unanswered, ctxt):
    unanswered.call("run", ctxt)
    assert unanswered.made == []


def test_what_is_held_is_not_given_back_because_another_claim_of_it_is_in_doubt(worker, ctxt, monkeypatch):
    def lost(*args, **kwargs):
        raise DatabaseUnavailable("db", "away", in_doubt=True)

    worker.ledger.admit(ctxt)
    monkeypatch.setattr(worker.store.claims, "claim", lost)
    with pytest.raises(DatabaseUnavailable):
        worker.ledger.admit(dict(ctxt))
    keep_alive_until(worker, lambda: row(worker)["beat"] >= 3)
    assert row(worker)["status"] == "INPROGRESS"


def test_an_outcome_that_was_recorded_without_an_answer_counts(worker, ctxt, monkeypatch):
    settle, tries = worker.store.claims.settle, []

    def unanswered(*args, **kwargs):
        tries.append(settle(*args, **kwargs))
        if len(tries) == 1:
            raise DatabaseUnavailable("db", "away", in_doubt=True)
        return tries[-1]

    monkeypatch.setattr(worker.store.claims, "settle", unanswered)
    heard = told(worker)
    worker.call("run", ctxt)
    assert [standing.counts for standing in tries] == [True, False]
    assert heard == [("success", "SUCCESS"), "after"]


# -- stopping --------------------------------------------------------------------------


def test_a_worker_that_stops_claims_nothing(worker, ctxt):
    worker.executor.taking = False
    worker.call("run", ctxt)
    assert worker.made == []
    assert row(worker)["worker"] is None


def test_what_was_claimed_while_the_worker_was_told_to_stop_does_not_start(worker, ctxt, monkeypatch):
    claim = worker.store.claims.claim

    def stopped_meanwhile(*args, **kwargs):
        worker.executor.taking = False
        return claim(*args, **kwargs)

    worker.executor.taking = True
    monkeypatch.setattr(worker.store.claims, "claim", stopped_meanwhile)
    worker.call("run", ctxt)
    assert (worker.made, row(worker)["status"]) == ([], "PENDING")


# -- drivers that misbehave --------------------------------------------------------------


def test_a_context_that_was_tampered_with_changes_no_outcome(worker, ctxt):
    def tamper(ctxt, /):
        ctxt["attempt"] = 9
        ctxt.pop("task_id")

    worker.methods["run"].function = tamper
    heard = told(worker)
    worker.call("run", ctxt)
    assert row(worker)["status"] == "SUCCESS"
    assert heard == [("success", "SUCCESS"), "after"]


def test_a_call_under_a_wrong_name_is_not_made(worker, ctxt):
    worker.call("run", {**ctxt, "task_id": "somebody~else"})
    assert (worker.made, row(worker)["worker"]) == ([], None)


def test_errors_are_described():
    assert describe(ValueError("x")) == "ValueError: x"
    assert describe(ValueError()) == "ValueError"
    assert describe(Rejected("no")) == "no"


def test_a_plan_may_use_any_name_for_an_argument(worker, ctxt):
    heard = []
    worker.methods["run"].function = lambda ctxt, /, **kwargs: kwargs
    worker.for_all.on_success(lambda ctxt, result, /, *args, **kwargs: heard.append(result))
    names = {"moment": 1, "subscriber": 2, "result": 3, "method": 4, "args": 5, "ctxt": 6, "self": 7}
    worker.call("run", ctxt, [], names)
    assert heard == [names]
