"""Each broken driver, and each worker that is not whole, fails the test that is meant for it."""

from __future__ import annotations

import pytest

from solar_orch import plugins

DRIVERS = """
import functools, os
import pytest
from solar_orch.errors import Rejected
from solar_orch.testing import TasksDriverConformance, WorkerConformance
from solar_orch.workers.base import Worker
from solar_orch.workers.tasks import Tasks
import gevent

KEPT = []

class Opens(Tasks):
    def __init__(self, conf, clients):
        super().__init__(conf, clients)
        KEPT.append(os.open("/dev/null", os.O_RDONLY))

class NoContext(Tasks):
    def deploy(self): ...

class NoControl(Tasks):
    controls = Tasks.controls | {"kil"}

class Hides(Tasks):
    def __init__(self, conf, clients):
        super().__init__(conf, clients)
        del self._methods["noop"]

class NoMethods(Tasks):
    @staticmethod
    def deploy(ctxt, what): ...
    @classmethod
    def undeploy(cls, ctxt, what): ...
    redeploy = functools.partial(deploy, what="all")
    class Failure(Exception): ...

class OfClients(Tasks):
    def close(self, ctxt): ...

class TellsNobody(Tasks):
    def call(self, method, ctxt, args=(), kwargs=None, *, interruptible=None):
        if method == "ping":
            self.methods[method].function(ctxt)
        else:
            super().call(method, ctxt, args, kwargs, interruptible=interruptible)

class Breaks(Tasks):
    def _tell_all(self, method, moment, ctxt, *args, **kwargs):
        for subscriber in self._subscribers(method, moment):
            subscriber(ctxt, *args, **kwargs)

class TakesNoRejection(Tasks):
    def _outcome(self, method, ctxt, given, *rest):
        try:
            for each in self._subscribers(method, "before"):
                each(given)
        except Exception:
            pass
        method = type(method)(method.name, method.function)
        all_, self.for_all = self.for_all, type(self.for_all)()
        try:
            return super()._outcome(method, ctxt, given, *rest)
        finally:
            self.for_all = all_

class GoesOn(Tasks):
    def __init__(self, conf, clients):
        super().__init__(conf, clients)
        self.background(lambda stopping: gevent.sleep(3600))

class DropsUnknown(Tasks):
    def call(self, method, *args, **kwargs):
        if method in self.methods:
            super().call(method, *args, **kwargs)

class TakesNoTypes(Tasks):
    def add_method(self, name, function):
        if name != "solar_testing_type":
            return super().add_method(name, function)

class Sleeps(Tasks):
    def noop(self, ctxt, *args):
        raise ValueError("nothing is not nothing")

class OfAnother(Worker):
    name = "scheduler"

def conformance(driver, base=TasksDriverConformance):
    return type("Test", (base,), {"name": driver.__name__, "patience": 1.5, "lease": 0.5})

class TestOpens(conformance(Opens)): ...
class TestNoContext(conformance(NoContext)): ...
class TestNoControl(conformance(NoControl)): ...
class TestHides(conformance(Hides)): ...
class TestNoMethods(conformance(NoMethods)): ...
class TestOfClients(conformance(OfClients)): ...
class TestTellsNobody(conformance(TellsNobody)): ...
class TestBreaks(conformance(Breaks)): ...
class TestTakesNoRejection(conformance(TakesNoRejection)): ...
class TestDropsUnknown(conformance(DropsUnknown)): ...
class TestTakesNoTypes(conformance(TakesNoTypes)): ...
class TestSleeps(conformance(Sleeps)): ...
class TestOfAnother(conformance(OfAnother, WorkerConformance)): ...
class TestGoesOn(conformance(GoesOn, WorkerConformance)): ...
"""

NAMES = [
    "Opens", "NoContext", "NoControl", "Hides", "NoMethods", "OfClients", "TellsNobody", "Breaks", "TakesNoRejection",
    "GoesOn", "DropsUnknown", "TakesNoTypes", "Sleeps", "OfAnother",
]  # fmt: skip

REGISTERED = "test_it_is_registered_and_keeps_its_contract"
SURFACE = "test_its_surface_is_its_public_methods"
ORDER = "test_subscribers_are_told_in_order"
FAILING = "test_a_subscriber_that_fails_breaks_nothing"
REJECTED = "test_a_call_can_be_rejected"
BACKGROUND = "test_background_functions_run_and_end"

#: The tests that each class fails.
DRIVERS_FAIL = {
    "TestOpens": {"test_making_it_opens_nothing"},
    "TestNoContext": {"test_each_method_takes_a_context"},
    "TestNoControl": {SURFACE},
    "TestHides": {SURFACE, "test_a_plan_runs"},
    "TestNoMethods": {SURFACE},
    "TestOfClients": {SURFACE, "test_each_method_takes_a_context"},
    "TestTellsNobody": {ORDER, FAILING, REJECTED},
    "TestBreaks": {FAILING},
    "TestTakesNoRejection": {FAILING, REJECTED},
    "TestDropsUnknown": {"test_an_unknown_type_ends_in_error"},
    "TestTakesNoTypes": {"test_installed_task_types_come_with_it"},
    "TestSleeps": {"test_a_plan_runs"},
    "TestOfAnother": {REGISTERED, BACKGROUND},
    "TestGoesOn": {BACKGROUND},
}


