"""A tasks driver that has nothing of the one that ships."""

from __future__ import annotations

from typing import ClassVar

from solar_orch.workers.base import Worker


class ForeignTasks(Worker):
    """No task type of its own: only those of other packages."""

    name: ClassVar[str] = "tasks"
    drain_order: ClassVar[int] = 0
