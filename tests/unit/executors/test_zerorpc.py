"""What is particular to the executor over ZeroMQ: hostile bytes, sockets, processes."""

from __future__ import annotations

import os
import random
import stat
import threading

import gevent
import msgpack
import pytest
import zerorpc as zerorpc_package
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from solar_orch.errors import AddressError, AddressInUse, NoPeer, NotCarried
from solar_orch.executors import pusher, wire, zerorpc
from solar_orch.executors.address import is_locked, lock_holder

GOOD = wire.pack("note", {}, (), {}, {})

BAD_FRAMES = {
    "empty": b"",
    "truncated": GOOD[:-1],
    "first byte": GOOD[:1],
    "trailing": GOOD + b"\0",
    "text": b"GET / HTTP/1.0\r\n\r\n",
    "never used byte": b"\xc1",
    "nil": msgpack.packb(None),
    "two parts": msgpack.packb([{}, "note"]),
    "four parts": msgpack.packb([{}, "note", [{}, [], {}], 1]),
    "flat args": msgpack.packb([{}, "note", []]),
    "args too long": msgpack.packb([{}, "note", [{}, [], {}, 1]]),
    "args a number": msgpack.packb([{}, "note", 3]),
    "args a text": msgpack.packb([{}, "note", "abcd"]),
    "bad utf-8": b"\x93\x80\xa4\xff\xfe\xfd\xfc\x93\x80\x90\x80",
    "name a list": msgpack.packb([{}, ["note"], [{}, [], {}]]),
    "name a map": msgpack.packb([{}, {}, [{}, [], {}]]),
    "name a number": msgpack.packb([{}, 7, [{}, [], {}]]),
    "name bytes": msgpack.packb([{}, b"note", [{}, [], {}]]),
    "unhashable key": b"\x93\x81\x90\x01\xa4note\x93\x80\x90\x80",
    "extension": msgpack.packb([{}, "note", [{}, [msgpack.ExtType(5, b"x")], {}]]),
    "bad timestamp": b"\x93\x80\xa4note\x93\x80\x91\xd4\xff\x00\x80",
    "deep list": b"\x91" * 200_000,
    "deep map": b"\x81\xa1a" * 200_000,
    "huge list claimed": b"\xdd\xff\xff\xff\xff",
    "huge map claimed": b"\xdf\xff\xff\xff\xff",
    "huge text claimed": b"\xdb\xff\xff\xff\xff",
    "many huge lists claimed": b"\xdd\x00\x01\x86\x9f" * 20_000,
}
BAD_CALLS = {
    "unknown": msgpack.packb([{}, "nothing", [{}, [], {}]]),
    "private": msgpack.packb([{}, "_zerorpc_list", [{}, [], {}]]),
    "dunder": msgpack.packb([{}, "__class__", [{}, [], {}]]),
    "ctxt a list": msgpack.packb([{}, "note", [[], [], {}]]),
    "args a map": msgpack.packb([{}, "note", [{}, {}, {}]]),
    "kwargs a list": msgpack.packb([{}, "note", [{}, [], []]]),
    "integer names": msgpack.packb([{}, "note", [{}, [], {1: 2}]]),
}


# -- bytes -----------------------------------------------------------------


def test_frames_that_are_no_calls_are_counted_and_change_nothing(sockets, until, raw_peer):
    worker = sockets.worker()
    executor = sockets.serve(worker)
    peer = raw_peer(sockets.address).connect()
    for frame in [*BAD_FRAMES.values(), *BAD_CALLS.values()]:
        peer.socket.send(frame)
    for parts in ([GOOD, GOOD], [b"", GOOD], [b""] * 50):
        peer.socket.send_multipart(parts)
    peer.socket.send(GOOD)
    until(lambda: worker.seen)
    assert len(worker.seen) == 1
    assert executor.dropped == len(BAD_FRAMES) + len(BAD_CALLS) + 3
    assert executor.drops.counts["malformed messages"] == len(BAD_FRAMES) + 3


@pytest.mark.parametrize("frame", BAD_FRAMES.values(), ids=BAD_FRAMES)
def test_each_bad_frame_is_malformed(frame):
    with pytest.raises(wire.Malformed):
        wire.unpack(frame)


def test_random_bytes_change_nothing(sockets, until, raw_peer):
    worker = sockets.worker()
    executor = sockets.serve(worker)
    peer = raw_peer(sockets.address).connect()
    chance = random.Random(20261123)
    for _ in range(1000):
        peer.socket.send(chance.randbytes(chance.choice((0, 1, 2, 5, 30, 300, 5000))))
    peer.socket.send(GOOD)
    until(lambda: worker.seen)
    assert len(worker.seen) == 1
    assert executor.dropped == 1000


