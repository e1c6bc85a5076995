"""Each broken limit fails the test that is meant for it."""

from __future__ import annotations

import pytest

from solar_orch import plugins

BROKEN = '''
import itertools
from solar_orch.testing import LimitConformance, Situation, task
from solar_orch.workers import limits as asked

class Two:
    """Two at once."""
    def __init__(self, conf): ...
    def allows(self, plan, running, candidate): return len(running) < 2

class Counts(Two):
    def __init__(self, conf):
        self.count = itertools.count()
    def allows(self, plan, running, candidate): return next(self.count) % 3 != 0

class Ordered(Two):
    def allows(self, plan, running, candidate):
        return not running or list(running)[0].position < 4

class Relents(Two):
    def allows(self, plan, running, candidate):
        return len(running) != 1 or candidate.target != "three"

class Groups(Two):
    def allows(self, plan, running, candidate):
        return len(running) < 2 and not any(each.target == candidate.target for each in running)
    def group(self, plan, candidate): return "all"

class Raises(Two):
    def allows(self, plan, running, candidate):
        raise ValueError("as the test wants it")

class Slices(Two):
    def allows(self, plan, running, candidate): return not running[1:]

class RaisesInPlans(Two):
    """Not when it is asked by the kit."""
    def allows(self, plan, running, candidate):
        if plan.uid != "test":
            raise ValueError("as the test wants it")
        return super().allows(plan, running, candidate)

class AllowsAll(Two):
    def allows(self, plan, running, candidate): return True

class RefusesAll(Two):
    def allows(self, plan, running, candidate): return not running

TASKS = [task(name, "noop") for name in "abcd"]

def make(limit, **values):
    return type("Test", (LimitConformance,), {"name": limit.__name__, **values})

class TestCounts(make(Counts)): ...
class TestOrdered(make(Ordered)): ...
class TestRelents(make(Relents)): ...
class TestGroups(make(Groups)): ...
class TestSlices(make(Slices)): ...
class TestRaises(make(Raises)): ...
class TestRaisesInPlans(make(RaisesInPlans)): ...
class TestAllowsAll(make(AllowsAll)): ...
class TestRefusesAll(make(RefusesAll)): ...
class TestAllowed(make(Two, allowed=[Situation(TASKS, ["a", "b"], "c")])): ...
class TestRefused(make(Two, refused=[Situation(TASKS, ["a"], "c")])): ...
class TestUnable(make(Two, plan=[task("a", "error")])): ...

class TestNotAsked(make(Two)):
    """Of a scheduler that asks no limit."""
    import pytest
    @pytest.fixture(autouse=True)
    def broken(self, monkeypatch):
        monkeypatch.setattr(asked.PlanLimit, "allows", lambda *args: True)

class TestNotThere(make(Raises)):
    name = "absent"
'''

NAMES = [
    "Two", "Counts", "Ordered", "Relents", "Groups", "Raises", "Slices", "RaisesInPlans", "AllowsAll",
    "RefusesAll",
]  # fmt: skip

REGISTERED = "test_it_is_registered_and_keeps_its_contract"
EXAMPLES = "test_its_examples"
SOME = "test_it_refuses_some_and_allows_some"
AGAIN = "test_it_answers_the_same_again"
STANDS = "test_a_refusal_stands_when_more_are_running"
ALIKE = "test_a_group_is_treated_alike"
KEEPS = "test_a_plan_keeps_it"


@pytest.mark.timeout(120)
def test_each_broken_limit_fails_the_test_that_is_meant_for_it(failures_of):
    limits = {name: f"test_parts:{name}" for name in NAMES}
    found = failures_of(BROKEN, {plugins.LIMITS: limits}, "-k", f"not TestNotThere or {REGISTERED}")
    tests = {name: failed - {KEEPS} if name in _BY_CHANCE else failed for name, failed in found.tests.items()}
    assert tests == {
        "TestCounts": {AGAIN, STANDS},
        "TestOrdered": {AGAIN},
        "TestRelents": {STANDS},
        "TestGroups": {ALIKE},
        "TestSlices": {SOME, AGAIN, STANDS, KEEPS},
        "TestRaises": {SOME, AGAIN, STANDS, KEEPS},
        "TestRaisesInPlans": {KEEPS},
        "TestAllowsAll": {SOME},
        "TestRefusesAll": {SOME},
        "TestAllowed": {EXAMPLES},
        "TestRefused": {EXAMPLES},
        "TestUnable": {SOME, KEEPS},
        "TestNotAsked": {KEEPS},
        "TestNotThere": {REGISTERED},
    }
    assert "it treats one-" in found["TestGroups"][ALIKE]
    assert "when" in found["TestRelents"][STANDS]
    assert "not subscriptable" in found["TestSlices"][KEEPS]
    assert "it refuses nothing" in found["TestAllowsAll"][SOME]
    assert "it allows nothing" in found["TestRefusesAll"][SOME]
    assert "as the test wants it" in found["TestRaisesInPlans"][KEEPS]
    assert "which it refuses" in found["TestNotAsked"][KEEPS]


#: What answers differently each time may be found to be broken by a plan as well.
_BY_CHANCE = {"TestCounts", "TestOrdered", "TestRelents"}
