"""Conformance tests of limits."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from solar_orch import plugins
from solar_orch.contracts.parts import Limit
from solar_orch.extensions import chosen_limits
from solar_orch.plan.parse import parse
from solar_orch.states import State
from solar_orch.testing.base import Conformance
from solar_orch.testing.hosting import Solar
from solar_orch.testing.plans import Situation, task
from solar_orch.workers import limits as asking
from solar_orch.workers.limits import Plan

#: Steps of a walk through what may be in progress.
_STEPS = 200


@dataclass(frozen=True)
class _Limited:
    """A task as limits see it; a :class:`solar_orch.plan.limits.Limited`."""

    position: int
    name: str
    target: str | None
    limited_type: str
    type_limit: int | None


#: Tasks that can all be in progress at once, as far as their plan goes.
_TASKS = tuple(
    task(f"{target}-{number}", "sleep", 0.02, target=target, weight=number)
    for target in ("one", "two", "three")
    for number in range(3)
)


class LimitConformance(Conformance):
    """Proves that a limit does what :class:`solar_orch.contracts.parts.Limit` asks for.

    It is asked about the examples, about whatever can be in progress of a plan when tasks start and end
    at random, and by a scheduler that runs that plan.
    """

    _namespace: ClassVar[str] = plugins.LIMITS

    #: What it allows.
    allowed: Sequence[Situation] = ()
    #: What it refuses.
    refused: Sequence[Situation] = ()
    #: The tasks of a plan that succeeds: they do not wait for each other, take a moment each, and it refuses
    #: some of them to run at once; see :func:`solar_orch.testing.task`.
    #:
    #: :meta hide-value:
    plan: Sequence[Mapping[str, Any]] = _TASKS

    def _prepare(self, solar: Solar) -> None:
        solar.options(limits=[self.name], target_limit=100, max_inprogress=100)

    # -- asked -------------------------------------------------------------------

    def test_it_is_registered_and_keeps_its_contract(self, solar: Solar) -> None:
        """It is found by its name, and what is made of it can be asked."""
        self.load(solar)
        self._limit(solar)

    def test_its_examples(self, solar: Solar) -> None:
        """It allows what stands in ``allowed``, and refuses what stands in ``refused``."""
        if not self.allowed and not self.refused:
            pytest.skip("neither allowed nor refused holds an example")
        for situations, answer in ((self.allowed, True), (self.refused, False)):
            for situation in situations:
                found = self._answer(self._limit(solar), situation)
                assert found is answer, f"{situation}: it was to {_SAID[answer]} that, and did not"

    def test_it_refuses_some_and_allows_some(self, solar: Solar) -> None:
        """Of the tasks of ``plan`` it allows some beside others that are running, and refuses some."""
        limit = self._limit(solar)
        answers = {
            bool(limit.allows(Plan("test", tasks), _in_progress(running), candidate))
            for tasks, running, candidate in self._walk_through(limit, self.plan, 0)
            if running
        }
        assert False in answers, f"it refuses nothing of the plan: {_ABOUT_PLAN}"
        assert True in answers, f"it allows nothing of the plan beside a task that is running: {_ABOUT_PLAN}"

    def test_it_answers_the_same_again(self, solar: Solar) -> None:
        """It looks at nothing but its arguments: not at their order, nor at what it was asked before."""
        limit, make = self._limit(solar), self.load(solar).obj
        known: dict[tuple[tuple[_Limited, ...], frozenset[str], str], bool] = {}
        for tasks, running, candidate in self._walk(limit):
            asked = tuple(tasks), frozenset(each.name for each in running), candidate.name
            plan = Plan("test", tasks)
            answers = [
                bool(who.allows(plan, _in_progress(order), candidate))
                for who in (limit, make(solar.conf))
                for order in (running, running[::-1])
            ]
            known.setdefault(asked, answers[0])
            assert set(answers) == {known[asked]}, (
                f"{candidate.name} beside {_names(running)}: it answers differently when it is asked again"
            )

    def test_a_refusal_stands_when_more_are_running(self, solar: Solar) -> None:
        """What it refuses it goes on refusing until a task ends."""
        limit = self._limit(solar)
        for tasks, running, candidate in self._walk(limit):
            plan = Plan("test", tasks)
            if not running or limit.allows(plan, _in_progress(running), candidate):
                continue
            for further in tasks:
                if further in running or further is candidate:
                    continue
                if not limit.allows(plan, _in_progress(running), further):
                    continue  # which comes to no scheduler
                more = _in_progress([*running, further])
                assert not limit.allows(plan, more, candidate), (
                    f"it refuses {candidate.name} beside {_names(running)}, and allows it when {further.name}"
                    " is running as well"
                )

    def test_a_group_is_treated_alike(self, solar: Solar) -> None:
        """Of candidates of one group it allows all or none."""
        limit = self._limit(solar)
        group = getattr(limit, "group", None)
        if group is None:
            pytest.skip("it makes no groups")
        for tasks, running, _ in self._walk(limit):
            plan = Plan("test", tasks)
            answers: dict[Any, tuple[str, bool]] = {}
            for each in tasks:
                if each in running or not running:
                    continue
                answer = bool(limit.allows(plan, _in_progress(running), each))
                name, first = answers.setdefault(group(plan, each), (each.name, answer))
                assert answer == first, (
                    f"beside {_names(running)} it treats {name} and {each.name} differently,"
                    f" which are both of the group {group(plan, each)!r}"
                )

    # -- in a plan ---------------------------------------------------------------

    def test_a_plan_keeps_it(self, solar: Solar, caplog: pytest.LogCaptureFixture) -> None:
        """A plan comes to its end under it, and nothing of it was ever started that it refuses.

        What it raises there makes the tasks run one by one, and so is a failure here.
        """
        with caplog.at_level(logging.ERROR, logger=asking.__name__):
            ended = solar.run(*self.plan)
        failures = [record for record in caplog.records if record.name == asking.__name__]
        assert not failures, "\n".join(map(logging.Formatter().format, failures))
        assert ended.status == "finished", f"the plan was to succeed:\n{ended}"
        limit = self._limit(solar)
        tasks = {each.name: each for each in _limited(self.plan)}
        plan = Plan(ended.uid, list(tasks.values()))
        running: dict[str, _Limited] = {}
        for event in solar.store.events.all(solar.store.plans.get(ended.uid).id):
            name = event["name"]
            if event["new"] != State.INPROGRESS:
                running.pop(name, None)
                continue
            beside = list(running.values())
            assert not beside or limit.allows(plan, _in_progress(beside), tasks[name]), (
                f"{name} was started beside {_names(beside)}, which it refuses"
            )
            running[name] = tasks[name]

    # -- helpers -----------------------------------------------------------------

    def _limit(self, solar: Solar) -> Limit:
        __tracebackhide__ = True
        assert self.name, (
            f"{type(self).__name__} must say which part is tested: name = ... of its entry point"
        )
        return chosen_limits(solar.conf)[self.name]

    def _answer(self, limit: Limit, situation: Situation) -> bool:
        tasks = {each.name: each for each in _limited(situation.tasks)}
        running = [tasks[name] for name in situation.running]
        plan = Plan("test", list(tasks.values()))
        return bool(limit.allows(plan, _in_progress(running), tasks[situation.candidate]))

    def _walk(self, limit: Limit) -> Iterator[tuple[list[_Limited], list[_Limited], _Limited]]:
        """The tasks of a plan, some of them running, and a candidate: the same walks in each run."""
        plans = [self.plan, *(situation.tasks for situation in (*self.allowed, *self.refused))]
        for number, made in enumerate(plans):
            yield from self._walk_through(limit, made, number)

    def _walk_through(
        self, limit: Limit, made: Sequence[Mapping[str, Any]], seed: int
    ) -> Iterator[tuple[list[_Limited], list[_Limited], _Limited]]:
        chance = random.Random(seed)
        tasks = _limited(made)
        running: list[_Limited] = []
        for _ in range(_STEPS):
            waiting = [each for each in tasks if each not in running]
            if running and (not waiting or chance.random() < 0.3):
                running.remove(chance.choice(running))
                continue
            candidate = chance.choice(waiting)
            yield tasks, list(running), candidate
            if not running or limit.allows(Plan("test", tasks), _in_progress(running), candidate):
                running.append(candidate)


_ABOUT_PLAN = "give one of whose tasks some may run at once, and not all of them (plan = ...)"
_SAID = {True: "allow", False: "refuse"}


def _limited(tasks: Sequence[Mapping[str, Any]]) -> list[_Limited]:
    plan = parse(json.dumps({"name": "test", "tasks": list(tasks)}))
    return [
        _Limited(position, each.name, each.target, each.limited_type, each.type_limit)
        for position, each in enumerate(plan.tasks)
    ]


def _in_progress(tasks: Sequence[_Limited]) -> Collection[_Limited]:
    """Tasks as a scheduler hands them over: what has neither an index nor an order to rely on."""
    return {each.position: each for each in tasks}.values()


def _names(tasks: Sequence[_Limited]) -> str:
    return ", ".join(each.name for each in tasks) or "nothing"