def test_calls_with_one_byte_changed_are_survived(ipc, until, raw_peer):
    worker = ipc.worker()
    executor = ipc.serve(worker)
    call = bytearray(wire.pack("note", {"task_id": "p~t", "timelimit": 9}, ("a", [1]), {"k": None}, {"v": 3}))
    peer = raw_peer(ipc.address).connect()
    chance = random.Random(1)
    for _ in range(1000):
        changed = call.copy()
        changed[chance.randrange(len(call))] = chance.randrange(256)
        peer.socket.send(changed)
    peer.socket.send(wire.pack("shout", {}, (), {}, {}))
    until(lambda: worker.shouted)
    until(lambda: len(worker.outcomes.settled) + executor.dropped == 1000)
    assert executor.dropped > 0


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(-9, 9), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=50, deadline=None)
@given(st.text(), st.just({}), st.lists(JSON, max_size=3), st.dictionaries(st.text(), JSON, max_size=3))
def test_what_is_packed_is_unpacked(method, ctxt, args, kwargs):
    try:
        frame = wire.pack(method, ctxt, args, kwargs, {})
    except NotCarried:
        assert "\\ud" in ascii((method, ctxt, args, kwargs))
        return
    assert wire.unpack(frame) == (method, ctxt, args, kwargs)


@settings(max_examples=300, deadline=None)
@given(st.binary())
def test_any_bytes_are_a_call_or_malformed(frame):
    try:
        method, _ctxt, _args, _kwargs = wire.unpack(frame)
    except wire.Malformed:
        return
    assert isinstance(method, str)


def test_a_message_that_is_too_large_costs_its_sender_the_connection_only(sockets, until, raw_peer):
    worker = sockets.worker()
    sockets.serve(worker)
    client = sockets.client()
    client.note({}, 1)
    raw_peer(sockets.address).connect().socket.send(bytes(zerorpc.MAX_MESSAGE + 1))
    with pytest.raises(NotCarried, match="limit"):
        client.note({}, bytes(zerorpc.MAX_MESSAGE))
    client.note({}, bytes(1024 * 1024))
    until(lambda: len(worker.seen) == 2)


def test_a_pusher_of_zerorpc_is_understood(sockets, until):
    worker = sockets.worker()
    sockets.serve(worker)
    pusher = zerorpc_package.Pusher()
    pusher.connect(sockets.address)
    pusher.note({"task_id": "p~t"}, [1], {"k": 2})
    until(lambda: worker.seen)
    assert worker.seen == [((1,), {"k": 2})]
    pusher.close()


# -- sockets ---------------------------------------------------------------


def test_nothing_is_opened_before_it_is_needed(ipc, short_dir):
    threads = threading.active_count()
    descriptors = os.listdir("/proc/self/fd")
    ipc.executor(ipc.worker())
    ipc.client()
    assert os.listdir("/proc/self/fd") == descriptors
    assert threading.active_count() == threads
    assert list(short_dir.iterdir()) == []


def test_socket_and_directory_are_private(ipc, short_dir):
    before = os.umask(0)
    try:
        ipc.serve(ipc.worker())
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    found = {path: stat.S_IMODE(path.lstat().st_mode) for path in short_dir.rglob("*")}
    run = short_dir / "run"
    assert found == {run: 0o700, run / "recorder.sock": 0o600, run / "recorder.sock.lock": 0o600}


def test_the_socket_is_gone_after_stop(ipc, short_dir):
    executor = ipc.serve(ipc.worker())
    executor.stop(0)
    assert [path.name for path in (short_dir / "run").iterdir()] == ["recorder.sock.lock"]


def test_a_directory_that_is_open_to_others_is_refused(ipc, short_dir):
    (short_dir / "run").mkdir(mode=0o755)
    (short_dir / "run").chmod(0o755)
    with pytest.raises(AddressError, match="0755"):
        ipc.executor(ipc.worker()).run()
    with pytest.raises(AddressError, match="0755"):
        ipc.client().note({})


def test_a_directory_that_is_a_symlink_is_refused(ipc, short_dir):
    (short_dir / "real").mkdir(mode=0o700)
    (short_dir / "run").symlink_to(short_dir / "real")
    with pytest.raises(AddressError, match="symlink"):
        ipc.executor(ipc.worker()).run()
    with pytest.raises(AddressError, match="symlink"):
        ipc.client().note({})


@pytest.mark.parametrize("kind", ["file", "symlink"])
def test_what_stands_in_the_way_of_the_socket_is_left_alone(ipc, short_dir, kind):
    (short_dir / "run").mkdir(mode=0o700)
    victim = short_dir / "victim"
    victim.write_text("precious")
    path = short_dir / "run" / "recorder.sock"
    path.symlink_to(victim) if kind == "symlink" else path.write_text("precious")
    with pytest.raises(AddressError):
        ipc.executor(ipc.worker()).run()
    with pytest.raises(AddressError):
        ipc.client().note({})
    assert path.read_text() == "precious"
    assert not is_locked(ipc.address, ipc.conf.orchestration.runtime_dir)


