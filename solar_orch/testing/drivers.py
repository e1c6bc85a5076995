"""Conformance tests of tasks drivers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from solar_orch import plugins
from solar_orch.states import State
from solar_orch.testing.hosting import Solar
from solar_orch.testing.installation import installed
from solar_orch.testing.lasting import TASK, LastingConformance
from solar_orch.testing.plans import task
from solar_orch.testing.workers import WorkerConformance
from solar_orch.workers.tasks import Tasks

_TYPE = "solar_testing_type"
_TYPES = {plugins.TASK_TYPES: {_TYPE: f"solar_orch.testing.foreign:{_TYPE}"}}


class TasksDriverConformance(LastingConformance, WorkerConformance):
    """Proves that a tasks driver does what plans need of it, besides what all drivers do."""

    #: The tasks of a plan that succeeds, see :func:`solar_orch.testing.task`; those of a driver that derives
    #: from ``Tasks`` when left out.
    plan: Sequence[Mapping[str, Any]] = ()
    #: A task that runs until it is ended; ``sleep`` of a driver that derives from ``Tasks`` when left out.
    lasting: Mapping[str, Any] | None = None

    def _prepare(self, solar: Solar) -> None:
        LastingConformance._prepare(self, solar)
        WorkerConformance._prepare(self, solar)
        # A kill that the driver does not take is read with the next beat, three of which make a lease.
        solar.options(lease=3)
        self._derives = issubclass(self.load(solar).obj, Tasks) if self.name in self._names() else False

    def test_a_plan_runs(self, solar: Solar) -> None:
        """A plan of its types goes to its end."""
        tasks = self.plan or (_SHIPPED if self._derives else ())
        if not tasks:
            pytest.skip("plan holds no task")
        ended = solar.run(*tasks)
        assert ended.status == "finished", f"the plan was to succeed:\n{ended}"

    def test_an_unknown_type_ends_in_error(self, solar: Solar) -> None:
        """A task of a type that it does not have ends in ERROR with the names that there are, at once."""
        ended = solar.run(task(TASK, "no_such_type", retry=2))
        found = ended[TASK]
        assert found["status"] == State.ERROR, f"it was to end in ERROR:\n{ended}"
        assert "no_such_type" in (found["errmsg"] or ""), found["errmsg"]
        assert found["attempt"] == 1, "what does not exist was tried again"

    def test_installed_task_types_come_with_it(self, solar: Solar) -> None:
        """Plans can name the task types of other packages."""
        with installed("solar-testing-type", _TYPES):
            ended = solar.run(task(TASK, _TYPE, "hello"))
            solar.stop()
        assert ended.status == "finished", f"the plan was to succeed:\n{ended}"
        assert ended.results == {TASK: "hello"}

    def _lasting_task(self, **parameters: Any) -> dict[str, Any] | None:
        made = self.lasting or (task(TASK, "sleep", 3600) if self._derives else None)
        if made is None:
            return None
        return {**made, "uid": TASK, "parameters": {**made["parameters"], **parameters}}

    def _names(self) -> list[str]:
        return plugins.names(self.namespace())


_SHIPPED = (task("a", "noop"), task("b", "cmd", "echo hello", after=["a"]), task("c", "echo", 1, after=["b"]))
