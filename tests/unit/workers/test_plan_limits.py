"""Limits of other packages, as they count for one plan."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from solar_orch import config
from solar_orch.errors import PluginError
from solar_orch.extensions import chosen_limits, scheduler_worker
from solar_orch.workers.limits import made_for

TASKS: Any = [SimpleNamespace(position=p, name=f"t{p}", target=f"host{p % 2}") for p in range(4)]


class Broken:
    def allows(self, plan, running, candidate):
        raise ValueError("no idea")

    def group(self, plan, candidate):
        return {}


class Few:
    def allows(self, plan, running, candidate):
        return len(running) < len(plan.tasks) / 2


def test_it_is_asked_with_plan_running_and_candidate():
    [rule] = made_for("plan:1", TASKS, {"few": Few()})
    assert (rule.name, rule.allows(TASKS[:1], TASKS[1]), rule.allows(TASKS[:2], TASKS[3])) == (
        "few",
        True,
        False,
    )


def test_without_groups_each_task_is_one():
    [rule] = made_for("plan:1", TASKS, {"few": Few()})
    assert len({rule.group(task) for task in TASKS}) == len(TASKS)


def test_one_that_fails_has_refused_and_is_logged_once_a_plan(caplog):
    [rule] = made_for("plan:1", TASKS, {"broken": Broken()})
    assert [rule.allows([], task) for task in TASKS] == [False] * 4
    assert len({rule.group(task) for task in TASKS}) == len(TASKS)
    [record] = caplog.records
    assert record.getMessage() == (
        "plan:1: the limit broken failed on t0, and lets tasks start one by one at best"
    )
    assert "no idea" in caplog.text


LIMIT = """\
class Limit:
    def __init__(self, conf):
        self.most = conf.orchestration.pool_size
    def allows(self, plan, running, candidate):
        return len(running) < self.most
"""


def add(packages, source=LIMIT, target="a_limit:Limit"):
    packages.add("limits", {"solar.orchestration.limits": {"most": target}}, modules={"a_limit": source})


def test_those_that_the_option_names_come_to_the_scheduler(packages, clean_environment):
    add(packages)
    conf = config.load(overrides={"limits": ["most", "most"], "pool_size": 7})
    worker = scheduler_worker(conf, {"tasks": None})
    assert [limit.most for limit in worker.limits.values()] == [7]
    assert scheduler_worker(config.load(), {"tasks": None}).limits == {}


@pytest.mark.parametrize(
    ("source", "target", "cause"),
    [
        ("def make(conf):\n    return 3\n", "a_limit:make", "must make a limit, with allows"),
        (LIMIT.replace("pool_size", "nothing"), "a_limit:Limit", "NoSuchOptError"),
    ],
)
def test_one_that_cannot_be_made_stops_the_start(packages, clean_environment, source, target, cause):
    add(packages, source, target)
    with pytest.raises(PluginError, match=cause):
        chosen_limits(config.load(overrides={"limits": ["most"]}))


def test_a_name_that_nobody_has_stops_the_start(clean_environment):
    with pytest.raises(PluginError, match="option limits asks for"):
        chosen_limits(config.load(overrides={"limits": ["moost"]}))
