"""How calls run beside each other."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from solar_orch.errors import Killed
from solar_orch.testing.bench import Bench
from solar_orch.testing.executors.base import TASK, ExecutorKit


class Running(ExecutorKit):
    """Slots, and controls, which need none."""

    def test_as_many_calls_run_as_the_pool_has_slots_and_no_more(self, bench: Bench) -> None:
        worker = bench.worker(pool_size=3)
        bench.serve(worker)
        client = bench.client()
        for number in range(10):
            client.hold({}, number)
        bench.until(lambda: worker.running >= 3, "three calls run at once, which is pool_size")
        client.shout({})
        bench.until(lambda: worker.shouted, "a control is called while all slots are taken")
        gevent.sleep(0.02)
        assert worker.running == 3
        worker.release.set()
        bench.until(lambda: len(worker.outcomes.settled) == 10, "all calls end when they are released")
        assert worker.peak == 3, "never more calls run than pool_size"
        assert sorted(args for args, _ in worker.seen) == [(number,) for number in range(10)]

    def test_a_slot_is_free_again_after_each_call(self, bench: Bench) -> None:
        worker = bench.worker(pool_size=2)
        bench.serve(worker)
        client = bench.client()
        for number in range(200):
            client.note({}, number)
        bench.until(lambda: len(worker.seen) == 200, "200 calls go through two slots")

    def test_a_control_overtakes_calls_that_wait(self, bench: Bench) -> None:
        worker = bench.worker(pool_size=1)
        bench.serve(worker)
        client = bench.client()
        for number in range(500):
            client.hold({}, number)
        client.shout({}, "now")
        bench.until(lambda: worker.shouted, "a control is called while calls wait for a slot")
        assert worker.shouted == [("now",)]
        assert len(worker.seen) == 1

    def test_a_control_is_no_matter_of_the_ledger(self, bench: Bench) -> None:
        worker = bench.worker()
        bench.serve(worker)
        client = bench.client()
        client.shout(TASK, 1)
        bench.until(lambda: worker.shouted, "a control is called")
        assert worker.outcomes.admitted == []

    def test_a_call_that_is_not_admitted_is_not_made(self, bench: Bench) -> None:
        worker = bench.worker(pool_size=1)
        bench.serve(worker)
        client = bench.client()
        client.note({**TASK, "refuse": True}, "refused")
        bench.fence(worker, client)
        assert ("refused",) not in [args for args, _ in worker.seen]

    @pytest.mark.parametrize("how", ["exit", "timeout", "greenlet"])
    def test_a_call_that_wants_to_end_the_process_ends_alone(self, bench: Bench, how: str) -> None:
        worker = bench.worker(pool_size=1)

        def leave(ctxt: Any, *args: Any) -> None:
            raise {"exit": SystemExit(3), "timeout": gevent.Timeout(1), "greenlet": gevent.GreenletExit()}[
                how
            ]

        worker.add_method("leave", leave)
        run = bench.serve(worker)
        client = bench.client()
        client.leave(TASK)
        bench.until(lambda: worker.outcomes.settled, "the call is settled")
        assert isinstance(worker.outcomes.errors[0], Killed)
        bench.fence(worker, client)
        assert not run.is_over

    def test_what_breaks_out_of_the_worker_ends_the_call_alone(self, bench: Bench) -> None:
        worker = bench.worker(pool_size=1)
        run = bench.serve(worker)

        def admit(ctxt: Any) -> None:
            if ctxt.get("breaks"):
                raise gevent.Timeout(1)

        worker.outcomes.admit = admit  # type: ignore[method-assign]
        client = bench.client()
        client.note({"breaks": True}, "broken off")
        bench.fence(worker, client)
        assert ("broken off",) not in [args for args, _ in worker.seen]
        assert not run.is_over
