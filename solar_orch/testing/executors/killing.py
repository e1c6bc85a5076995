"""How calls are ended from outside: by a kill, and by their time limits."""

from __future__ import annotations

import gevent

from solar_orch.errors import ExecutionTimeout, Killed
from solar_orch.testing.bench import Bench
from solar_orch.testing.executors.base import TASK, ExecutorKit


class Killing(ExecutorKit):
    """``kill`` and time limits."""

    def test_a_running_call_is_killed(self, bench: Bench) -> None:
        worker = bench.worker()
        executor = bench.serve(worker).executor
        client = bench.client()
        client.hold(TASK)
        client.hold({"task_id": "plan~bystander", "attempt": 1})
        bench.until(lambda: worker.running == 2, "two calls run")
        assert executor.kill("plan~task", attempt=1) is True
        bench.until(lambda: worker.outcomes.settled, "a call that was killed is settled")
        ((ctxt, _, error),) = worker.outcomes.settled
        assert ctxt == TASK
        assert isinstance(error, Killed)
        assert worker.running == 1
        assert not executor.kill("plan~task"), "what has ended can not be killed"

    def test_a_kill_means_one_task_and_one_attempt(self, bench: Bench) -> None:
        worker = bench.worker()
        executor = bench.serve(worker).executor
        bench.client().hold(TASK)
        bench.until(lambda: worker.running, "a call runs")
        assert not executor.kill("plan~other"), "another task does not run here"
        assert not executor.kill("plan~task", attempt=2), "another attempt does not run here"
        assert not executor.kill(""), "another task does not run here"
        gevent.sleep(0.02)
        assert worker.running
        assert worker.outcomes.settled == []

    def test_a_kill_without_attempt_means_whichever_runs(self, bench: Bench) -> None:
        worker = bench.worker()
        executor = bench.serve(worker).executor
        bench.client().hold({**TASK, "attempt": 7})
        bench.until(lambda: worker.running, "a call runs")
        assert executor.kill("plan~task")
        bench.until(lambda: worker.outcomes.settled, "the call that was killed is settled")
        assert isinstance(worker.outcomes.errors[0], Killed)

    def test_a_kill_says_with_what_the_call_ends(self, bench: Bench) -> None:
        worker = bench.worker()
        executor = bench.serve(worker).executor
        bench.client().hold(TASK)
        bench.until(lambda: worker.running, "a call runs")
        error = ExecutionTimeout(3, "timeout")
        assert executor.kill("plan~task", error=error)
        bench.until(lambda: worker.outcomes.settled, "the call that was killed is settled")
        assert worker.outcomes.errors == [error]

    def test_a_kill_before_the_start_is_delivered_at_the_start(self, bench: Bench) -> None:
        worker = bench.worker()
        executor = bench.serve(worker).executor
        worker.outcomes.may_admit.clear()
        bench.client().note(TASK)
        bench.until(lambda: worker.outcomes.admitted, "the call comes to be admitted")
        assert executor.kill("plan~task"), "what is being admitted runs, as far as a kill goes"
        worker.outcomes.may_admit.set()
        bench.until(lambda: worker.outcomes.settled, "the call that was killed is settled")
        assert isinstance(worker.outcomes.errors[0], Killed)
        assert worker.seen == [], "a call that was killed before it began is not made"

    def test_a_call_that_waits_for_a_slot_is_left_to_its_claim(self, bench: Bench) -> None:
        worker = bench.worker(pool_size=1)
        executor = bench.serve(worker).executor
        client = bench.client()
        client.hold({})
        bench.until(lambda: worker.running, "a call runs")
        client.note(TASK)
        client.shout({})
        bench.until(lambda: worker.shouted, "a control is called")
        assert not executor.kill("plan~task"), "a call that waits for a slot does not run"
        worker.release.set()
        bench.until(lambda: len(worker.outcomes.settled) == 2, "both calls are settled")
        assert worker.outcomes.errors == [None, None]

    def test_a_control_is_not_killed_with_the_task_that_it_names(self, bench: Bench) -> None:
        worker = bench.worker()
        bench.serve(worker)
        client = bench.client()
        client.hold(TASK)
        bench.until(lambda: worker.running, "a call runs")
        client.kill(TASK)
        bench.until(lambda: worker.kills, "the control that kills goes on afterwards")
        bench.until(lambda: worker.outcomes.settled, "the call is settled")
        assert worker.kills == [True]
        client.kill(TASK)
        bench.until(lambda: len(worker.kills) == 2, "a second kill goes on afterwards")
        assert worker.kills == [True, False]

    def test_settling_is_not_interrupted_by_a_kill(self, bench: Bench) -> None:
        worker = bench.worker()
        executor = bench.serve(worker).executor
        worker.outcomes.may_settle.clear()
        bench.client().note(TASK)
        bench.until(lambda: worker.outcomes.settling, "the call comes to be settled")
        assert not executor.kill("plan~task"), "a call that is being settled has ended"
        gevent.sleep(0.02)
        worker.outcomes.may_settle.set()
        bench.until(lambda: worker.outcomes.settled, "the call is settled")
        assert worker.outcomes.settled == [(TASK, "noted", None)]

    def test_settling_is_not_interrupted_by_the_time_limit(self, bench: Bench) -> None:
        worker = bench.worker()
        bench.serve(worker)
        worker.outcomes.may_settle.clear()
        ctxt = {**TASK, "timelimit": 0.05}
        bench.client().note(ctxt)
        bench.until(lambda: worker.outcomes.settling, "the call comes to be settled")
        gevent.sleep(0.1)  # the time limit passes
        worker.outcomes.may_settle.set()
        bench.until(lambda: worker.outcomes.settled, "the call is settled")
        assert worker.outcomes.settled == [(ctxt, "noted", None)]

    def test_a_kill_that_meets_the_end_of_a_call_leaves_one_outcome(self, bench: Bench) -> None:
        worker = bench.worker()
        executor = bench.serve(worker).executor
        client = bench.client()
        for number in range(20):
            client.hold({"task_id": f"plan~{number}", "attempt": 1})
        bench.until(lambda: worker.running == 20, "twenty calls run")
        worker.release.set()
        for number in range(20):
            executor.kill(f"plan~{number}")
        bench.until(lambda: len(worker.outcomes.settled) >= 20, "all calls are settled")
        bench.fence(worker, client)
        settled = [ctxt["task_id"] for ctxt, _, _ in worker.outcomes.settled if ctxt]
        assert sorted(settled) == sorted(f"plan~{number}" for number in range(20))

    def test_only_the_first_to_end_a_call_is_heard(self, bench: Bench) -> None:
        worker = bench.worker()
        executor = bench.serve(worker).executor
        bench.client().resist({**TASK, "timelimit": 0.05}, 5)
        bench.until(lambda: worker.running, "a call runs")
        first = Killed("first")
        assert executor.kill("plan~task", error=first)
        assert executor.kill("plan~task", error=Killed("second"))
        gevent.sleep(0.1)  # the time limit passes
        worker.release.set()
        bench.until(lambda: worker.outcomes.settled, "the call is settled")
        assert worker.ignored == [first]

    def test_a_time_limit_ends_the_call(self, bench: Bench) -> None:
        worker = bench.worker()
        bench.serve(worker)
        bench.client().hold({**TASK, "timelimit": 0.05})
        bench.until(lambda: worker.outcomes.settled, "a call whose time is over is settled")
        (error,) = worker.outcomes.errors
        assert isinstance(error, ExecutionTimeout)
        assert error.seconds == 0.05

    def test_a_time_limit_runs_from_the_start_and_not_from_receipt(self, bench: Bench) -> None:
        worker = bench.worker(pool_size=1)
        bench.serve(worker)
        client = bench.client()
        client.hold({})
        bench.until(lambda: worker.running, "a call runs")
        client.note({**TASK, "timelimit": 0.2})
        client.shout({})
        bench.until(lambda: worker.shouted, "a control is called")
        gevent.sleep(0.3)  # longer than its limit
        worker.release.set()
        bench.until(lambda: len(worker.outcomes.settled) == 2, "both calls are settled")
        assert worker.outcomes.errors == [None, None]

    def test_a_time_limit_does_not_run_while_a_call_is_admitted(self, bench: Bench) -> None:
        worker = bench.worker()
        bench.serve(worker)
        worker.outcomes.may_admit.clear()
        bench.client().note({**TASK, "timelimit": 0.05})
        bench.until(lambda: worker.outcomes.admitted, "the call comes to be admitted")
        gevent.sleep(0.1)  # longer than its limit
        worker.outcomes.may_admit.set()
        bench.until(lambda: worker.outcomes.settled, "the call is settled")
        assert worker.outcomes.errors == [None]

    def test_without_a_time_limit_a_call_runs_on(self, bench: Bench) -> None:
        worker = bench.worker()
        bench.serve(worker)
        client = bench.client()
        client.hold({**TASK, "timelimit": None})
        client.hold({**TASK, "timelimit": 3600})
        client.hold(TASK)
        bench.until(lambda: worker.running == 3, "three calls run")
        gevent.sleep(0.02)
        worker.release.set()
        bench.until(lambda: len(worker.outcomes.settled) == 3, "all calls are settled")
        assert worker.outcomes.errors == [None, None, None]
