"""Clients, and what they find or do not find at their address."""

from __future__ import annotations

import contextlib

import gevent
import pytest

from solar_orch.errors import AddressInUse, NoPeer
from solar_orch.executors.base import Client, Executor
from solar_orch.testing.bench import Bench
from solar_orch.testing.executors.base import ExecutorKit, exclude


class Connecting(ExecutorKit):
    """The life of a client, and addresses that are taken or not served."""

    def test_parts_are_of_the_contracts(self, bench: Bench) -> None:
        assert isinstance(bench.executor(bench.worker()), Executor)
        client: Client = bench.part.obj.Client(bench.address)
        assert isinstance(client, Client)
        assert client.send_timeout > 0, "a client has a send_timeout before anybody sets one"

    def test_a_second_executor_is_refused_and_the_first_goes_on(self, bench: Bench) -> None:
        exclude(bench.part, "shared")
        worker, other = bench.worker(), bench.worker()
        first = bench.serve(worker)
        second = bench.start(bench.executor(other))
        bench.until(lambda: second.is_over, "run() of a second executor at the same address ends")
        assert isinstance(second.error, AddressInUse)
        client = bench.client()
        bench.fence(worker, client)
        assert not first.is_over
        assert other.asked == []

    def test_without_a_worker_a_call_is_refused_in_the_end(self, bench: Bench) -> None:
        exclude(bench.part, "queued")
        client = bench.client(send_timeout=0.1)
        ticks = []

        def tick() -> None:
            while True:
                gevent.sleep(0.01)
                ticks.append(1)

        ticker = gevent.spawn(tick)
        try:
            for _ in range(3):
                with pytest.raises(NoPeer) as caught:
                    bench.within(client.note, {}, 1, expected="a call that nobody takes raises NoPeer")
                assert (caught.value.address, caught.value.timeout) == (bench.address, 0.1)
        finally:
            ticker.kill()
        assert len(ticks) > 3, "greenlets get their turn while a call waits for a worker"
        lost = bench.within(client.close, 0.5, expected="close() returns", seconds=0.5)
        assert lost == 0, "a call that was refused is not lost as well"

    def test_a_call_waits_for_a_worker_that_comes(self, bench: Bench) -> None:
        worker = bench.worker()
        client = bench.client(send_timeout=self.deadline)
        caller = gevent.spawn(client.note, {}, "early")
        gevent.sleep(0.02)
        bench.serve(worker)
        bench.until(lambda: caller.dead, "the call returns when a worker has come")
        bench.until(lambda: worker.seen, "a call that waited for a worker arrives")
        assert worker.seen == [(("early",), {})]

    def test_close_sends_what_is_queued(self, bench: Bench) -> None:
        worker = bench.worker()
        bench.serve(worker)
        client = bench.client()
        for number in range(100):
            client.note({}, number)
        lost = bench.within(client.close, self.deadline, expected="close() returns")
        assert lost == 0, "nothing is lost while a worker takes calls"
        bench.until(
            lambda: len(worker.seen) == 100, "calls that were queued when the client was closed arrive"
        )

    def test_a_closed_client_takes_no_calls(self, bench: Bench) -> None:
        worker = bench.worker()
        bench.serve(worker)
        client = bench.client()
        client.note({}, "before")
        bench.until(lambda: worker.seen, "a call arrives")
        for _ in range(2):
            lost = bench.within(client.close, self.deadline, expected="close() returns, the second time too")
            assert lost == 0
        with pytest.raises(NoPeer):
            bench.within(client.note, {}, "after", expected="a call by a closed client raises NoPeer at once")
        assert worker.seen == [(("before",), {})]

    @pytest.mark.parametrize("timeout", [0.0, 0.2])
    def test_close_does_not_hang_without_a_worker(self, bench: Bench, timeout: float) -> None:
        client = bench.client(send_timeout=0.05)
        with contextlib.suppress(NoPeer):
            bench.within(client.note, {}, 1, expected="the call returns")
        lost = bench.within(client.close, timeout, expected="close() returns", seconds=timeout)
        assert type(lost) is int
        assert lost >= 0

    def test_close_does_not_hang_after_its_worker_has_stopped(self, bench: Bench) -> None:
        worker = bench.worker()
        run = bench.serve(worker)
        client = bench.client(send_timeout=0.1)
        bench.fence(worker, client)
        bench.within(run.executor.stop, 1, expected="stop() returns", seconds=1.0)
        with contextlib.suppress(NoPeer):
            bench.within(client.note, {}, 1, expected="the call returns")
        lost = bench.within(client.close, 0.2, expected="close() returns", seconds=0.2)
        assert type(lost) is int
        assert lost >= 0

    def test_a_client_survives_the_restart_of_the_worker(self, bench: Bench) -> None:
        first, second = bench.worker(), bench.worker()
        client = bench.client()
        run = bench.serve(first)
        client.note({}, "first")
        bench.until(lambda: first.seen, "a call arrives")
        bench.within(run.executor.stop, 1, expected="stop() returns", seconds=1.0)
        bench.serve(second)

        def arrives() -> bool:
            # One may go the way of the old connection: messages are hints.
            client.note({}, "second")
            gevent.sleep(0.005)
            return bool(second.seen)

        bench.until(arrives, "calls of the same client arrive at the next worker")
        assert first.seen == [(("first",), {})]

    def test_several_clients_reach_one_worker(self, bench: Bench) -> None:
        worker = bench.worker()
        bench.serve(worker)
        clients = [bench.client() for _ in range(5)]
        for number, client in enumerate(clients):
            client.note({}, number)
        bench.until(lambda: len(worker.seen) == 5, "a call of each of five clients arrives")
        assert sorted(args[0] for args, _ in worker.seen) == list(range(5))
