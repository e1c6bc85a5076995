"""Calls that travel together: what is gathered, in which order it arrives, and what becomes of the rest."""

from __future__ import annotations

import logging
import random
import time

import gevent
import msgpack
import pytest
import zerorpc as zerorpc_package
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solar_orch.errors import NoPeer, NotCarried
from solar_orch.executors import pusher, wire, zerorpc

GOOD = wire.pack("note", {}, (), {}, {})


@pytest.fixture
def reader(sockets, raw_peer):
    """A plain socket in the place of a worker, and a client that is connected to it."""
    client = sockets.client()
    peer = raw_peer(sockets.address, zmq.PULL)
    client._open_pusher()  # makes the directory
    peer.bind()
    client.note({}, "connected")
    gevent.sleep(0)
    assert calls_of(peer.socket.recv()) == ["connected"]
    return peer, client


def calls_of(message):
    """The first arguments of the calls that a message carries."""

    def fail(error):
        raise error

    return [args[0] for _, _, args, _ in wire.take_apart(message, fail)]


def bundle(*elements):
    return msgpack.packb([{}, wire.BUNDLE, elements])


# -- gathering -------------------------------------------------------------


def test_calls_of_a_program_that_knows_no_greenlets_leave_at_once(reader, monkeypatch):
    peer, client = reader
    monkeypatch.undo()
    monkeypatch.setattr(zerorpc.Client, "directly", False)
    for number in range(3):
        client.note({}, number)
        # The loop does not run meanwhile.
        assert calls_of(peer.socket.recv()) == [number]
    greenlet = gevent.spawn(lambda: [client.note({}, number) for number in range(3)])
    greenlet.join()
    gevent.sleep(0)
    assert calls_of(peer.socket.recv()) == [0, 1, 2]


def test_the_calls_of_one_turn_are_one_message(reader):
    peer, client = reader
    for number in range(100):
        client.note({}, number)
    gevent.sleep(0)
    client.note({}, "next turn")
    gevent.sleep(0)
    assert calls_of(peer.socket.recv()) == list(range(100))
    assert calls_of(peer.socket.recv()) == ["next turn"]


def test_one_call_alone_is_an_event_of_zerorpc(reader):
    peer, client = reader
    client.note({"task_id": "p~t"}, 1, key=[2])
    gevent.sleep(0)
    header, name, body = msgpack.unpackb(peer.socket.recv())
    assert header.keys() == {"message_id", "v"}
    assert (name, body) == ("note", [{"task_id": "p~t"}, [1], {"key": [2]}])


def test_a_puller_of_zerorpc_understands_a_single_call(sockets):
    client = sockets.client()
    client._open_pusher()
    seen = []
    puller = zerorpc_package.Puller(methods={"note": lambda *args: seen.append(args)})
    puller.bind(sockets.address)
    serving = gevent.spawn(puller.run)
    client.note({}, 1)
    while not seen:
        gevent.sleep(0.001)
    assert seen == [({}, [1], {})]
    serving.kill()
    puller.close()


def test_a_bundle_is_sent_before_it_grows_too_large(reader):
    peer, client = reader
    sent = [(number, bytes(1000)) for number in range(200)]
    for pair in sent:
        client.note({}, pair)
    gevent.sleep(0)
    messages, arrived = [], []
    while len(arrived) < len(sent):
        messages.append(peer.socket.recv())
        arrived += calls_of(messages[-1])
    assert arrived == [list(pair) for pair in sent]
    # As many as must be, and each as full as can be.
    assert all(pusher.MAX_BUNDLE - 1500 < len(message) <= pusher.MAX_BUNDLE for message in messages[:-1])
    assert len(messages) == 4


def test_a_call_too_large_for_a_bundle_travels_alone(reader):
    peer, client = reader
    large = bytes(pusher.MAX_BUNDLE)
    for argument in ("before", large, "after"):
        client.note({}, argument)
    gevent.sleep(0)
    assert [calls_of(peer.socket.recv()) for _ in range(3)] == [["before"], [large], ["after"]]


