"""What the tests of the kit stand on."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import gevent
import pytest

from solar_orch import plugins
from solar_orch.executors.base import CAPABILITIES
from solar_orch.testing import bench as benches
from solar_orch.testing.bench import Bench

#: The context of calls that are about a task.
TASK: dict[str, Any] = {"task_id": "plan~task", "attempt": 1}


class ExecutorKit:
    """Fixtures; see :class:`solar_orch.testing.ExecutorConformance`."""

    #: By this the plug-in for pytest knows such classes.
    is_conformance: ClassVar[bool] = True
    # An executor that blocks the process would keep its author waiting for ever.
    pytestmark: ClassVar[list[pytest.MarkDecorator]] = [pytest.mark.timeout(60)]

    name: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}
    deadline: ClassVar[float] = 10.0

    @pytest.fixture
    def short_path(self) -> Iterator[Path]:
        """A private directory whose name leaves room for that of a socket."""
        path = Path(tempfile.mkdtemp(prefix="so-"))
        yield path
        shutil.rmtree(path, ignore_errors=True)

    @pytest.fixture
    def address(self, short_path: Path) -> str:
        """Where the executor is to serve; an ipc socket that is not there yet, unless overridden."""
        return f"ipc://{short_path}/run/kit.sock"

    @pytest.fixture
    def part(self) -> plugins.Plugin:
        """The executor, as a host loads it."""
        return benches.loaded(self.name)

    @pytest.fixture
    def bench(self, part: plugins.Plugin, address: str, short_path: Path) -> Iterator[Bench]:
        """Makes executors, workers and clients, and ends them after the test."""
        options = {"state_dir": str(short_path / "state"), "runtime_dir": str(short_path / "run")}
        gevent.sleep(0)  # so that gevent itself has opened what it needs
        bench = Bench(part, address, {**options, **self.options}, self.deadline)
        yield bench
        bench.close()


def declares(part: plugins.Plugin, capability: str) -> bool:
    """Whether an executor promises this beyond the contract."""
    return capability in getattr(part.obj, "capabilities", frozenset())


def require(part: plugins.Plugin, capability: str) -> None:
    """Skip the test, unless the executor promises this."""
    if not declares(part, capability):
        pytest.skip(f"{part.name} does not declare {capability!r}: {CAPABILITIES[capability]}")


def exclude(part: plugins.Plugin, capability: str) -> None:
    """Skip the test, if the executor promises this, with which it would make no sense."""
    if declares(part, capability):
        pytest.skip(f"{part.name} declares {capability!r}: {CAPABILITIES[capability]}")
