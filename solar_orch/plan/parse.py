"""From the text of a plan file to a :class:`~solar_orch.plan.model.Plan`, or to all its mistakes.

Each kind of mapping has a table of its keys and their checks.  What is wrong is remembered by
its path; only then is the text read once more, to find the lines and columns of those paths.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from solar_orch.errors import Mistake, PlanError
from solar_orch.plan import graph, reader
from solar_orch.plan.model import OnLost, Plan, Task
from solar_orch.plan.reader import BROKEN, shortened
from solar_orch.states import State

#: As many mistakes are listed; a last line says how many more there are.
MAX_MISTAKES = 100
#: As many cycles are shown at once.
MAX_CYCLES = 10
#: Methods of the tasks worker that are no task types.
CONTROLS = frozenset({"ping", "kill"})

_MAX_KEPT = 1000
_MAX_COUNT = 2**31 - 1
#: Comparisons of names that suggestions may cost in all; each is some microseconds.
_MAX_COMPARISONS = 200_000
_LONGEST_SHOWN_CYCLE = 30

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,139}")

Path = tuple[str | int, ...]
Check = Callable[[Any], Any]


def parse(text: str | bytes, source: str = "<plan>") -> Plan:
    """Read and check a plan.  Pure: no I/O.

    :param text: YAML or JSON; bytes are UTF-8
    :param source: the file's name, for messages
    :raises PlanError: with every mistake that could be found, in the order of the file
    """
    document = reader.read(text)
    complaints = _Complaints()
    checker = _Checker(complaints)
    if document.whole and document.value is not BROKEN:
        checker.check(document.value)
    if not document.mistakes and not complaints.kept:
        return checker.plan()
    # Freed before the text is read again.
    del document, checker
    raise PlanError(source, _bounded(*_placed(text, complaints)))


# -- complaints ----------------------------------------------------------------


@dataclass(slots=True)
class _Complaint:
    path: Path
    message: str
    #: Whether it is the key that is wrong, and not the value.
    on_key: bool = False
    #: Another place whose line the message ends with.
    first: Path | None = None


class _Complaints:
    """What is wrong with the values."""

    def __init__(self) -> None:
        self.kept: list[_Complaint] = []
        self.untold = 0
        self._comparisons = _MAX_COMPARISONS

    def add(self, path: Path, message: str, *, on_key: bool = False, first: Path | None = None) -> None:
        if len(self.kept) < _MAX_KEPT:
            self.kept.append(_Complaint(path, message, on_key, first))
        else:
            self.untold += 1

    def suggestion(self, word: str, known: Collection[str]) -> str:
        """A clause to end a message with: the name that `word` may have been meant to be."""
        self._comparisons -= len(known)
        if self._comparisons < 0 or len(word) > 200:
            return ""
        similar = difflib.get_close_matches(word, known, n=1)
        return f"; did you mean {shortened(similar[0])}?" if similar else ""


def _placed(text: str | bytes, complaints: _Complaints) -> tuple[list[Mistake], int]:
    """All mistakes with their places, and the number of those that were only counted."""
    wanted = reader.Wanted()
    for complaint in complaints.kept:
        wanted.at(complaint.path)
        if complaint.first is not None:
            wanted.at(complaint.first)
    document = reader.read(text, wanted)
    mistakes = list(document.mistakes)
    for complaint in complaints.kept:
        node = wanted.at(complaint.path)
        place = (node.key_at if complaint.on_key else node.value_at) or (1, 1)
        message = complaint.message
        if complaint.first is not None:
            message += f" in line {(wanted.at(complaint.first).value_at or (1, 1))[0]}"
        mistakes.append(Mistake(*place, message))
    return sorted(set(mistakes)), document.untold + complaints.untold


def _bounded(mistakes: list[Mistake], untold: int) -> list[Mistake]:
    if len(mistakes) <= MAX_MISTAKES and not untold:
        return mistakes
    end = mistakes[-1]
    # What says how many more there are must be sorted behind all that is shown.
    shown = [m for m in mistakes[:MAX_MISTAKES] if (m.line, m.column) < (end.line, end.column)]
    more = len(mistakes) - len(shown) + untold
    return [*shown, Mistake(end.line, end.column, f"and {more} more mistakes")]


# -- checks of single values -----------------------------------------------------


class _Wrong(Exception):  # noqa: N818 - becomes a complaint where the path is known
    """A value that is refused; the text goes behind its key's name."""


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the string {shortened(value)}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    return "a list" if isinstance(value, list) else "a mapping"