def test_calls_of_each_greenlet_arrive_in_their_order(sockets, until):
    worker = sockets.worker()
    sockets.serve(worker)
    client = sockets.client()

    def call(name):
        chance = random.Random(name)
        for number in range(300):
            client.note({}, name, number, bytes(chance.choice((0, 10, 20_000, 70_000))))
            if chance.random() < 0.2:
                gevent.sleep(0)

    callers = [gevent.spawn(call, name) for name in range(5)]
    gevent.joinall(callers, timeout=60, raise_error=True)
    until(lambda: len(worker.seen) == 1500)
    for name in range(5):
        numbers = [args[1] for args, _ in worker.seen if args[0] == name]
        assert numbers == list(range(300))


@pytest.mark.parametrize(
    "argument", [{1}, {(1, 2): 3}, bytes(wire.MAX_FRAME)], ids=lambda a: type(a).__name__
)
def test_a_call_that_cannot_be_carried_leaves_the_others_of_its_turn(reader, argument):
    peer, client = reader
    client.note({}, 1)
    with pytest.raises(NotCarried):
        client.note({}, argument)
    client.note({}, 2)
    gevent.sleep(0)
    assert calls_of(peer.socket.recv()) == [1, 2]


def test_close_sends_what_was_gathered(reader):
    peer, client = reader
    for number in range(3):
        client.note({}, number)
    closing = gevent.spawn(client.close, 10)
    gevent.sleep(0)
    assert calls_of(peer.socket.recv()) == [0, 1, 2]
    assert closing.get(timeout=10) == 0


