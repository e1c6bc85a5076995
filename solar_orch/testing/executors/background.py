"""What an executor does for the worker's background functions."""

from __future__ import annotations

from typing import Any

import gevent
import pytest
from gevent.event import Event

from solar_orch.errors import Interrupted, SolarError
from solar_orch.testing.bench import Bench
from solar_orch.testing.executors.base import TASK, ExecutorKit


class Background(ExecutorKit):
    """Background functions, and what ends ``run``."""

    def test_background_functions_run_until_the_last_call_has_ended(self, bench: Bench) -> None:
        worker = bench.worker()
        events = []

        @worker.background
        def beat(stopping: Any) -> None:
            events.append("begun")
            while not stopping.is_set():
                stopping.wait(0.01)
            events.append(f"ended with {worker.running} running")

        run = bench.serve(worker)
        bench.until(lambda: events, "a background function begins")
        bench.client().hold({})
        bench.until(lambda: worker.running, "a call runs")
        stop = gevent.spawn(run.executor.stop, 60)
        gevent.sleep(0.05)
        assert events == ["begun"], "background functions go on while calls are drained"
        worker.release.set()
        bench.until(lambda: stop.dead and run.is_over, "stop() and run() return when the last call has ended")
        assert events == ["begun", "ended with 0 running"]

    def test_a_background_function_may_return(self, bench: Bench) -> None:
        worker = bench.worker()
        worker.background(lambda stopping: None)
        run = bench.serve(worker)
        bench.fence(worker, bench.client())
        assert not run.is_over

    @pytest.mark.parametrize("error", [ValueError("broken"), SolarError("broken")], ids=repr)
    def test_a_background_function_that_fails_ends_run_with_its_error(
        self, bench: Bench, error: Exception
    ) -> None:
        worker = bench.worker()
        fail = Event()
        others = []

        @worker.background
        def failing(stopping: Any) -> None:
            fail.wait()
            raise error

        @worker.background
        def other(stopping: Any) -> None:
            others.append(stopping.wait())

        run = bench.serve(worker)
        bench.client().hold(TASK)
        bench.until(lambda: worker.running, "a call runs")
        fail.set()
        bench.until(lambda: run.is_over, "run() ends when a background function fails")
        assert run.error is error, "run() raises what the background function raised"
        assert others == [True], "the other background functions are told to return"
        assert [type(each) for each in worker.outcomes.errors] == [Interrupted], "running calls are ended"
        bench.serve(bench.worker())
