"""What both executors that ship promise, tried on each over real sockets and inline."""

from __future__ import annotations

import gevent
import pytest

from solar_orch.errors import (
    AddressInUse,
    ExecutionTimeout,
    Interrupted,
    Killed,
    NoPeer,
    NotCarried,
    SolarError,
)
from solar_orch.executors import greenlets
from solar_orch.executors.base import Client, Executor

TASK = {"task_id": "plan~task", "attempt": 1}


def test_parts_are_of_the_contracts(bench):
    assert isinstance(bench.executor(bench.worker()), Executor)
    assert isinstance(bench.client(), Client)


# -- carrying --------------------------------------------------------------


def test_arguments_arrive_as_they_were_given(bench, until):
    worker = bench.worker()
    bench.serve(worker)
    bench.client().note(TASK, 1, "ä", (2, b"\0"), None, method="m", key={"a": {1: 2.5}})
    until(lambda: worker.outcomes.settled)
    assert worker.seen == [((1, "ä", [2, b"\0"], None), {"method": "m", "key": {"a": {1: 2.5}}})]
    assert worker.outcomes.settled == [(TASK, "noted", None)]


def test_nothing_is_shared_with_the_caller(bench, until):
    worker = bench.worker()
    bench.serve(worker)
    argument = [1]
    bench.client().note(TASK, argument)
    argument.append(2)
    until(lambda: worker.seen)
    assert worker.seen == [(([1],), {})]


def test_calls_of_one_sender_keep_their_order(bench, until):
    worker = bench.worker(pool_size=7)
    bench.serve(worker)
    client = bench.client()
    for number in range(1000):
        client.note({}, number)
    until(lambda: len(worker.seen) == 1000)
    assert [args for args, _ in worker.seen] == [(number,) for number in range(1000)]


