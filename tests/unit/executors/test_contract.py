"""What the executors that ship promise: the conformance kit on each, and what is theirs alone beyond it."""

from __future__ import annotations

import socket

import gevent
import pytest

from solar_orch.errors import Interrupted, NoPeer, NotCarried, SolarError
from solar_orch.executors import greenlets, zerorpc
from solar_orch.testing import ExecutorConformance

TASK = {"task_id": "plan~task", "attempt": 1}


# -- the contract ----------------------------------------------------------


class TestInline(ExecutorConformance):
    name = "inline"


class TestZerorpcOverIpc(ExecutorConformance):
    name = "zerorpc"


class TestZerorpcOverTcp(ExecutorConformance):
    name = "zerorpc"

    @pytest.fixture
    def address(self) -> str:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            return f"tcp://127.0.0.1:{taken.getsockname()[1]}"


class TestZerorpcWithinOneProcess(ExecutorConformance):
    name = "zerorpc"

    @pytest.fixture(autouse=True)
    def without_sockets(self, monkeypatch, through_sockets) -> None:
        monkeypatch.setattr(zerorpc.Client, "directly", True)


# -- carrying --------------------------------------------------------------


def test_arguments_arrive_as_they_were_given(bench, until):
    worker = bench.worker()
    bench.serve(worker)
    bench.client().note(TASK, 1, "ä", (2, b"\0"), None, method="m", key={"a": {1: 2.5}})
    until(lambda: worker.outcomes.settled)
    assert worker.seen == [((1, "ä", [2, b"\0"], None), {"method": "m", "key": {"a": {1: 2.5}}})]
    assert worker.outcomes.settled == [(TASK, "noted", None)]


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


def test_without_a_worker_a_call_is_refused_in_the_end(bench):
    client = bench.client(send_timeout=0.05)
    for _ in range(3):
        with pytest.raises(NoPeer) as caught:
            client.note({}, 1)
        assert (caught.value.address, caught.value.timeout) == (bench.address, 0.05)
    assert client.close(5) == 0


# -- addresses ---------------------------------------------------------------


def test_an_executor_runs_once(bench):
    executor = bench.serve(bench.worker())
    executor.stop(0)
    with pytest.raises(SolarError, match="has run already"):
        executor.run()


# -- running ---------------------------------------------------------------


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