def _string(value: Any) -> str:
    if not isinstance(value, str):
        hint = "" if isinstance(value, (list, dict)) else "; put quotes around it"
        raise _Wrong(f"must be a string, not {_kind(value)}{hint}")
    if not value:
        raise _Wrong("must not be empty")
    return value


def _label(value: Any) -> str:
    """A string that is shown in one line, such as a task's name or target."""
    # Asked first, and at once: nearly all are fit, and there are many.
    if isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable():
        return value
    text = _string(value)
    if len(text) > 200:
        raise _Wrong(f"is {len(text)} characters long; at most 200 are taken")
    raise _Wrong(f"holds a line break or another character that cannot be shown: {shortened(text)}")


def _plan_name(value: Any) -> str:
    text = _string(value)
    if not _NAME.fullmatch(text):
        raise _Wrong(
            f"must be at most 100 letters, digits, '.', '_' and '-', of which the first is a letter or"
            f" a digit, not {shortened(text)}"
        )
    return text


def _plan_uid(value: Any) -> str:
    text = _string(value)
    if text == "last":
        raise _Wrong("must not be 'last', which stands for the plan that was made last")
    if not _UID.fullmatch(text):
        raise _Wrong(
            f"must be at most 140 letters, digits, '.', '_', ':' and '-', of which the first is a letter"
            f" or a digit, not {shortened(text)}"
        )
    return text


def _type(value: Any) -> str:
    text = _label(value)
    if text in CONTROLS:
        raise _Wrong(f"{text!r} is a control of the tasks worker and not a task type; a plan cannot name it")
    if not text.isidentifier() or text.startswith("_"):
        raise _Wrong(f"must be a name such as cmd, of letters, digits and '_', not {shortened(text)}")
    return text


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        scalar = "" if value is None or isinstance(value, dict) else f"; write [{str(value)[:60]}]"
        raise _Wrong(f"must be a list, not {_kind(value)}{scalar}")
    return value


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong(f"must be a mapping, not {_kind(value)}")
    return value


def _kwargs(value: Any) -> dict[str, Any]:
    for taken in ("self", "ctxt"):
        if taken in _mapping(value):
            raise _Wrong(f"must not have the key {taken!r}, which a task is given anyway")
    return _mapping(value)


