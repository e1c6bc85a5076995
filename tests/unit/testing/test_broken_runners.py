"""Each broken runner fails the test that is meant for it."""

from __future__ import annotations

import pytest

from solar_orch import plugins

BROKEN = """
import os, signal, sys, time
import gevent
from solar_orch.runners.gevent import StoppedAtOnce, run
from solar_orch.testing import RunnerConformance

def returns_at_once(executors, conf): ...

def needs_something(executors, conf):
    if not executors:
        raise ValueError("nothing to run")
    run(executors, conf)

def one_after_the_other(executors, conf):
    for executor in executors.values():
        run({executor.worker.name: executor}, conf)

def without_order(executors, conf):
    for executor in executors.values():
        executor.worker.drain_order = -executor.worker.drain_order
    run(executors, conf)

class Impatient:
    def __init__(self, executor):
        self.executor = executor
    def __getattr__(self, name):
        return getattr(self.executor, name)
    def stop(self, timeout):
        self.executor.stop(0.0)

def impatient(executors, conf):
    run({name: Impatient(executor) for name, executor in executors.items()}, conf)

def swallows(executors, conf):
    try:
        run(executors, conf)
    except RuntimeError:
        pass

class Patient(Impatient):
    def stop(self, timeout):
        self.executor.stop(timeout or 3600.0)

def takes_its_time(executors, conf):
    run({name: Patient(executor) for name, executor in executors.items()}, conf)

def all_is_well(executors, conf):
    try:
        run(executors, conf)
    except StoppedAtOnce:
        pass

def make(runner):
    return type("Test", (RunnerConformance,), {"name": runner.__name__, "patience": 4.0})

class TestReturnsAtOnce(make(returns_at_once)): ...
class TestNeedsSomething(make(needs_something)): ...
class TestOneAfterTheOther(make(one_after_the_other)): ...
class TestWithoutOrder(make(without_order)): ...
class TestImpatient(make(impatient)): ...
class TestSwallows(make(swallows)): ...
class TestTakesItsTime(make(takes_its_time)): ...
class TestAllIsWell(make(all_is_well)): ...
"""

NAMES = [
    "returns_at_once", "needs_something", "one_after_the_other", "without_order", "impatient", "swallows",
    "takes_its_time", "all_is_well",
]  # fmt: skip

NOTHING = "test_with_nothing_to_run_it_returns"
TERM = "test_a_signal_stops_all_in_order[SIGTERM]"
INT = "test_a_signal_stops_all_in_order[SIGINT]"
TIME = "test_each_gets_the_time_to_drain"
FAILURE = "test_a_failure_stops_the_others_and_is_raised"
SECOND = "test_a_second_signal_ends_all_at_once"
PLANS = "test_it_runs_plans"

#: For each the tests that are meant for it, and some that it passes.
CHOSEN = f"""
    (TestReturnsAtOnce or TestOneAfterTheOther) and (SIGTERM or {NOTHING})
    or TestNeedsSomething and (SIGINT or {NOTHING})
    or TestWithoutOrder and (SIGTERM or {TIME})
    or TestImpatient and (SIGTERM or {TIME})
    or TestSwallows and ({FAILURE} or {NOTHING})
    or (TestTakesItsTime or TestAllIsWell) and ({SECOND} or {NOTHING})
"""


@pytest.mark.timeout(120)
def test_each_broken_runner_fails_the_test_that_is_meant_for_it(failures_of):
    runners = {name: f"test_parts:{name}" for name in NAMES}
    found = failures_of(BROKEN, {plugins.RUNNERS: runners}, "-k", " ".join(CHOSEN.split()))
    assert found.tests == {
        "TestReturnsAtOnce": {TERM},
        "TestNeedsSomething": {NOTHING},
        "TestOneAfterTheOther": {TERM},
        "TestWithoutOrder": {TERM},
        "TestImpatient": {TIME},
        "TestSwallows": {FAILURE},
        "TestTakesItsTime": {SECOND},
        "TestAllIsWell": {SECOND},
    }
    assert "it ended with 0" in found["TestAllIsWell"][SECOND]


def test_a_runner_that_runs_nothing_runs_no_plan(failures_of):
    found = failures_of(BROKEN, {plugins.RUNNERS: {"returns_at_once": "test_parts:returns_at_once"}},
                        "-k", f"TestReturnsAtOnce and {PLANS}")  # fmt: skip
    assert found.tests == {"TestReturnsAtOnce": {PLANS}}
    assert "all workers are up" in found["TestReturnsAtOnce"][PLANS]
