"""Calls of the executor ``zerorpc`` to a worker of the same process, which take no socket."""

from __future__ import annotations

import os

import gevent
import pytest
from conftest import wait_until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solar_orch.errors import NoPeer, NotCarried
from solar_orch.executors import local, wire, zerorpc

_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=5)
)
VALUES = st.one_of(_SCALARS, st.lists(_SCALARS, max_size=2), st.tuples(_SCALARS), st.sets(st.none()))


@pytest.fixture(autouse=True)
def directly(monkeypatch, through_sockets):
    monkeypatch.setattr(zerorpc.Client, "directly", True)


def test_no_socket_is_opened_and_order_is_kept(ipc):
    worker, client = ipc.worker(), ipc.client()
    ipc.serve(worker)
    for number in range(500):
        client.note({}, number)
    wait_until(lambda: len(worker.seen) == 500)
    assert [args for args, _ in worker.seen] == [(number,) for number in range(500)]
    assert client._pusher is None


def test_caller_and_worker_share_no_object(ipc):
    worker, client = ipc.worker(), ipc.client()
    ipc.serve(worker)
    given = {"of": [1, (2, 3)]}
    client.note({}, given)
    given["of"].append("later")
    wait_until(lambda: worker.seen)
    assert worker.seen == [(({"of": [1, [2, 3]]},), {})]
    with pytest.raises(NotCarried):
        client.note({}, object())


def test_one_that_calls_all_the_time_lets_others_run(ipc):
    worker, client = ipc.worker(), ipc.client()
    executor = ipc.serve(worker)
    for number in range(20_000):
        client.note({}, number)
    wait_until(lambda: len(worker.seen) == 20_000)
    assert executor.dropped == 0


def test_what_waits_for_the_socket_is_not_overtaken(ipc):
    worker, client = ipc.worker(), ipc.client()
    early = gevent.spawn(client.note, {}, "early")
    gevent.sleep(0)
    assert not client._pusher.is_idle
    executor = ipc.executor(worker)
    ipc.start(executor)
    client.note({}, "late")
    wait_until(lambda: len(worker.seen) == 2)
    early.get()
    assert [args for args, _ in worker.seen] == [("early",), ("late",)]


def test_a_worker_that_has_stopped_takes_nothing(ipc):
    client = ipc.client(send_timeout=0.1)
    executor = ipc.serve(ipc.worker())
    client.note({})
    executor.stop(1)
    assert local.taker(ipc.address) is None
    with pytest.raises(NoPeer):
        client.note({})


def test_another_that_fails_to_take_the_address_changes_nothing(ipc):
    worker, other = ipc.worker(), ipc.worker()
    ipc.serve(worker)
    second = gevent.spawn(ipc.executor(other).run)
    second.join(10)
    assert not second.successful()
    ipc.client().note({}, "to the first")
    wait_until(lambda: worker.seen)
    assert other.seen == []


def test_a_child_of_the_process_takes_nothing_of_its_parents(ipc):
    worker = ipc.worker()
    ipc.serve(worker)
    assert local.taker(ipc.address) is not None
    child = os.fork()
    if child == 0:
        os._exit(int(local.taker(ipc.address) is not None))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(["task_id", "x"]), VALUES, max_size=2),
    st.lists(VALUES, max_size=3),
    st.dictionaries(st.text(max_size=3), VALUES, max_size=2),
)
def test_a_call_is_read_as_if_it_had_been_sent(ctxt, args, kwargs):
    try:
        sent = wire.unpack(wire.pack("note", ctxt, args, kwargs, {}))
    except NotCarried:
        with pytest.raises(NotCarried):
            wire.carried("note", ctxt, args, kwargs)
    else:
        carried = wire.carried("note", ctxt, args, kwargs)
        assert repr(carried) == repr(sent)
        assert carried[1] is not ctxt