def test_no_bundle_of_this_client_is_too_long_for_a_worker():
    least = len(wire.pack("", {}, (), {}, {})) + 1
    assert pusher.MAX_BUNDLE // least < wire.MAX_ITEMS
    shortest = wire.pack("a", {}, (), {}, {})
    calls = [shortest] * (pusher.MAX_BUNDLE // len(shortest))
    carried = list(wire.take_apart(wire.message(calls, {"v": 3}), pytest.fail))
    assert carried == [("a", {}, [], {})] * len(calls)


# -- a worker that goes away ---------------------------------------------------


def gather_and_lose_peer(peer, client, count):
    """Make calls that are gathered, and leave them without a peer before the loop comes round."""
    for number in range(count):
        client.note({}, number)
    peer.close()
    deadline = time.monotonic() + 10
    while client._pusher._has_room():
        assert time.monotonic() < deadline


def test_calls_that_were_gathered_and_cannot_be_sent_are_told_of(reader, until, caplog):
    peer, client = reader
    client.send_timeout = 0.1
    gather_and_lose_peer(peer, client, 5)
    gevent.sleep(0)
    with pytest.raises(NoPeer):
        client.note({}, "later")
    until(lambda: client._pusher._dropped)
    with pytest.raises(NoPeer):
        client.note({}, "later still")
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == [f"{client.address}: 5 calls could not be sent in time and are lost"]
    # And the one with which the reader was connected is in doubt.
    assert client.close(0.1) == 6


def test_close_counts_calls_that_were_gathered_and_are_stuck(reader):
    peer, client = reader
    client.send_timeout = 3600
    gather_and_lose_peer(peer, client, 5)
    gevent.sleep(0)
    assert client.close(0.05) == 6


def test_what_is_stuck_goes_first_when_a_worker_comes(reader, raw_peer):
    peer, client = reader
    gather_and_lose_peer(peer, client, 5)
    later = [gevent.spawn(client.note, {}, name) for name in ("a", "b")]
    gevent.sleep(0)
    successor = raw_peer(client.address, zmq.PULL).bind()
    gevent.joinall(later, timeout=10, raise_error=True)
    client.note({}, "c")
    gevent.sleep(0)
    arrived = [calls_of(successor.socket.recv()) for _ in range(4)]
    assert arrived == [[0, 1, 2, 3, 4], ["a"], ["b"], ["c"]]
    assert client.close(5) <= 1


# -- receiving -------------------------------------------------------------

BAD_ELEMENTS = {
    "truncated": GOOD[:-1],
    "empty": b"",
    "no call": msgpack.packb(None),
    "bundle": bundle(GOOD, GOOD),
    "bad utf-8": b"\x93\x80\xa4\xff\xfe\xfd\xfc\x93\x80\x90\x80",
    "no bytes": [{}, "note", [{}, [], {}]],
    "text": "note",
    "number": 7,
    "nil": None,
}


@pytest.mark.parametrize("element", BAD_ELEMENTS.values(), ids=BAD_ELEMENTS)
def test_a_malformed_call_is_dropped_and_its_neighbours_are_taken(sockets, until, raw_peer, element):
    worker = sockets.worker()
    executor = sockets.serve(worker)
    raw_peer(sockets.address).connect().socket.send(bundle(GOOD, element, GOOD, element, GOOD))
    until(lambda: len(worker.seen) == 3)
    assert executor.drops.counts == {"malformed messages": 2}


@pytest.mark.parametrize("body", [[], None, 3, "abc", {}, b"\x93"], ids=repr)
def test_a_bundle_of_no_calls_is_malformed(body):
    with pytest.raises(wire.Malformed):
        list(wire.take_apart(msgpack.packb([{}, wire.BUNDLE, body]), pytest.fail))


def test_a_bundle_is_no_call():
    with pytest.raises(wire.Malformed):
        wire.unpack(bundle(GOOD))
    with pytest.raises(NotCarried):
        wire.pack(wire.BUNDLE, {}, (GOOD,), {}, {})


def test_a_bundle_that_claims_more_than_it_has_is_dropped(ipc, until, raw_peer):
    worker = ipc.worker()
    executor = ipc.serve(worker)
    peer = raw_peer(ipc.address).connect()
    peer.socket.send(bundle(GOOD)[:-1])
    peer.socket.send(bundle(*[GOOD] * (wire.MAX_ITEMS + 1)))
    peer.socket.send(GOOD)
    until(lambda: worker.seen)
    assert executor.drops.counts == {"malformed messages": 2}


def test_random_bundles_are_survived_and_their_good_calls_taken(ipc, until, raw_peer):
    worker = ipc.worker()
    executor = ipc.serve(worker)
    peer = raw_peer(ipc.address).connect()
    sent = {"good": 0, "bad": 0}
    junk = st.binary(max_size=30) | st.integers(-9, 9) | st.none() | st.text(max_size=9)
    bad = st.sampled_from(list(BAD_ELEMENTS.values())) | junk

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.just(GOOD) | bad, min_size=1, max_size=12))
    def send(elements):
        peer.socket.send(bundle(*elements))
        sent["good"] += elements.count(GOOD)
        sent["bad"] += len(elements) - elements.count(GOOD)

    send()
    until(lambda: len(worker.seen) + executor.dropped == sent["good"] + sent["bad"])
    assert (len(worker.seen), executor.dropped) == (sent["good"], sent["bad"])


def test_random_bytes_in_place_of_a_bundle_are_malformed_or_calls(ipc, until, raw_peer):
    worker = ipc.worker()
    ipc.serve(worker)
    peer = raw_peer(ipc.address).connect()
    whole = bytearray(bundle(GOOD, GOOD, GOOD))
    chance = random.Random(20261124)
    for _ in range(1000):
        changed = whole.copy()
        changed[chance.randrange(len(whole))] = chance.randrange(256)
        peer.socket.send(changed)
    peer.socket.send(wire.pack("shout", {}, (), {}, {}))
    until(lambda: worker.shouted)


def test_more_calls_than_a_turn_takes_are_not_dropped(sockets, until, monkeypatch):
    monkeypatch.setattr("solar_orch.executors.greenlets.MAX_BACKLOG", 200)
    worker = sockets.worker(pool_size=10)
    executor = sockets.serve(worker)
    client = sockets.client()
    for number in range(5000):
        client.note({}, number)
    until(lambda: len(worker.seen) + executor.dropped == 5000)
    assert [args[0] for args, _ in worker.seen] == list(range(5000))
