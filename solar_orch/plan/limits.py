"""How many tasks may be in progress at once, counted within one plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from typing import Protocol

#: What a task may be blocked by: ("target", name) or ("type", name, its limit).
Key = tuple[Hashable, ...]


class Limited(Protocol):
    """What limits look at in a task."""

    @property
    def target(self) -> str | None: ...
    @property
    def limited_type(self) -> str: ...
    @property
    def type_limit(self) -> int | None: ...


class Limits:
    """Counts tasks in progress and says which limit, if any, keeps one more from starting.

    :param max_inprogress: tasks of the plan at once
    :param target_limit: tasks with one target at once
    """

    def __init__(self, max_inprogress: int, target_limit: int) -> None:
        self.max_inprogress = max_inprogress
        self.target_limit = target_limit
        self._total = 0
        self._targets: Counter[str] = Counter()
        self._types: Counter[str] = Counter()

    @property
    def in_progress(self) -> int:
        """How many tasks count now."""
        return self._total

    @property
    def full(self) -> bool:
        """Whether no task at all may start."""
        return self._total >= self.max_inprogress

    def blocking(self, task: Limited) -> Key | None:
        """The first limit of its own that keeps the task from starting, or None."""
        for key in self.keys(task):
            if self.is_full(key):
                return key
        return None

    def keys(self, task: Limited) -> Iterator[Key]:
        """The limits that concern this task."""
        if task.target is not None:
            yield ("target", task.target)
        if task.type_limit is not None:
            yield ("type", task.limited_type, task.type_limit)

    def is_full(self, key: Key) -> bool:
        """Whether this limit lets no further task start."""
        if key[0] == "target":
            return self._targets[str(key[1])] >= self.target_limit
        return self._types[str(key[1])] >= int(str(key[2]))

    def add(self, task: Limited) -> None:
        """The task is in progress."""
        self._count(task, 1)

    def remove(self, task: Limited) -> None:
        """The task is not in progress any more."""
        self._count(task, -1)

    def _count(self, task: Limited, step: int) -> None:
        self._total += step
        if task.target is not None:
            self._targets[task.target] += step
        self._types[task.limited_type] += step
