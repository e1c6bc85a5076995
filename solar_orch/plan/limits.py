"""How many tasks may be in progress at once, counted within one plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Sequence
from typing import Protocol

#: What a task may be blocked by: ("target", name), ("type", name, its limit) or ("limit", name, its group).
Key = tuple[Hashable, ...]


class Limited(Protocol):
    """What limits look at in a task."""

    @property
    def position(self) -> int:
        """Its place among the tasks of the plan, from 0."""

    @property
    def name(self) -> str: ...
    @property
    def target(self) -> str | None: ...
    @property
    def limited_type(self) -> str:
        """Its ``resource_type``, or else its type."""

    @property
    def type_limit(self) -> int | None: ...


class Rule(Protocol):
    """A further limit, of one plan.  While nothing is in progress none is asked."""

    @property
    def name(self) -> str:
        """For whoever wants to know what a task waits for."""

    def allows(self, running: Collection[Limited], candidate: Limited) -> bool:
        """Whether `candidate` may start beside those in progress; raises nothing.

        What it refuses it goes on refusing until a task of the plan ends.
        """

    def group(self, candidate: Limited) -> Hashable:
        """The same for all candidates that are treated alike."""


class Limits:
    """Counts tasks in progress and says which limit, if any, keeps one more from starting.

    :param max_inprogress: tasks of the plan at once
    :param target_limit: tasks with one target at once
    :param rules: what else has a say
    """

    def __init__(self, max_inprogress: int, target_limit: int, rules: Sequence[Rule] = ()) -> None:
        self.max_inprogress = max_inprogress
        self.target_limit = target_limit
        self._total = 0
        self._targets: Counter[str] = Counter()
        self._types: Counter[str] = Counter()
        self._rules = {rule.name: rule for rule in rules}
        #: Those in progress, by position; only rules ask for them.
        self._running: dict[int, Limited] = {}
        #: The keys of rules that have refused a task since one ended.
        self._refused: set[Key] = set()

    @property
    def in_progress(self) -> int:
        """How many tasks count now."""
        return self._total

    @property
    def full(self) -> bool:
        """Whether no task at all may start."""
        return self._total >= self.max_inprogress

    @property
    def has_rules(self) -> bool:
        """Whether the end of a task may let several start."""
        return bool(self._rules)

    def blocking(self, task: Limited) -> Key | None:
        """The first limit of its own that keeps the task from starting, or None."""
        for key in self._counted_keys(task):
            if self.is_full(key):
                return key
        # What nothing in progress could change must not wait.
        return self._refusing(task) if self._rules and self._total else None

    def keys(self, task: Limited) -> Iterator[Key]:
        """The limits that concern this task."""
        yield from self._counted_keys(task)
        for name, rule in self._rules.items():
            yield ("limit", name, rule.group(task))

    def sources(self, task: Limited) -> Iterator[tuple[object, object]]:
        """What the end of this task may free: the first two parts of keys."""
        # Keys of one type differ in their number only.
        yield ("type", task.limited_type)
        if task.target is not None:
            yield ("target", task.target)
        for name in self._rules:
            yield ("limit", name)

    def is_full(self, key: Key) -> bool:
        """Whether this limit lets no further task start."""
        if key[0] == "target":
            return self._targets[str(key[1])] >= self.target_limit
        if key[0] == "type":
            return self._types[str(key[1])] >= int(str(key[2]))
        return key in self._refused

    def add(self, task: Limited) -> None:
        """The task is in progress."""
        self._count(task, 1)
        if self._rules:
            self._running[task.position] = task

    def remove(self, task: Limited) -> None:
        """The task is not in progress any more."""
        self._count(task, -1)
        if self._rules:
            self._running.pop(task.position, None)
            self._refused.clear()

    def _counted_keys(self, task: Limited) -> Iterator[Key]:
        if task.target is not None:
            yield ("target", task.target)
        if task.type_limit is not None:
            yield ("type", task.limited_type, task.type_limit)

    def _refusing(self, task: Limited) -> Key | None:
        for name, rule in self._rules.items():
            key = ("limit", name, rule.group(task))
            if key in self._refused:
                return key
            if not rule.allows(self._running.values(), task):
                self._refused.add(key)
                return key
        return None

    def _count(self, task: Limited, step: int) -> None:
        self._total += step
        if task.target is not None:
            self._targets[task.target] += step
        self._types[task.limited_type] += step
