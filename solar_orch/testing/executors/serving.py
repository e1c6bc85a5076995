"""How an executor begins, and how it stops."""

from __future__ import annotations

import contextlib
import gc
import threading
from pathlib import Path
from typing import Any

import gevent
import pytest

from solar_orch import held
from solar_orch.errors import Interrupted, NoPeer
from solar_orch.testing.bench import Bench, Run
from solar_orch.testing.executors.base import TASK, ExecutorKit


def _opened() -> dict[str, Any]:
    """What this process has open now."""
    return {
        "descriptors": held.descriptors(),
        # gevent ends those of its pool in its own time, which resolve names, among others.
        "threads": held.threads() - gevent.get_hub().threadpool.size,
        "Python's threads": {thread.ident for thread in threading.enumerate()},
        "greenlets": set(map(id, held.greenlets())),
    }


def _stop_beside(run: Run, timeout: float) -> Any:
    return gevent.spawn(run.executor.stop, timeout)


class Serving(ExecutorKit):
    """From the making of an executor to the end of ``run``."""

    def test_making_opens_nothing(self, bench: Bench, short_path: Path) -> None:
        worker = bench.worker()
        gc.collect()
        before, files = _opened(), sorted(short_path.rglob("*"))
        executor, client = bench.executor(worker), bench.client()
        assert _opened() == before, "neither an executor nor a client opens anything when it is made"
        assert sorted(short_path.rglob("*")) == files
        assert executor.worker is worker
        assert (executor.address, client.address) == (bench.address, bench.address)

    def test_closing_a_client_that_was_never_used_opens_nothing(self, bench: Bench) -> None:
        gc.collect()
        before = _opened()
        assert bench.client().close(1.0) == 0
        assert _opened()["descriptors"] == before["descriptors"]

    def test_nothing_is_left_behind(self, bench: Bench) -> None:
        def serve_once() -> None:
            worker, client = bench.worker(), bench.client()
            run = bench.serve(worker)
            bench.fence(worker, client)
            bench.within(run.executor.stop, 1.0, expected="stop() returns", seconds=1.0)
            bench.within(client.close, 1.0, expected="close() returns", seconds=1.0)

        def count() -> dict[str, int]:
            gc.collect()
            return {
                kind: found if isinstance(found, int) else len(found) for kind, found in _opened().items()
            }

        serve_once()  # what is opened once for all may stay
        before = count()
        for _ in range(3):
            serve_once()
        bench.until(
            lambda: all(count()[kind] <= before[kind] for kind in before),
            "after stop() and close() no descriptor, thread or greenlet is left",
        )

    def test_others_run_while_it_waits(self, bench: Bench) -> None:
        ticks = []

        def tick() -> None:
            while True:
                gevent.sleep(0.01)
                ticks.append(1)

        worker = bench.worker()
        bench.serve(worker)
        ticker = gevent.spawn(tick)
        try:
            bench.until(
                lambda: len(ticks) >= 30, "greenlets get their turn while an executor waits for calls"
            )
        finally:
            ticker.kill()
        assert len(ticks) >= 30

    def test_stop_lets_running_calls_end_and_begins_no_others(self, bench: Bench) -> None:
        worker = bench.worker(pool_size=1)
        run = bench.serve(worker)
        client = bench.client(send_timeout=0.1)
        client.hold({}, "running")
        bench.until(lambda: worker.running, "a call runs")
        client.hold({}, "waiting")
        client.shout({})
        bench.until(lambda: worker.shouted, "a control is called")
        stop = _stop_beside(run, 60)
        gevent.sleep(0.02)
        with contextlib.suppress(NoPeer):
            client.note({}, "late")
        gevent.sleep(0.02)
        assert worker.running == 1, "stop() lets calls end that run"
        assert not stop.dead, "stop() returns when no call runs any more"
        assert not run.is_over, "run() returns when no call runs any more"
        worker.release.set()
        bench.until(lambda: stop.dead and run.is_over, "stop() and run() return when the last call has ended")
        assert run.error is None
        assert worker.seen == [(("running",), {})], "no call begins after stop()"
        assert worker.outcomes.errors == [None]

    def test_stop_interrupts_what_does_not_end_in_time(self, bench: Bench) -> None:
        worker = bench.worker()
        run = bench.serve(worker)
        bench.client().hold(TASK)
        bench.until(lambda: worker.running, "a call runs")
        bench.within(run.executor.stop, 0.05, expected="stop(0.05) returns", seconds=5.0)
        bench.until(lambda: run.is_over, "run() returns after stop()")
        assert run.error is None
        assert [type(error) for error in worker.outcomes.errors] == [Interrupted]

    def test_an_interrupted_call_is_settled_before_run_returns(self, bench: Bench) -> None:
        worker = bench.worker()
        run = bench.serve(worker)
        bench.client().hold(TASK)
        bench.until(lambda: worker.running, "a call runs")
        worker.outcomes.may_settle.clear()
        stop = _stop_beside(run, 0)
        bench.until(lambda: worker.outcomes.settling, "stop(0) ends a call that runs")
        gevent.sleep(0.02)
        assert not run.is_over, "run() returns when the interrupted call has been settled"
        assert not stop.dead, "stop() returns when the interrupted call has been settled"
        worker.outcomes.may_settle.set()
        bench.until(lambda: stop.dead and run.is_over, "stop() and run() return when the call is settled")
        assert len(worker.outcomes.settled) == 1

    def test_a_second_stop_shortens_the_first(self, bench: Bench) -> None:
        worker = bench.worker()
        run = bench.serve(worker)
        bench.client().hold(TASK)
        bench.until(lambda: worker.running, "a call runs")
        first = _stop_beside(run, 3600)
        gevent.sleep(0.02)
        assert worker.outcomes.settled == []
        second = _stop_beside(run, 0)
        bench.until(lambda: second.dead, "a second stop with a shorter timeout ends what runs")
        bench.until(lambda: first.dead and run.is_over, "the first stop returns then, and run()")
        assert [type(error) for error in worker.outcomes.errors] == [Interrupted]
        bench.within(run.executor.stop, 3600, expected="a stop of what has stopped returns at once")

    def test_a_stop_before_the_run_is_heard(self, bench: Bench) -> None:
        worker = bench.worker()
        began = []
        worker.background(lambda stopping: began.append(stopping.wait()))
        executor = bench.executor(worker)
        bench.within(executor.stop, 1, expected="stop() before run() returns at once")
        run = bench.start(executor)
        bench.until(lambda: run.is_over, "run() returns at once after stop()")
        assert run.error is None
        assert worker.asked == []
        bench.serve(bench.worker())

    def test_an_address_is_free_again_after_stop(self, bench: Bench) -> None:
        for _ in range(3):
            worker = bench.worker()
            run = bench.serve(worker)
            bench.within(run.executor.stop, 1, expected="stop() returns", seconds=1.0)
            bench.until(lambda run=run: run.is_over, "run() returns after stop()")  # type: ignore[misc]
            assert run.error is None

    def test_refuse_lets_running_calls_go_on(self, bench: Bench) -> None:
        worker = bench.worker(pool_size=1)
        run = bench.serve(worker)
        executor: Any = run.executor
        if not hasattr(executor, "refuse"):
            pytest.skip("its executor has no refuse()")
        client = bench.client(send_timeout=0.1)
        assert getattr(executor, "taking", True), "it takes calls before refuse()"
        client.hold(TASK, "running")
        bench.until(lambda: worker.running, "a call runs")
        client.hold({}, "waiting")
        client.shout({})
        bench.until(lambda: worker.shouted, "a control is called")
        bench.within(lambda: executor.refuse() or True, expected="refuse() returns at once")
        assert not getattr(executor, "taking", False), "it takes no calls after refuse()"
        with contextlib.suppress(NoPeer):
            client.note({}, "late")
        gevent.sleep(0.02)
        assert worker.running == 1, "refuse() lets calls go on that run"
        assert not run.is_over, "run() returns after stop(), and not after refuse()"
        worker.release.set()
        bench.until(lambda: worker.outcomes.settled, "the running call is settled")
        gevent.sleep(0.02)
        assert worker.seen == [(("running",), {})], "no call begins after refuse()"
        bench.within(executor.stop, 1, expected="stop() returns after refuse()", seconds=1.0)

    def test_forewarn_is_noted_and_changes_nothing(self, bench: Bench) -> None:
        worker = bench.worker()
        executor: Any = bench.serve(worker).executor
        if not hasattr(executor, "forewarn"):
            pytest.skip("its executor has no forewarn()")
        assert not executor.forewarned
        executor.forewarn()
        assert executor.forewarned
        bench.fence(worker, bench.client())
