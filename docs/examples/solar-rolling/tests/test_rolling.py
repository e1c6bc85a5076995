"""The limit: by the conformance kit, and in plans."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from solar_rolling import Rolling

from solar_orch.errors import ConfigError
from solar_orch.testing import LimitConformance, Situation, task
from solar_orch.testing.hosting import Solar


def fleet(number: int, *, type_: str = "noop", args: Iterable[Any] = ()) -> list[dict[str, Any]]:
    """Two tasks for each of so many hosts, and one for none."""
    tasks = [
        task(f"h{host}-{step}", type_, *args, target=f"h{host}") for host in range(number) for step in "ab"
    ]
    return [*tasks, task("none", type_, *args)]


class TestRolling(LimitConformance):
    """A quarter of eight hosts is two."""

    name = "rolling"
    plan = fleet(8, type_="sleep", args=[0.01])
    allowed = (
        Situation(fleet(8), ["h0-a"], "h1-a"),
        Situation(fleet(8), ["h0-a", "h0-b"], "h1-a"),
        Situation(fleet(8), ["h0-a", "h1-a"], "h1-b"),
        Situation(fleet(8), ["h0-a", "h1-a"], "none"),
        Situation(fleet(8), ["none", "h0-a"], "h1-a"),
        Situation(fleet(12), ["h0-a", "h1-a"], "h2-a"),
    )
    refused = (
        Situation(fleet(8), ["h0-a", "h1-a"], "h2-a"),
        Situation(fleet(11), ["h0-a", "h1-a"], "h2-a"),
        Situation(fleet(1) + fleet(3)[2:4], ["h0-a"], "h1-a"),
    )


class TestHalf(LimitConformance):
    name = "rolling"
    options = {"rolling": {"percent": 50}}
    allowed = (Situation(fleet(4), ["h0-a"], "h1-a"),)
    refused = (Situation(fleet(4), ["h0-a", "h1-a"], "h2-a"),)


@pytest.mark.parametrize(("percent", "most"), [(25, 2), (60, 4), (1, 1), (100, 8)])
def test_a_plan_never_has_more_targets_in_progress(solar: Solar, percent: int, most: int):
    solar.options(limits="rolling")
    solar.options("rolling", percent=percent)
    ended = solar.run(*fleet(8, type_="sleep", args=[0.01]))
    assert ended.status == "finished"
    running: dict[str, str] = {}
    seen = 0
    for event in solar.store.events.all(solar.store.plans.get(ended.uid).id):
        name = event["name"]
        if event["new"] == "INPROGRESS" and name != "none":
            running[name] = name.partition("-")[0]
        else:
            running.pop(name, None)
        seen = max(seen, len(set(running.values())))
    assert seen == most


def test_the_number_of_targets_is_that_of_the_plan_that_is_asked_about(solar: Solar):
    """Also when plans of one uid follow each other, and when there are many."""
    limit = Rolling(solar_conf(solar))
    for number, allowed in ((8, True), (3, False), (8, True)):
        assert limit.allows(Plan("p", number), [Task("t0")], Task("t1")) is allowed
    for number in range(300):
        assert limit.allows(Plan(f"p{number}", 8), [Task("t0")], Task("t1"))


@pytest.mark.parametrize("percent", ["0", "101", "some"])
def test_what_is_no_percentage_is_refused(solar: Solar, percent: str):
    solar.options(limits="rolling")
    solar.options("rolling", percent=percent)
    with pytest.raises(ConfigError, match=f"option percent = '{percent}'"):
        _ = solar.host


def solar_conf(solar: Solar) -> Any:
    """The configuration, with the options of the limit."""
    solar.options(limits="rolling")
    return solar.host.conf


class Task:
    """A task, as far as the limit looks at it."""

    def __init__(self, target: str) -> None:
        self.target = target


class Plan:
    """A plan of so many targets."""

    def __init__(self, uid: str, targets: int) -> None:
        self.uid = uid
        self.tasks = [Task(f"t{number}") for number in range(targets)]
