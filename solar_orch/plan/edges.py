"""Which task of a plan file waits for which."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from solar_orch.plan import graph
from solar_orch.plan.checks import kind
from solar_orch.plan.complaints import Complaints, Path
from solar_orch.plan.reader import BROKEN, shortened

#: As many cycles are shown at once.
MAX_CYCLES = 10
_LONGEST_SHOWN_CYCLE = 30


class Item(Protocol):
    """What a task says of its neighbours."""

    @property
    def name(self) -> str | None: ...
    @property
    def before(self) -> list[Any]: ...
    @property
    def after(self) -> list[Any]: ...


class Edges:
    """The edges of one document; complains of names that cannot be meant, and of cycles.

    :param index: task name -> the index of the first task of that name
    :param meant: what uids would be that were refused; that others name them is no further mistake
    :ivar after: of each task the tasks that come before it, without duplicates
    :ivar order: all tasks in topological order; fewer where there is a cycle
    """

    def __init__(
        self, items: Sequence[Item], index: dict[str, int], meant: Collection[str], complaints: Complaints
    ) -> None:
        self._items = items
        self._index = index
        self._meant = meant
        self._complaints = complaints
        self.after = self._predecessors()
        self.order = graph.topological_order(self.after)
        if len(self.order) < len(self.after):
            self._complain_of_cycles()

    def _predecessors(self) -> list[list[int]]:
        """Of each task the tasks that come before it, without duplicates."""
        after: list[list[int]] = []
        for index, entry in enumerate(self._items):
            after.append(self._named(entry.after, index, "after"))
        for index, entry in enumerate(self._items):
            for successor in self._named(entry.before, index, "before"):
                after[successor].append(index)
        return [list(dict.fromkeys(before)) if len(before) > 1 else before for before in after]

    def _named(self, names: list[Any], index: int, key: str) -> list[int]:
        if not names:
            return []
        try:
            found = [self._index[name] for name in names]
        except (KeyError, TypeError):
            return self._named_one_by_one(names, index, key)
        return self._named_one_by_one(names, index, key) if index in found else found

    def _named_one_by_one(self, names: list[Any], index: int, key: str) -> list[int]:
        """Those that are other tasks; complains of the rest."""
        found: list[int] = []
        for position, name in enumerate(names):
            other = self._index.get(name) if isinstance(name, str) else None
            if other is not None and other != index:
                found.append(other)
            else:
                self._complain_of_edge(name, ("tasks", index, key, position), other)
        return found

    def _complain_of_edge(self, name: Any, path: Path, other: int | None) -> None:
        key = path[2]
        if other is not None:
            self._complaints.add(path, f"the task {shortened(name)} cannot come {key} itself")
        elif isinstance(name, str):
            if name not in self._meant:
                hint = self._complaints.suggestion(name, self._index)
                self._complaints.add(path, f"{key} names {shortened(name)}, and there is no such task{hint}")
        elif name is not BROKEN:
            hint = "" if isinstance(name, (list, dict)) else "; put quotes around it"
            self._complaints.add(path, f"{key} must hold names of tasks, not {kind(name)}{hint}")

    def _complain_of_cycles(self) -> None:
        for cycle in graph.find_cycles(self.after, MAX_CYCLES):
            names = [self._items[index].name or f"(task {index + 1})" for index in [*cycle, cycle[0]]]
            if len(names) > _LONGEST_SHOWN_CYCLE:
                left_out = len(names) - _LONGEST_SHOWN_CYCLE
                half = _LONGEST_SHOWN_CYCLE // 2
                names[half:-half] = [f"({left_out} more)"]
            closing = self.path(cycle[-1], cycle[0])
            self._complaints.add(closing, f"the tasks wait for each other in a circle: {' -> '.join(names)}")

    def path(self, earlier: int, later: int) -> Path:
        """Where the file says that `earlier` comes before `later`."""
        for position, name in enumerate(self._items[later].after):
            if isinstance(name, str) and self._index.get(name) == earlier:
                return ("tasks", later, "after", position)
        for position, name in enumerate(self._items[earlier].before):
            if isinstance(name, str) and self._index.get(name) == later:
                return ("tasks", earlier, "before", position)
        raise AssertionError(f"no edge from {earlier} to {later}")  # pragma: no cover
