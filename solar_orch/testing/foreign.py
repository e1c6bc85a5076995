"""Small parts that the kit installs beside those that it tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from solar_orch.executors.base import Client
from solar_orch.workers.base import Worker
from solar_orch.workers.calls import Ctxt


class ForeignTasks(Worker):
    """A tasks driver that has nothing of the one that ships: no task type of its own."""

    name: ClassVar[str] = "tasks"
    drain_order: ClassVar[int] = 0


def solar_testing_type(ctxt: Ctxt, what: Any) -> Any:
    """A task type that gives its argument back."""
    return what


#: What :func:`probe_hook` was called with.
HOOKED: list[tuple[Worker, Mapping[str, Client]]] = []


def probe_hook(worker: Worker, clients: Mapping[str, Client]) -> None:
    """A construct hook that notes that it is called."""
    HOOKED.append((worker, clients))
    worker.for_all.after(lambda ctxt: None)
