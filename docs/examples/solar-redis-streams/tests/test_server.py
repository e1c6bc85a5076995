"""What becomes of calls when the server is not there, is started again, or refuses."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator

import gevent
import pytest
from conftest import Server
from solar_redis_streams.client import Client
from solar_redis_streams.server import FIELD

from solar_orch.errors import AddressError, NoPeer
from solar_orch.testing.bench import Bench, loaded


@pytest.fixture
def bench(server, tmp_path) -> Iterator[Bench]:
    options = {"redis_streams.block": 0.2, "redis_streams.claim_after": 0.2, "state_dir": str(tmp_path / "s")}
    bench = Bench(loaded("redis"), server.address(), options, deadline=20.0)
    yield bench
    bench.close()


def test_without_a_server_a_call_is_refused_in_the_end_and_others_run(server):
    server.stop()
    client = Client(server.address())
    client.send_timeout = 0.3
    ticks = []

    def tick() -> None:
        while True:
            gevent.sleep(0.01)
            ticks.append(1)

    ticker = gevent.spawn(tick)
    with pytest.raises(NoPeer) as caught:
        client.note({})
    ticker.kill()
    assert (caught.value.address, caught.value.timeout) == (server.address(), 0.3)
    assert len(ticks) > 3
    assert client.close(1) == 0


def test_a_server_that_does_not_answer_holds_nobody_up(server):
    client = Client(server.address())
    client.note({})
    client.send_timeout = 0.2
    # What a stopped process does: connections stay, and nothing is answered.
    server.client.execute_command("CLIENT", "PAUSE", "60000")
    with pytest.raises(NoPeer):
        client.note({})


def test_a_call_waits_for_a_server_that_comes(server):
    server.stop()
    client = Client(server.address())
    client.send_timeout = 20
    caller = gevent.spawn(client.note, {}, 1)
    gevent.sleep(0.1)
    assert not caller.dead
    server.start()
    caller.get(timeout=20)
    assert server.client.xlen("calls") == 1


def test_a_worker_goes_on_when_the_server_is_back_without_its_data(server, bench):
    worker = bench.worker()
    run = bench.serve(worker)
    client = bench.client()
    client.note({}, "before")
    bench.until(lambda: worker.seen, "a call arrives")
    server.stop()
    gevent.sleep(0.1)
    server.start()
    client.note({}, "after")
    bench.until(lambda: len(worker.seen) == 2, "a call arrives after the server was started again")
    assert not run.is_over


def test_a_worker_that_begins_without_a_server_waits_for_it(server, bench):
    server.stop()
    worker = bench.worker()
    run = bench.start(bench.executor(worker))
    gevent.sleep(0.1)
    assert not run.is_over
    server.start()
    bench.client().note({}, 1)
    bench.until(lambda: worker.seen, "a call arrives when the server has come")


def test_malformed_entries_are_dropped_and_counted_and_do_not_stay(server, bench):
    worker = bench.worker()
    executor = bench.serve(worker).executor
    for entry in ({FIELD: b"\xc1"}, {FIELD: b"\x93\x80"}, {b"other": b"x"}, {FIELD: b""}):
        server.client.xadd("calls", entry)
    bench.until(lambda: executor.drops.counts.get("malformed messages") == 4, "four entries are dropped")
    bench.fence(worker, bench.client())
    bench.until(lambda: server.client.xlen("calls") == 0, "nothing stays in the stream")
    assert server.client.xpending("calls", "solar")["pending"] == 0


def test_what_was_read_and_not_taken_is_taken_by_the_next(server, bench):
    bench.client().note({}, "forgotten")
    server.client.xgroup_create("calls", "solar", id="0", mkstream=True)
    # As a worker does that is killed right after.
    assert server.client.xreadgroup("solar", "dead", {"calls": ">"})
    worker = bench.worker()
    bench.serve(worker)
    bench.until(lambda: worker.seen, "a call that a dead worker had read is made by another one")
    assert worker.seen == [(("forgotten",), {})]
    bench.until(lambda: server.client.xlen("calls") == 0, "nothing stays in the stream")


def consumers(server: Server) -> list[bytes]:
    return [found["name"] for found in server.client.xinfo_consumers("calls", "solar")]


def test_each_worker_is_a_consumer_until_it_stops(server, bench):
    first, second = bench.worker(), bench.worker()
    runs = [bench.start(bench.executor(worker)) for worker in (first, second)]

    def each_has_a_call() -> bool:
        bench.client().note({})
        return bool(first.seen and second.seen)

    bench.until(each_has_a_call, "both take calls")
    bench.until(lambda: server.client.xlen("calls") == 0, "nothing is pending")
    assert len(consumers(server)) == 2
    runs[0].executor.stop(5)
    assert len(consumers(server)) == 1


def test_who_stops_with_a_call_that_it_has_not_taken_stays_until_another_takes_it(server, bench):
    first = bench.worker()
    executor = bench.serve(first).executor
    [consumer] = consumers(server)
    # As when a call comes in the moment in which it stops.
    executor.refuse()
    bench.client().note({}, "left over")
    bench.until(lambda: server.client.xpending("calls", "solar")["pending"] == 1, "it reads the call")
    executor.stop(5)
    assert consumers(server) == [consumer]
    second = bench.worker()
    bench.start(bench.executor(second))
    bench.until(lambda: second.seen, "another one takes it")
    assert second.seen == [(("left over",), {})]


def test_consumers_of_dead_workers_are_removed_when_they_hold_nothing(server, bench, monkeypatch):
    monkeypatch.setattr("solar_redis_streams.executor.ANSWER", 0.2)
    server.client.xgroup_create("calls", "solar", id="0", mkstream=True)
    server.client.xgroup_createconsumer("calls", "solar", "dead")
    bench.client().note({}, "held")
    assert server.client.xreadgroup("solar", "dead with a call", {"calls": ">"})
    worker = bench.worker()
    bench.start(bench.executor(worker))
    bench.until(lambda: worker.seen, "what the dead one held is taken")
    bench.until(
        lambda: not {b"dead", b"dead with a call"} & {*consumers(server)}, "the dead ones are removed"
    )
    bench.client().note({}, "later")
    bench.until(lambda: len(worker.seen) == 2, "the living one goes on")


def test_a_user_that_may_run_no_scripts_can_do_all_else(server, bench):
    server.client.acl_setuser("default", enabled=True, commands=["-eval"])
    run = bench.serve(bench.worker())
    run.executor.stop(5)
    bench.until(lambda: run.is_over, "it ends")
    assert run.error is None
    assert len(consumers(server)) == 1


def test_what_was_read_and_then_trimmed_is_passed_over(server, bench):
    server.client.xgroup_create("calls", "solar", id="0", mkstream=True)
    entry = server.client.xadd("calls", {FIELD: b"trimmed"})
    server.client.xreadgroup("solar", "dead", {"calls": ">"})
    server.client.xdel("calls", entry)
    gevent.sleep(0.25)  # longer than claim_after
    worker = bench.worker()
    executor = bench.serve(worker).executor
    bench.fence(worker, bench.client())
    assert executor.dropped == 0


def test_a_stream_does_not_grow_beyond_its_bound(server):
    client = Client(server.address() + "&maxlen=100")
    for number in range(1000):
        client.note({}, number)
    # The server drops whole nodes, of a hundred entries.
    assert server.client.xlen("calls") <= 200


def test_a_key_that_is_no_stream_is_told(server, bench):
    server.client.set("calls", "x")
    with pytest.raises(AddressError, match="WRONGTYPE"):
        bench.client().note({})
    run = bench.start(bench.executor(bench.worker()))
    bench.until(lambda: run.is_over, "run() ends")
    assert isinstance(run.error, AddressError)


def test_a_password_is_asked_for_and_given(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    server = Server(tmp_path, "--requirepass", "s3cret")
    try:
        server.start()
        with pytest.raises(AddressError, match="lets nobody in"):
            Client(server.address()).note({})
        client = Client(f"{server.address()}&password_file={secret}")
        client.note({})
        assert client.close(1) == 0
    finally:
        server.stop()


@pytest.mark.parametrize("patch", ["monkey.patch_all()", ""], ids=["patched", "not patched"])
def test_programs_call_whether_or_not_gevent_has_patched_them(server, patch):
    source = f"""
        from gevent import monkey
        {patch}
        import gevent
        from solar_redis_streams.client import Client

        client = Client({server.address()!r})
        ticks = []
        def tick():
            while True:
                gevent.sleep(0.005)
                ticks.append(1)
        gevent.spawn(tick)
        gevent.joinall([gevent.spawn(client.note, {{}}, number) for number in range(50)], raise_error=True)
        gevent.sleep(0.02)
        assert ticks
        assert client.close(1) == 0
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + 10
    while server.client.xlen("calls") < 50:
        assert time.monotonic() < deadline
        time.sleep(0.01)
