"""Each broken construct hook fails the test that is meant for it."""

from __future__ import annotations

import pytest

from solar_orch import plugins

BROKEN = """
import os, gevent
from solar_orch.errors import Rejected
from solar_orch.testing import HookConformance
from solar_orch.testing.installation import installed
import pytest

KEPT = []

def fails(ctxt): raise ValueError("as the test wants it")
def rejects(ctxt): raise Rejected("as the test wants it")

def without_effect(worker, clients): ...
def opens(worker, clients):
    KEPT.append(os.open("/dev/null", os.O_RDONLY))
    worker.for_all.after(lambda ctxt: None)
def begins(worker, clients):
    KEPT.append(gevent.spawn(gevent.sleep, 600))
    worker.for_all.after(lambda ctxt: None)
def failing(worker, clients): worker.for_all.before(fails)
def rejecting(worker, clients): worker.for_all.before(rejects)
def grows(worker, clients):
    KEPT.append(lambda ctxt: None)
    for each in KEPT:
        worker.for_all.before(each)
def broken(worker): ...

def make(name):
    class Test(HookConformance):
        @pytest.fixture(autouse=True)
        def here(self):
            del KEPT[:]
            namespace = "solar.orchestration.hooks.tasks.construct"
            with installed("hooks", {namespace: {"ours": f"test_parts:{name}"}}):
                yield
    Test.name = "ours"
    return Test

class TestWithoutEffect(make("without_effect")): ...
class TestOpens(make("opens")): ...
class TestBegins(make("begins")): ...
class TestFailing(make("failing")): ...
class TestRejecting(make("rejecting")): ...
class TestGrows(make("grows")): ...
class TestBroken(make("broken")): ...
"""

REGISTERED = "test_it_is_registered_and_keeps_its_contract"
EFFECT = "test_it_has_an_effect_and_opens_nothing"
RUNS = "test_a_plan_runs"
HOSTS = "test_it_serves_one_host_after_the_other"


@pytest.mark.timeout(120)
def test_each_broken_hook_fails_the_test_that_is_meant_for_it(failures_of):
    found = failures_of(BROKEN, {plugins.construct_hooks("nobody"): {}})
    assert found.tests == {
        "TestWithoutEffect": {EFFECT},
        "TestOpens": {EFFECT},
        "TestBegins": {EFFECT},
        "TestFailing": {RUNS},
        "TestRejecting": {RUNS, HOSTS},
        "TestGrows": {HOSTS},
        "TestBroken": {REGISTERED, EFFECT, RUNS, HOSTS},
    }
    assert "has no effect" in found["TestWithoutEffect"][EFFECT]
    assert "1 more of descriptor of /dev/null" in found["TestOpens"][EFFECT]
    assert "1 more of greenlet" in found["TestBegins"][EFFECT]
    assert "failed before the call" in found["TestFailing"][RUNS]
    assert "as the test wants it" in found["TestRejecting"][RUNS]