def test_a_port_that_a_stranger_has_is_in_use(sockets, raw_peer):
    if sockets.address.startswith("ipc"):
        pytest.skip("of tcp only")
    raw_peer(sockets.address, zmq.PULL).bind()
    with pytest.raises(AddressInUse):
        sockets.executor(sockets.worker()).run()
    assert not is_locked(sockets.address, sockets.conf.orchestration.runtime_dir)


def test_addresses_are_checked_when_parts_are_made(ipc):
    with pytest.raises(AddressError, match="CURVE"):
        zerorpc.Client("tcp://0.0.0.0:5555")
    with pytest.raises(AddressError, match="CURVE"):
        zerorpc.Executor(ipc.worker(), "tcp://0.0.0.0:5555")


def test_ipv6_loopback(conf, until, sockets):
    if not os.path.exists("/proc/net/if_inet6") or "tcp" not in sockets.address:
        pytest.skip("of tcp with IPv6 only")
    sockets.address = sockets.address.replace("127.0.0.1", "[::1]")
    worker = sockets.worker()
    sockets.serve(worker)
    sockets.client().note({})
    until(lambda: worker.seen)


# -- closing a client --------------------------------------------------------


def fill(client, payload):
    """Call until nobody takes it; how many were taken."""
    client.send_timeout = 10
    client.note({}, "connected")
    gevent.sleep(0)  # a message of its own, as each of the large ones
    client.send_timeout = 0.1
    taken = 1
    while True:
        try:
            client.note({}, payload)
        except NoPeer:
            return taken
        taken += 1


def test_close_ends_with_a_full_queue_and_says_so(sockets, lazy_peer):
    client = sockets.client()
    taken = fill(client, bytes(50_000))
    assert taken >= pusher.SEND_LIMIT
    assert pusher.SEND_LIMIT <= client.close(0.1) <= taken


def test_close_ends_while_calls_wait(sockets, lazy_peer):
    client = sockets.client()
    fill(client, bytes(50_000))
    client.send_timeout = 3600
    waiting = [gevent.spawn(outcome_of_call, client) for _ in range(3)]
    gevent.sleep(0)
    lost = client.close(0.1)
    assert lost >= 3 + pusher.SEND_LIMIT
    assert [greenlet.get(timeout=10) for greenlet in waiting] == ["NoPeer"] * 3


def outcome_of_call(client):
    try:
        client.note({})
    except NoPeer:
        return "NoPeer"
    return "taken"


def test_close_ends_while_a_call_waits_for_the_first_peer(sockets):
    client = sockets.client(send_timeout=3600)
    waiting = gevent.spawn(outcome_of_call, client)
    gevent.sleep(0)
    assert client.close(0.05) == 1
    assert waiting.get(timeout=10) == "NoPeer"


def test_close_sends_what_still_waits(sockets, until):
    worker = sockets.worker()
    client = sockets.client()
    waiting = gevent.spawn(client.note, {}, 1)
    gevent.sleep(0)
    serving = gevent.spawn_later(0.05, sockets.serve, worker)
    assert client.close(10) == 0
    waiting.get(timeout=10)
    serving.get(timeout=10)
    until(lambda: worker.seen)


def test_what_a_broken_connection_may_have_lost_is_told(sockets, lazy_peer, until):
    client = sockets.client()
    for _ in range(7):
        client.note({})
    gevent.sleep(0)  # they are handed over
    lazy_peer.close()
    until(lambda: client._pusher.in_doubt)
    assert client.close(1) == 7


def test_other_greenlets_run_while_a_client_closes(sockets, lazy_peer, until):
    client = sockets.client()
    fill(client, bytes(50_000))
    closing = gevent.spawn(client.close, 60)
    until(lambda: client._pusher is None)
    for _ in range(20):
        gevent.sleep(0.005)
    assert not closing.dead
    lazy_peer.close()
    assert closing.get(timeout=30) >= pusher.SEND_LIMIT


def test_what_a_worker_has_not_read_when_the_client_closes_is_told(ipc, short_dir, raw_peer):
    (short_dir / "run").mkdir(mode=0o700)
    peer = raw_peer(ipc.address, zmq.PULL)
    peer.socket.rcvhwm = 1
    peer.bind()
    (short_dir / "run" / "recorder.sock").chmod(0o600)
    client = ipc.client()
    for _ in range(50):
        client.note({}, bytes(2000))
        gevent.sleep(0)  # a message for each
    assert client.close(0.1) == 50


