"""Conformance tests of construct hooks."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from solar_orch import plugins
from solar_orch.held import Held
from solar_orch.host import Host
from solar_orch.testing.base import Conformance
from solar_orch.testing.hosting import Solar
from solar_orch.testing.plans import task
from solar_orch.workers import subscription
from solar_orch.workers.base import Worker

_MOMENTS = ("before", "on_success", "on_error", "after")


class HookConformance(Conformance):
    """Proves that a construct hook does what :class:`solar_orch.contracts.parts.ConstructHook` asks for."""

    #: The name of the worker that it is for.
    worker: str = "tasks"
    #: The tasks of a plan that succeeds with this hook; see :func:`solar_orch.testing.task`.
    #:
    #: :meta hide-value:
    plan: Sequence[Mapping[str, Any]] = (task("a", "noop"), task("b", "echo", "hello", after=["a"]))

    def namespace(self) -> str:
        return plugins.construct_hooks(self.worker)

    def test_it_is_registered_and_keeps_its_contract(self, solar: Solar) -> None:
        """It is found by its name, can be imported, and can be called as a construct hook is."""
        self.load(solar)

    def test_it_has_an_effect_and_opens_nothing(self, solar: Solar) -> None:
        """It subscribes, or registers something, and opens no descriptor, greenlet, thread or process."""
        hook = self.load(solar)
        host = Host(solar.conf, workers=[])
        host.build()
        extension = plugins.load_one(plugins.EXTENSIONS, self.worker, conf=solar.conf)
        worker: Worker = plugins.call(extension, extension.obj, solar.conf, host.clients)
        untouched, before = _effects(worker), Held()
        plugins.call(hook, hook.obj, worker, host.clients)
        opened = Held().beyond(before)
        assert not opened, f"the hook opens what may be opened only when the worker runs: {opened}"
        assert _effects(worker) != untouched, (
            f"the hook subscribes to nothing of {self.worker}, registers nothing, and so has no effect"
        )

    def test_a_plan_runs(self, solar: Solar, caplog: pytest.LogCaptureFixture) -> None:
        """A plan goes to its end with it, and none of its subscribers fails."""
        self.load(solar)
        with caplog.at_level(logging.ERROR, logger=subscription.__name__):
            ended = solar.run(*self.plan)
            solar.stop()
        failures = [record for record in caplog.records if record.name == subscription.__name__]
        assert not failures, "\n".join(record.getMessage() for record in failures)
        assert ended.status == "finished", f"the plan was to succeed:\n{ended}"

    def test_it_serves_one_host_after_the_other(self, solar: Solar) -> None:
        """What it does to a worker does not depend on hosts that were there before."""
        self.load(solar)
        found = []
        for _ in range(2):
            found.append(_effects(solar.host.workers[self.worker]))
            ended = solar.run(*self.plan)
            assert ended.status == "finished", f"the plan was to succeed in each host:\n{ended}"
            solar.stop()
        assert found[0] == found[1], (
            f"in the second host of a process it does something else: {found[0]}, then {found[1]}"
        )


def _effects(worker: Worker) -> dict[str, Any]:
    """What hooks do to a worker, as far as it can be counted."""
    subscribables = {"for_all": worker.for_all, **worker.methods}
    subscribers = {
        f"{name}.{moment}": len(each.subscribers(moment))
        for name, each in subscribables.items()
        for moment in _MOMENTS
        if each.subscribers(moment)
    }
    return {
        "subscribers": subscribers,
        "backgrounds": len(worker.backgrounds),
        "ledger": type(worker.ledger).__qualname__,
        "methods": sorted(worker.methods),
        "answers_unknown": worker.answers_unknown,
    }