def _tasks(value: Any) -> list[Any]:
    if not _list(value):
        raise _Wrong("is empty; a plan needs at least one task")
    return _list(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _Wrong(f"must be a number, not {_kind(value)}")
    # A database keeps it as a float.
    return value if abs(value) <= 2**53 else float(value)


def _seconds(value: Any) -> float:
    number = _number(value)
    if number <= 0:
        raise _Wrong(f"must be a number of seconds above 0, not {number}")
    return number


def _delay(value: Any) -> float:
    number = _number(value)
    if number < 0:
        raise _Wrong(f"must be a number of seconds from 0 on, not {number}")
    return number


def _count(least: int) -> Check:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _Wrong(f"must be a whole number, not {_kind(value)}")
        if not least <= value <= _MAX_COUNT:
            raise _Wrong(f"must be from {least} to {_MAX_COUNT}, not {value}")
        return value

    return check


def _one_of(kind: type[enum.StrEnum]) -> Check:
    def check(value: Any) -> enum.StrEnum:
        text = _string(value)
        try:
            return kind(text)
        except ValueError:
            raise _Wrong(f"must be one of {', '.join(kind)}, not {shortened(text)}") from None

    return check


def _status(value: Any) -> State:
    state: State = _one_of(State)(value)
    # Of a plan that is only being made no attempt can be running or have failed.
    return State.PENDING if state in (State.INPROGRESS, State.ERROR_RETRY) else state


_PLAN_KEYS: dict[str, Check] = {"name": _plan_name, "uid": _plan_uid, "tasks": _tasks}
_TASK_KEYS: dict[str, Check] = {"uid": _label, "parameters": _mapping, "before": _list, "after": _list}
#: Named as the attributes of Task.
_PARAMETER_KEYS: dict[str, Check] = {
    "type": _type,
    "args": _list,
    "kwargs": _kwargs,
    "target": _label,
    "timelimit": _seconds,
    "timeout": _seconds,
    "retry": _count(0),
    "retry_delay": _delay,
    "retry_delay_max": _delay,
    "on_lost": _one_of(OnLost),
    "type_limit": _count(1),
    "resource_type": _label,
    "weight": _number,
    "status": _status,
}


# -- the whole ---------------------------------------------------------------------


@dataclass(slots=True)
class _Entry:
    """One item of ``tasks``: what could be taken from it."""

    name: str | None
    parameters: dict[str, Any]
    before: list[Any]
    after: list[Any]


class _Checker:
    """Checks one document."""

    def __init__(self, complaints: _Complaints) -> None:
        self._complaints = complaints
        self._entries: list[_Entry] = []
        #: Task name -> the index of the first task of that name.
        self._index: dict[str, int] = {}
        #: What uids would be that were refused; that others name them is no further mistake.
        self._meant: set[str] = set()
        self._fields_of_plan: dict[str, Any] = {}
        self._after: list[list[int]] = []
        self._order: list[int] = []

    def check(self, value: Any) -> None:
        """Complain of all that is wrong; what the reader has told of already is passed over.

        :param value: its list of tasks is emptied, so that a large plan is not in memory twice
        """
        if not isinstance(value, dict):
            self._complaints.add((), f"a plan is a mapping with the keys name and tasks, not {_kind(value)}")
            return
        fields = self._fields(value, (), _PLAN_KEYS, "a plan", required=("name", "tasks"))
        self._fields_of_plan = fields
        for index, item in enumerate(_consumed(fields.pop("tasks", []))):
            self._entries.append(self._entry(item, index))
        self._after = self._predecessors()
        self._order = graph.topological_order(self._after)
        if len(self._order) < len(self._after):
            self._complain_of_cycles(self._after)

    def plan(self) -> Plan:
        """The plan that was checked; to be called only if nothing is wrong with it."""
        fields = self._fields_of_plan
        tasks = [self._task(index) for index in self._order]
        return Plan(fields["name"], tasks, fields.get("uid"))

    def _fields(
        self,
        mapping: dict[str, Any],
        path: Path,
        keys: dict[str, Check],
        noun: str,
        required: Iterable[str],
    ) -> dict[str, Any]:
        """The values of `mapping` that pass; an optional one that is null counts as left out."""
        fields: dict[str, Any] = {}
        for key, value in mapping.items():
            check = keys.get(key)
            if check is None:
                self._complain_of_key(key, path, keys, noun)
            elif value is not BROKEN and (value is not None or key in required):
                try:
                    fields[key] = check(value)
                except _Wrong as wrong:
                    self._complaints.add((*path, key), f"{key} {wrong}")
        for key in required:
            if key not in mapping:
                self._complaints.add(path, f"the key {key} is missing in {noun}")
        return fields

    def _complain_of_key(self, key: str, path: Path, keys: dict[str, Check], noun: str) -> None:
        if keys is _TASK_KEYS and key in _PARAMETER_KEYS:
            hint = "; it belongs under parameters"
        elif keys is _PARAMETER_KEYS and key in _TASK_KEYS:
            hint = "; it belongs beside parameters, not under them"
        else:
            hint = self._complaints.suggestion(key, keys)
        self._complaints.add((*path, key), f"unknown key {shortened(key)} in {noun}{hint}", on_key=True)

    def _entry(self, item: Any, index: int) -> _Entry:
        path: Path = ("tasks", index)
        if not isinstance(item, dict):
            if item is not BROKEN:
                self._complaints.add(
                    path, f"a task is a mapping with the keys uid and parameters, not {_kind(item)}"
                )
            return _Entry(None, {}, [], [])
        fields = self._fields(item, path, _TASK_KEYS, "a task", required=("uid", "parameters"))
        parameters = fields.get("parameters")
        if parameters is not None:
            parameters = self._fields(
                parameters, (*path, "parameters"), _PARAMETER_KEYS, "a task's parameters", required=("type",)
            )
            self._check_delays(parameters, (*path, "parameters"))
        name = fields.get("uid")
        if name is not None:
            self._enter_name(name, index)
        else:
            self._meant.add(str(item.get("uid")))
        return _Entry(name, parameters or {}, fields.get("before", []), fields.get("after", []))

    def _check_delays(self, parameters: dict[str, Any], path: Path) -> None:
        first, longest = parameters.get("retry_delay", 0), parameters.get("retry_delay_max")
        if longest is not None and longest < first:
            message = f"retry_delay_max must be at least retry_delay, which is {first}, not {longest}"
            self._complaints.add((*path, "retry_delay_max"), message)

    def _enter_name(self, name: str, index: int) -> None:
        first = self._index.setdefault(name, index)
        if first != index:
            message = f"duplicate uid {shortened(name)}; the first task of this name stands"
            self._complaints.add(("tasks", index, "uid"), message, first=("tasks", first, "uid"))

    def _predecessors(self) -> list[list[int]]:
        """Of each task the tasks that come before it, without duplicates."""
        after: list[list[int]] = []
        for index, entry in enumerate(self._entries):
            after.append(self._named(entry.after, index, "after"))
        for index, entry in enumerate(self._entries):
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
            self._complaints.add(path, f"{key} must hold names of tasks, not {_kind(name)}{hint}")

    def _complain_of_cycles(self, after: list[list[int]]) -> None:
        for cycle in graph.find_cycles(after, MAX_CYCLES):
            names = [self._entries[index].name or f"(task {index + 1})" for index in [*cycle, cycle[0]]]
            if len(names) > _LONGEST_SHOWN_CYCLE:
                left_out = len(names) - _LONGEST_SHOWN_CYCLE
                half = _LONGEST_SHOWN_CYCLE // 2
                names[half:-half] = [f"({left_out} more)"]
            path = self._edge_path(cycle[-1], cycle[0])
            self._complaints.add(path, f"the tasks wait for each other in a circle: {' -> '.join(names)}")

    def _edge_path(self, earlier: int, later: int) -> Path:
        """Where the file says that `earlier` comes before `later`."""
        for position, name in enumerate(self._entries[later].after):
            if isinstance(name, str) and self._index.get(name) == earlier:
                return ("tasks", later, "after", position)
        for position, name in enumerate(self._entries[earlier].before):
            if isinstance(name, str) and self._index.get(name) == later:
                return ("tasks", earlier, "before", position)
        raise AssertionError(f"no edge from {earlier} to {later}")  # pragma: no cover

    def _task(self, index: int) -> Task:
        entry = self._entries[index]
        names: list[Any] = [self._entries[other].name for other in self._after[index]]
        task = Task(entry.name, after=names, **entry.parameters)  # type: ignore[arg-type]
        # No longer needed; only the name is, of others.
        entry.parameters, entry.before, entry.after = {}, [], []
        return task


def _consumed(items: list[Any]) -> Iterator[Any]:
    """The items, each let go of once it has been given."""
    items.reverse()
    while items:
        yield items.pop()