def test_close_waits_for_a_worker_that_lags(sockets, lazy_peer, until):
    client = sockets.client()
    taken = fill(client, bytes(50_000))
    closing = gevent.spawn(client.close, 60)
    until(lambda: client._pusher is None)
    for _ in range(taken):
        # The peer is no greenlet: let the client's side run in between.
        gevent.sleep(0)
        lazy_peer.socket.recv()
    assert closing.get(timeout=30) == 0


def test_a_timeout_of_the_caller_is_heard_and_leaves_the_client_usable(sockets, until):
    client = sockets.client(send_timeout=3600)
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.05):
        client.note({}, "never sent")
    worker = sockets.worker()
    sockets.serve(worker)
    client.note({}, "sent")
    until(lambda: worker.seen)
    assert worker.seen == [(("sent",), {})]


# -- processes ---------------------------------------------------------------

SENDER = """
    import sys
    if sys.argv[2] == "patched":
        from gevent import monkey
        monkey.patch_all()
    from solar_orch.executors.zerorpc import Client
    client = Client(sys.argv[1])
    for number in range(50):
        client.note({}, number)
    %s
"""


@pytest.mark.parametrize(
    ("end", "patching"),
    [
        ("", "plain"),
        ("client.close(5)", "plain"),
        ("del client", "plain"),
        ("sys.exit(0)", "plain"),
        ("", "patched"),
        ("client.close(5)", "patched"),
    ],
)
def test_a_process_ends_quietly_and_its_calls_arrive(ipc, until, script, patching, end):
    worker = ipc.worker()
    ipc.serve(worker)
    sender = script(SENDER % end, ipc.address, patching)
    until(lambda: sender.poll() is not None)
    assert (sender.returncode, *sender.communicate()) == (0, "", "")
    until(lambda: len(worker.seen) == 50)


def test_a_client_nobody_listens_to_does_not_keep_its_process(ipc, until, script):
    sender = script(
        """
        import sys
        from solar_orch.errors import NoPeer
        from solar_orch.executors.zerorpc import Client
        client = Client(sys.argv[1])
        client.send_timeout = 0.05
        try:
            client.note({})
        except NoPeer:
            print("nobody")
        """,
        ipc.address,
    )
    until(lambda: sender.poll() is not None)
    assert (sender.returncode, *sender.communicate()) == (0, "nobody\n", "")


def test_a_client_may_be_used_on_both_sides_of_a_fork(ipc, until, script):
    worker = ipc.worker()
    ipc.serve(worker)
    sender = script(
        """
        import os, sys
        import gevent
        from solar_orch.executors.zerorpc import Client
        client = Client(sys.argv[1])
        client.note({}, "before")
        client.note({}, "gathered")
        child = gevent.fork()
        gevent.sleep(0.05)  # ZeroMQ has news for the socket of the parent
        client.note({}, "parent" if child else "child")
        assert client.close(5) == 0
        if child:
            assert os.waitpid(child, 0)[1] == 0
        """,
        ipc.address,
    )
    until(lambda: sender.poll() is not None)
    assert (sender.returncode, *sender.communicate()) == (0, "", "")
    until(lambda: len(worker.seen) == 4)
    assert sorted(args for args, _ in worker.seen) == [("before",), ("child",), ("gathered",), ("parent",)]


SERVER = """
    import sys
    if sys.argv[3] == "patched":
        from gevent import monkey
        monkey.patch_all()
    from solar_orch import config
    from solar_orch.executors.zerorpc import Executor
    from solar_orch.workers.base import Worker

    class Server(Worker):
        name = "server"
        def note(self, ctxt, *args):
            print(*args, flush=True)

    server = Server(config.load(overrides={"runtime_dir": sys.argv[2], "pool_size": 3}), {})
    server.backgrounds.clear()
    server.background(lambda stopping: print("ready", flush=True))
    Executor(server, sys.argv[1]).run()
"""


@pytest.mark.parametrize("patching", ["patched", "plain"])
def test_a_worker_that_was_killed_is_replaced(sockets, until, script, patching):
    runtime_dir = sockets.conf.orchestration.runtime_dir
    server = script(SERVER, sockets.address, runtime_dir, patching)
    assert server.stdout.readline() == "ready\n"
    client = sockets.client()
    client.note({}, "hello")
    assert server.stdout.readline() == "hello\n"
    assert lock_holder(sockets.address, runtime_dir) == server.pid
    worker = sockets.worker()
    with pytest.raises(AddressInUse) as caught:
        sockets.executor(worker).run()
    assert caught.value.holder == server.pid
    server.kill()
    server.wait()
    assert not is_locked(sockets.address, runtime_dir)
    sockets.serve(worker := sockets.worker())

    def arrives():
        client.note({}, "again")
        return worker.seen

    until(arrives)
