"""A limit passes the kit."""

from __future__ import annotations

import pytest

from solar_orch import plugins
from solar_orch.testing import LimitConformance, Situation, task

QUIET = """
class Quiet:
    '''At most two targets at once.'''
    def __init__(self, conf): ...
    def allows(self, plan, running, candidate):
        return len({task.target for task in running} | {candidate.target}) <= 2
    def group(self, plan, candidate):
        return candidate.target
"""

TASKS = [task(name, "noop", target=name) for name in "abc"]


@pytest.fixture(autouse=True)
def quiet(packages):
    packages.add("quiet", {plugins.LIMITS: {"quiet": "quiet:Quiet"}}, modules={"quiet": QUIET})


class TestQuiet(LimitConformance):
    name = "quiet"
    allowed = (Situation(TASKS, ["a"], "b"),)
    refused = (Situation(TASKS, ["a", "b"], "c"),)