@pytest.mark.timeout(120)
def test_each_broken_driver_fails_the_test_that_is_meant_for_it(failures_of, chosen_tests):
    drivers = {name: f"test_parts:{name}" for name in NAMES}
    tests = chosen_tests(DRIVERS_FAIL, "test_each_method_takes_a_context", "TestOpens")
    found = failures_of(DRIVERS, {plugins.drivers("tasks"): drivers}, *tests)
    assert found.tests == DRIVERS_FAIL
    assert "controls are no methods: kil" in found["TestNoControl"][SURFACE]
    assert "cannot be called through an executor: noop;" in found["TestHides"][SURFACE]
    assert ": deploy, redeploy, undeploy;" in found["TestNoMethods"][SURFACE]
    assert "cannot have a method 'close'" in found["TestOfClients"][SURFACE]
    assert "nothing is not nothing" in found["TestSleeps"]["test_a_plan_runs"]


WORKERS = """
import os
from solar_orch.constructors import construct_worker
from solar_orch.executors import inline
from solar_orch.extensions import make_client, make_worker
from solar_orch.plugins import EXTENSIONS, CLIENTS, CONSTRUCTORS, drivers
from solar_orch.testing import ExtensionConformance
from solar_orch.testing.installation import installed
from solar_orch.workers.base import Worker
import pytest

KEPT = []

class Whole(Worker):
    name = "ours"
    def count(self, ctxt, number): return number

class Changes(Whole):
    def call(self, method, ctxt, args=(), kwargs=None, **rest):
        super().call(method, ctxt, [0 for _ in args], kwargs, **rest)

def extension(conf, clients): return make_worker(conf, clients, "ours")
def client(conf): return make_client(conf, "ours")
def construct(host): return construct_worker(host, "ours")

def one_driver(conf, clients): return Whole(conf, clients)
def changing(conf, clients): return Changes(conf, clients)
def one_address(conf): return inline.Client("nowhere")
def no_hooks(host):
    from solar_orch.extensions import address_of
    return inline.Executor(host.workers["ours"], address_of(host.conf, "ours"))
def opens(conf, clients):
    KEPT.append(os.open("/dev/null", os.O_RDONLY))
    return extension(conf, clients)
class Ends(inline.Executor):
    def run(self): raise ValueError("it does not run")
def ends(host):
    construct(host)
    return Ends(host.workers["ours"], host.executors and "x" or "y")

def make(without="", **parts):
    class Test(ExtensionConformance):
        name = "ours"
        patience = 1.0
        options = {"send_timeout": 0.2}
        method, call = "count", __import__("solar_orch.testing").testing.Call([7])
        @pytest.fixture(autouse=True)
        def here(self):
            points = {EXTENSIONS: "extension", CLIENTS: "client", CONSTRUCTORS: "construct"}
            points |= {globals()[name]: part for name, part in parts.items()}
            points = {space: {"ours": f"test_parts:{part}"} for space, part in points.items() if space != without}
            if without != "driver":
                points[drivers("ours")] = {"solar": "test_parts:Whole"}
            with installed("ours", points):
                yield
    return Test

class TestWhole(make()): ...
class TestWithoutClient(make(without=CLIENTS)): ...
class TestWithoutDriver(make(without="driver", EXTENSIONS="one_driver")): ...
class TestOneDriver(make(EXTENSIONS="one_driver")): ...
class TestChanges(make(EXTENSIONS="changing")): ...
class TestOneAddress(make(CLIENTS="one_address")): ...
class TestNoHooks(make(CONSTRUCTORS="no_hooks")): ...
class TestOpens(make(EXTENSIONS="opens")): ...
class TestEnds(make(CONSTRUCTORS="ends")): ...
"""

WHOLE = "test_its_parts_have_one_name"
OPENS = "test_building_it_opens_nothing"
DRIVER = "test_its_driver_is_chosen_by_an_option"
ADDRESS = "test_its_address_is_chosen_by_an_option"
ARRIVES = "test_a_call_arrives"
HOOKS = "test_its_hooks_are_run"
RUNS = "test_it_runs_beside_the_others_and_stops"


@pytest.mark.timeout(120)
def test_each_worker_that_is_not_whole_fails_the_test_that_is_meant_for_it(failures_of):
    found = failures_of(WORKERS, {plugins.construct_hooks("nobody"): {}})
    assert found.tests == {
        "TestWhole": set(),
        "TestWithoutClient": {WHOLE, OPENS, DRIVER, ADDRESS, ARRIVES, HOOKS, RUNS},
        "TestWithoutDriver": {WHOLE, DRIVER},
        "TestOneDriver": {DRIVER},
        "TestChanges": {DRIVER, ARRIVES},
        "TestOneAddress": {ADDRESS, ARRIVES},
        "TestNoHooks": {HOOKS},
        "TestOpens": {OPENS},
        "TestEnds": {ADDRESS, ARRIVES, RUNS},
    }