@pytest.mark.parametrize(
    "argument",
    [{1}, 2**70, object(), {(1, 2): 3}, "\ud800", [0] * 100_001],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_carried_is_refused_at_once(bench, argument):
    worker = bench.worker()
    executor = bench.serve(worker)
    with pytest.raises(NotCarried, match="note"):
        bench.client().note({}, argument)
    assert worker.seen == []
    assert executor.dropped == 0


def test_deep_nesting_is_refused_at_once(bench):
    bench.serve(bench.worker())
    nested: list[object] = []
    for _ in range(5000):
        nested = [nested]
    with pytest.raises(NotCarried):
        bench.client().note({}, nested)


def test_private_names_are_no_methods_of_a_client(bench):
    with pytest.raises(AttributeError):
        bench.client()._note  # noqa: B018


def test_without_a_worker_a_call_is_refused_in_the_end(bench):
    client = bench.client(send_timeout=0.05)
    for _ in range(3):
        with pytest.raises(NoPeer) as caught:
            client.note({}, 1)
        assert (caught.value.address, caught.value.timeout) == (bench.address, 0.05)
    assert client.close(5) == 0


def test_a_call_waits_for_a_worker_that_comes(bench, until):
    worker = bench.worker()
    caller = gevent.spawn(bench.client().note, {}, 1)
    gevent.sleep(0)
    assert not caller.dead
    bench.serve(worker)
    caller.get(timeout=10)
    until(lambda: worker.seen)


def test_a_closed_client_takes_no_calls(bench):
    bench.serve(bench.worker())
    client = bench.client()
    client.note({})
    assert client.close(5) == 0
    assert client.close(5) == 0
    with pytest.raises(NoPeer):
        client.note({})


def test_a_client_survives_the_restart_of_the_worker(bench, until):
    first, second = bench.worker(), bench.worker()
    client = bench.client()
    executor = bench.serve(first)
    client.note({}, "first")
    until(lambda: first.seen)
    executor.stop(1)
    bench.serve(second)

    def arrives() -> bool:
        # One may go the way of the old connection: messages are hints.
        client.note({}, "second")
        return bool(second.seen)

    until(arrives)
    assert len(first.seen) == 1


# -- addresses ---------------------------------------------------------------


def test_a_second_executor_is_refused_and_the_first_goes_on(bench, until):
    worker = bench.worker()
    bench.serve(worker)
    client = bench.client()
    refused = bench.start(bench.executor(bench.worker())).get(timeout=10)
    assert isinstance(refused, AddressInUse)
    client.note({})
    until(lambda: worker.seen)


def test_an_address_is_free_again_after_stop(bench, until):
    for _ in range(3):
        worker = bench.worker()
        executor = bench.executor(worker)
        running = bench.start(executor)
        executor.stop(1)
        assert running.get(timeout=10) is None


def test_a_stop_before_the_run_is_heard(bench):
    executor = bench.executor(bench.worker())
    executor.stop(1)
    assert bench.start(executor).get(timeout=10) is None
    assert not executor.worker.outcomes.admitted
    bench.serve(bench.worker())


def test_an_executor_runs_once(bench):
    executor = bench.serve(bench.worker())
    executor.stop(0)
    with pytest.raises(SolarError, match="has run already"):
        executor.run()


# -- running ---------------------------------------------------------------


def test_no_more_calls_run_than_the_pool_has_slots(bench, until):
    worker = bench.worker(pool_size=3)
    bench.serve(worker)
    client = bench.client()
    for number in range(10):
        client.hold({}, number)
    until(lambda: worker.running == 3)
    client.shout({})
    until(lambda: worker.shouted)
    assert worker.running == 3
    worker.release.set()
    until(lambda: len(worker.outcomes.settled) == 10)
    assert worker.peak == 3


def test_a_control_overtakes_calls_that_wait(bench, until):
    worker = bench.worker(pool_size=1)
    bench.serve(worker)
    client = bench.client()
    for number in range(2000):
        client.hold({}, number)
    client.shout({}, "now")
    until(lambda: worker.shouted)
    assert worker.shouted == [("now",)]
    assert len(worker.seen) == 1


def test_calls_beyond_the_backlog_are_dropped_and_counted(bench, until, monkeypatch):
    monkeypatch.setattr(greenlets, "MAX_BACKLOG", 5)
    worker = bench.worker(pool_size=1)
    executor = bench.serve(worker)
    client = bench.client()
    for number in range(10):
        client.hold({}, number)
    until(lambda: executor.dropped == 4)
    worker.release.set()
    until(lambda: len(worker.outcomes.settled) == 6)
    assert [args for args, _ in worker.seen] == [(number,) for number in range(6)]


@pytest.mark.parametrize("how", ["exit", "timeout", "greenlet"])
def test_a_call_that_wants_to_end_the_process_ends_alone(bench, until, how):
    worker = bench.worker()
    bench.serve(worker)
    client = bench.client()
    client.leave(TASK, how)
    client.note({})
    until(lambda: len(worker.outcomes.settled) == 2)
    assert isinstance(worker.outcomes.errors[0], Killed)


def test_a_call_whose_admission_breaks_off_is_not_made(bench, until):
    worker = bench.worker()
    bench.serve(worker)
    worker.outcomes.admit = lambda ctxt: (_ for _ in ()).throw(gevent.Timeout(1))
    client = bench.client()
    client.note({})
    client.shout({})
    until(lambda: worker.shouted)
    until(lambda: not bench_calls(worker))
    del worker.outcomes.admit
    client.note({}, "later")
    until(lambda: worker.seen)
    assert worker.seen == [(("later",), {})]


def bench_calls(worker):
    return worker.executor._calls


@pytest.mark.parametrize(
    "name", ["nothing", "_outcome", "__init__", "for_all", "background", "call", "store", ""]
)
def test_what_is_no_public_method_is_dropped(bench, until, name):
    worker = bench.worker()
    executor = bench.serve(worker)
    bench.client()._call(name, {})
    until(lambda: executor.dropped == 1)
    bench.client().note({})
    until(lambda: worker.seen)


def test_a_worker_may_answer_to_unknown_names(bench, until):
    worker = bench.worker()
    worker.answers_unknown = True
    asked = []
    worker.call = lambda name, ctxt, args, kwargs, **_: asked.append((name, ctxt, args, kwargs))
    executor = bench.serve(worker)
    client = bench.client()
    client._call("_private", {})
    client.frobnicate(TASK, 1, a=2)
    until(lambda: asked)
    assert asked == [("frobnicate", TASK, [1], {"a": 2})]
    assert executor.drops.counts == {"calls of unknown methods": 1}


@pytest.mark.parametrize(
    "call",
    [(None, [], {}), ([], [], {}), ({}, {}, {}), ({}, "ab", {}), ({}, [], []), ({}, [], {1: 2})],
    ids=str,
)
def test_malformed_calls_are_dropped(bench, call):
    worker = bench.worker()
    executor = bench.serve(worker)
    executor.accept("note", *call)
    assert executor.drops.counts == {"malformed calls": 1}
    assert not executor._calls


# -- ending calls ----------------------------------------------------------


def test_a_running_call_is_killed(bench, until):
    worker = bench.worker()
    executor = bench.serve(worker)
    bench.client().hold(TASK)
    until(lambda: worker.running)
    assert not executor.kill("plan~other")
    assert not executor.kill("plan~task", attempt=2)
    assert worker.running
    assert executor.kill("plan~task", attempt=1)
    until(lambda: worker.outcomes.settled)
    assert isinstance(worker.outcomes.errors[0], Killed)
    assert not executor.kill("plan~task")


def test_a_kill_says_with_what_the_call_ends(bench, until):
    worker = bench.worker()
    executor = bench.serve(worker)
    bench.client().hold(TASK)
    until(lambda: worker.running)
    error = ExecutionTimeout(3, "timeout")
    assert executor.kill("plan~task", error=error)
    until(lambda: worker.outcomes.settled)
    assert worker.outcomes.errors == [error]


def test_a_control_is_not_killed_with_the_task_that_it_names(bench, until):
    worker = bench.worker()
    executor = bench.serve(worker)
    killed = []
    worker.shout.before(lambda ctxt: killed.append(executor.kill("plan~task")))
    bench.client().shout(TASK)
    until(lambda: worker.shouted)
    assert killed == [False]


def test_a_kill_between_admission_and_start_is_delivered_at_the_start(bench, until):
    worker = bench.worker()
    executor = bench.serve(worker)
    worker.outcomes.may_admit.clear()
    bench.client().note(TASK)
    until(lambda: worker.outcomes.admitted)
    assert executor.kill("plan~task")
    worker.outcomes.may_admit.set()
    until(lambda: worker.outcomes.settled)
    assert isinstance(worker.outcomes.errors[0], Killed)
    assert worker.seen == []


def test_a_call_that_waits_for_a_slot_is_left_to_its_claim(bench, until):
    worker = bench.worker(pool_size=1)
    executor = bench.serve(worker)
    client = bench.client()
    client.hold({})
    client.note(TASK)
    client.shout({})
    until(lambda: worker.shouted)
    assert not executor.kill("plan~task")
    worker.release.set()
    until(lambda: len(worker.outcomes.settled) == 2)
    assert worker.outcomes.errors == [None, None]


def test_what_follows_a_call_is_never_interrupted(bench, until):
    worker = bench.worker()
    executor = bench.serve(worker)
    worker.outcomes.may_settle.clear()
    bench.client().note({**TASK, "timelimit": 0.05})
    until(lambda: worker.outcomes.settling)
    assert not executor.kill("plan~task")
    gevent.sleep(0.1)  # the time limit passes
    worker.outcomes.may_settle.set()
    until(lambda: worker.outcomes.settled)
    assert worker.outcomes.settled[0][1:] == ("noted", None)


def test_a_kill_that_meets_the_end_of_a_call_leaves_one_outcome(bench, until):
    worker = bench.worker()
    executor = bench.serve(worker)
    worker.outcomes.may_settle.clear()
    bench.client().hold(TASK)
    until(lambda: worker.running)
    # The call is woken before the kill is delivered, and is settling when it is.
    worker.release.set()
    assert executor.kill("plan~task")
    until(lambda: worker.outcomes.settling)
    worker.outcomes.may_settle.set()
    until(lambda: not executor._calls)
    assert worker.outcomes.errors == [None]


def test_a_time_limit_ends_the_call(bench, until):
    worker = bench.worker()
    bench.serve(worker)
    bench.client().hold({**TASK, "timelimit": 0.05})
    until(lambda: worker.outcomes.settled)
    (error,) = worker.outcomes.errors
    assert isinstance(error, ExecutionTimeout)
    assert error.seconds == 0.05


def test_a_time_limit_runs_from_the_start_and_not_from_receipt(bench, until):
    worker = bench.worker(pool_size=1)
    bench.serve(worker)
    client = bench.client()
    client.hold({})
    client.note({**TASK, "timelimit": 0.2})
    client.shout({})
    until(lambda: worker.shouted)
    gevent.sleep(0.3)  # longer than its limit
    worker.release.set()
    until(lambda: len(worker.outcomes.settled) == 2)
    assert worker.outcomes.errors == [None, None]


@pytest.mark.parametrize("limit", [None, "3", True, float("nan"), float("inf"), 2**63, []], ids=repr)
def test_what_is_no_time_limit_limits_nothing(bench, until, limit):
    worker = bench.worker()
    bench.serve(worker)
    bench.client().hold({**TASK, "timelimit": limit})
    until(lambda: worker.running)
    gevent.sleep(0.02)
    worker.release.set()
    until(lambda: worker.outcomes.settled)
    assert worker.outcomes.errors == [None]


def test_a_call_is_cancelled_once_whoever_wants_it(bench, until):
    worker = bench.worker()
    executor = bench.serve(worker)
    bench.client().resist({**TASK, "timelimit": 0.05}, 5)
    until(lambda: worker.running)
    first = Killed("first")
    assert executor.kill("plan~task", error=first)
    assert executor.kill("plan~task", error=Killed("second"))
    gevent.sleep(0.1)  # the time limit passes
    worker.release.set()
    until(lambda: worker.outcomes.settled)
    assert worker.ignored == [first]


# -- stopping --------------------------------------------------------------


def test_stop_lets_running_calls_end_and_begins_no_others(bench, until):
    worker = bench.worker(pool_size=1)
    executor = bench.executor(worker)
    running = bench.start(executor)
    client = bench.client(send_timeout=0.1)
    client.hold({}, "running")
    client.hold({}, "waiting")
    client.shout({})
    until(lambda: worker.shouted)
    stop = gevent.spawn(executor.stop, 60)
    until(lambda: executor.stopping)
    executor.accept("note", {}, [], {})
    assert worker.running == 1
    assert not stop.dead
    worker.release.set()
    stop.get(timeout=10)
    assert running.get(timeout=10) is None
    assert worker.seen == [(("running",), {})]
    assert worker.outcomes.errors == [None]


def test_stop_interrupts_what_does_not_end_in_time(bench, until):
    worker = bench.worker()
    executor = bench.executor(worker)
    running = bench.start(executor)
    bench.client().hold(TASK)
    until(lambda: worker.running)
    executor.stop(0.05)
    assert running.get(timeout=10) is None
    assert isinstance(worker.outcomes.errors[0], Interrupted)


def test_an_interrupted_call_is_settled_before_run_returns(bench, until):
    worker = bench.worker()
    executor = bench.executor(worker)
    running = bench.start(executor)
    bench.client().hold(TASK)
    until(lambda: worker.running)
    worker.outcomes.may_settle.clear()
    gevent.spawn(executor.stop, 0)
    until(lambda: worker.outcomes.settling)
    assert not running.dead
    worker.outcomes.may_settle.set()
    running.get(timeout=10)
    assert len(worker.outcomes.settled) == 1


def test_a_second_stop_shortens_the_first(bench, until):
    worker = bench.worker()
    executor = bench.serve(worker)
    bench.client().hold(TASK)
    until(lambda: worker.running)
    first = gevent.spawn(executor.stop, 3600)
    until(lambda: executor.stopping)
    executor.stop(0)
    first.get(timeout=10)
    assert isinstance(worker.outcomes.errors[0], Interrupted)
    executor.stop(3600)


def test_a_call_that_ignores_the_end_is_told_again(bench, until, monkeypatch):
    monkeypatch.setattr(greenlets, "GRACE", 0.1)
    worker = bench.worker()
    executor = bench.serve(worker)
    bench.client().resist(TASK, 1)
    until(lambda: worker.running)
    executor.stop(0)
    assert [type(error) for error in worker.ignored] == [Interrupted, Interrupted]
    assert isinstance(worker.outcomes.errors[0], Interrupted)


def test_a_call_that_never_ends_does_not_hold_up_the_stop(bench, until, monkeypatch):
    monkeypatch.setattr(greenlets, "GRACE", 0.05)
    monkeypatch.setattr(greenlets, "LAST_GRACE", 0.05)
    worker = bench.worker()
    executor = bench.executor(worker)
    running = bench.start(executor)
    bench.client().resist(TASK, 99)
    until(lambda: worker.running)
    executor.stop(0)
    assert running.get(timeout=10) is None
    bench.serve(bench.worker())


# -- background work -------------------------------------------------------


def test_background_functions_run_until_the_last_call_has_ended(bench, until):
    worker = bench.worker()
    events = []

    @worker.background
    def beat(stopping):
        events.append("begun")
        stopping.wait()
        events.append(f"ended with {worker.running} running")

    executor = bench.serve(worker)
    until(lambda: events)
    bench.client().hold({})
    until(lambda: worker.running)
    stop = gevent.spawn(executor.stop, 60)
    until(lambda: executor.stopping)
    assert events == ["begun"]
    worker.release.set()
    stop.get(timeout=10)
    assert events == ["begun", "ended with 0 running"]


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(0), gevent.GreenletExit()], ids=repr)
def test_a_failing_background_function_ends_the_executor(bench, until, error):
    worker = bench.worker()
    fail = gevent.event.Event()
    others = []

    @worker.background
    def failing(stopping):
        fail.wait()
        raise error

    @worker.background
    def other(stopping):
        others.append(stopping.wait())

    executor = bench.executor(worker)
    running = bench.start(executor)
    bench.client().hold(TASK)
    until(lambda: worker.running)
    fail.set()
    raised = running.get(timeout=10)
    assert raised is error if isinstance(error, Exception) else isinstance(raised, SolarError)
    assert others == [True]
    assert isinstance(worker.outcomes.errors[0], Interrupted)
    bench.serve(bench.worker())


def test_a_background_function_may_return(bench, until):
    worker = bench.worker()
    worker.background(lambda stopping: None)
    bench.serve(worker)
    bench.client().note({})
    until(lambda: worker.seen)


def test_a_background_function_that_ignores_the_end_is_killed(bench, monkeypatch):
    monkeypatch.setattr(greenlets, "GRACE", 0.05)
    worker = bench.worker()
    worker.background(lambda stopping: gevent.sleep(3600))
    executor = bench.executor(worker)
    running = bench.start(executor)
    executor.stop(0)
    assert running.get(timeout=10) is None


def test_a_receiver_that_dies_ends_the_executor(bench, until):
    worker = bench.worker()
    executor = bench.executor(worker)
    executor.receive = lambda: None
    running = bench.start(executor)
    assert isinstance(running.get(timeout=10), SolarError)
