"""How many tasks may be in progress at once, counted within one plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
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
        self._rules: dict[Hashable, Rule] = {rule.name: rule for rule in rules}
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
        """Whether there are rules: then the end of a task may let several start, and keys take time."""
        return bool(self._rules)

    def blocking(self, task: Limited, keys: Iterable[Key]) -> Key | None:
        """The first of the limits that concern the task which keeps it from starting, or None.

        :param keys: what :meth:`keys` gives for it
        """
        for key in keys:
            if self._refuses(key, task) if key[0] == "limit" else self.is_full(key):
                return key
        return None

    def keys(self, task: Limited) -> Iterator[Key]:
        """The limits that concern this task; always the same, and rules are asked for their groups."""
        if task.target is not None:
            yield ("target", task.target)
        if task.type_limit is not None:
            yield ("type", task.limited_type, task.type_limit)
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

    def _refuses(self, key: Key, task: Limited) -> bool:
        """Whether a rule keeps the task from starting; what is refused speaks for its group."""
        # What nothing in progress could change must not wait.
        if self._total == 0:
            return False
        if key not in self._refused and not self._rules[key[1]].allows(self._running.values(), task):
            self._refused.add(key)
        return key in self._refused

    def _count(self, task: Limited, step: int) -> None:
        self._total += step
        if task.target is not None:
            self._targets[task.target] += step
        self._types[task.limited_type] += step
