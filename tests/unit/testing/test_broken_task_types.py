"""Each broken task type fails the test that is meant for it."""

from __future__ import annotations

import pytest

from solar_orch import plugins

BROKEN = '''
import os, subprocess, time
import gevent, pytest
from solar_orch import plugins
from solar_orch.errors import TaskError
from solar_orch.testing import Call, TaskTypeConformance
from solar_orch.testing.installation import installed
from solar_orch.workers import base, task_types
from solar_orch.workers.calls import Cancelled
from solar_orch.workers.task_types import current_worker

KEPT = []

def right(ctxt, number): return number
def unsendable(ctxt): return object()
def endless(ctxt): return "x" * 10_000_000
def says_a_traceback(ctxt): raise TaskError("Traceback (most recent call last): ...")
def needs_the_driver(ctxt): current_worker().echo
def leaks_a_descriptor(ctxt): KEPT.append(os.open("/dev/null", os.O_RDONLY))
def leaks_a_greenlet(ctxt): KEPT.append(gevent.spawn(gevent.sleep, 600))
def leaks_a_process(ctxt): KEPT.append(subprocess.Popen(["sleep", "20"]))
def blocks(ctxt, seconds): time.sleep(seconds)
def takes_nothing(): ...

def returns_when_it_is_ended(ctxt, seconds):
    try:
        gevent.sleep(seconds)
    except Cancelled:
        return "all is well"

@pytest.fixture(autouse=True, scope="module")
def no_process_is_left():
    yield
    for each in KEPT:
        each.kill() if isinstance(each, subprocess.Popen) else None

class TestWrongResult(TaskTypeConformance):
    name = "right"
    working = [Call([1], result=2)]

class TestFailsWhereItIsToWork(TaskTypeConformance):
    name = "right"
    working = [Call([1])]
    failing = [Call([1])]

class TestUnsendable(TaskTypeConformance):
    name = "unsendable"
    working = [Call()]

class TestEndless(TaskTypeConformance):
    name = "endless"
    working = [Call()]

class TestTraceback(TaskTypeConformance):
    name = "says_a_traceback"
    working = [Call()]
    failing = [Call()]

class TestNeedsTheDriver(TaskTypeConformance):
    name = "needs_the_driver"
    working = [Call()]

class TestDescriptor(TaskTypeConformance):
    name = "leaks_a_descriptor"
    working = [Call()]
    patience = 1.0

class TestGreenlet(TestDescriptor):
    name = "leaks_a_greenlet"

class TestProcess(TestDescriptor):
    name = "leaks_a_process"

class TestBlocks(TaskTypeConformance):
    name = "blocks"
    working = [Call([0])]
    lasting = Call([600])
    standstill = 0.2

class TestEnded(TaskTypeConformance):
    name = "returns_when_it_is_ended"
    working = [Call([0])]
    lasting = Call([600])

class TestShort(TaskTypeConformance):
    name = "right"
    working = [Call([0])]
    lasting = Call([0])

class TestTwice(TaskTypeConformance):
    name = "echo"
    working = [Call(["a"])]

    @pytest.fixture(autouse=True)
    def clash(self):
        with installed("clash", {plugins.TASK_TYPES: {"echo": "test_parts:right"}}):
            yield

class TestNotThere(TaskTypeConformance):
    name = "absent"
    working = [Call()]

class TestContract(TaskTypeConformance):
    name = "takes_nothing"
    working = [Call()]

    @pytest.fixture(autouse=True)
    def broken(self):
        with installed("broken", {plugins.TASK_TYPES: {self.name: "test_parts:takes_nothing"}}):
            yield

class TestUnchecked(TaskTypeConformance):
    """Of a host that hands over whatever a plan gives."""
    name = "right"
    working = [Call([1])]

    @pytest.fixture(autouse=True)
    def broken(self, monkeypatch):
        monkeypatch.setattr(task_types, "fitted", lambda name, function: function)

class TestSilent(TaskTypeConformance):
    """Of a worker that does not tell all."""
    name = "right"
    working = [Call([1])]

    @pytest.fixture(autouse=True)
    def broken(self, monkeypatch):
        tell_all = base.Worker._tell_all
        monkeypatch.setattr(
            base.Worker, "_tell_all",
            lambda self, method, moment, *a, **k: moment != "after" and tell_all(self, method, moment, *a, **k),
        )
        self.patience = 1.0
'''

NAMES = [
    "right", "unsendable", "endless", "says_a_traceback", "needs_the_driver", "leaks_a_descriptor",
    "leaks_a_greenlet", "leaks_a_process", "blocks", "returns_when_it_is_ended",
]  # fmt: skip

REGISTERED = "test_it_is_registered_and_keeps_its_contract"
NAMED = "test_plans_can_name_it"
WORK = "test_working_calls_succeed"
CARRIED = "test_results_can_be_carried"
FAIL = "test_failing_calls_end_in_error"
WRONG = "test_wrong_arguments_are_answered_with_the_signature"
TOLD = "test_subscribers_are_told"
FOREIGN = "test_it_needs_no_driver_that_ships"
GO_ON = "test_a_call_lets_everything_else_go_on"
KILLED = "test_a_call_is_killed"
LIMIT = "test_a_time_limit_ends_a_call"
STOPPED = "test_a_stop_of_the_worker_ends_a_call"
LEFT = "test_a_call_leaves_nothing_behind"


#: The tests that each class fails.
EXPECTED = {
    "TestWrongResult": {WORK},
    "TestFailsWhereItIsToWork": {FAIL},
    "TestUnsendable": {CARRIED},
    "TestEndless": {CARRIED},
    "TestTraceback": {WORK, FAIL, TOLD},
    "TestNeedsTheDriver": {FOREIGN},
    "TestDescriptor": {LEFT},
    "TestGreenlet": {LEFT},
    "TestProcess": {LEFT},
    "TestBlocks": {GO_ON, KILLED},
    "TestEnded": {KILLED, LIMIT, STOPPED},
    "TestShort": {GO_ON, LIMIT},
    "TestTwice": {NAMED, TOLD},
    "TestNotThere": {REGISTERED, NAMED, TOLD},
    "TestContract": {REGISTERED, NAMED, TOLD},
    "TestUnchecked": {WRONG},
    "TestSilent": {TOLD},
}


@pytest.mark.timeout(120)
def test_each_broken_type_fails_the_test_that_is_meant_for_it(failures_of, chosen_tests):
    types = {name: f"test_parts:{name}" for name in NAMES}
    tests = chosen_tests(
        EXPECTED, TOLD, "TestWrongResult", "TestNeedsTheDriver", "TestDescriptor", "TestEnded"
    )
    found = failures_of(BROKEN, {plugins.TASK_TYPES: types}, *tests)
    assert found.tests == EXPECTED
    assert "solar_orch_patch = true" in found["TestBlocks"][GO_ON]
    assert "time.sleep(seconds)" in found["TestBlocks"][GO_ON]
    assert "'echo' already" in found["TestTwice"][NAMED]
    assert "no package registers this name" in found["TestNotThere"][REGISTERED]
    assert "must be callable as task_type(ctxt" in found["TestContract"][REGISTERED]
    assert "more of descriptor of /dev/null" in found["TestDescriptor"][LEFT]
    assert "more of process sleep 20" in found["TestProcess"][LEFT]
