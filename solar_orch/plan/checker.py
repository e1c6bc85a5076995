"""All that makes a document of plain values a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from solar_orch.plan import checks, templates
from solar_orch.plan.checks import PARAMETERS, PLAN, TASK, Table, Wrong, kind
from solar_orch.plan.complaints import Complaints, Path
from solar_orch.plan.edges import Edges
from solar_orch.plan.model import FAULT_TOLERANCE, SHELL_TYPES, Plan, Task
from solar_orch.plan.reader import BROKEN, shortened
from solar_orch.plan.templates import TemplateError
from solar_orch.plan.variables import IN_ARGUMENTS, IN_SURROUNDINGS, Use, Variables


@dataclass(slots=True)
class Entry:
    """One item of ``tasks``: what could be taken from it."""

    name: str | None
    parameters: dict[str, Any]
    before: list[Any]
    after: list[Any]


class Checker:
    """Checks one document.

    :param variables: of ``--var``
    """

    def __init__(self, complaints: Complaints, variables: Mapping[str, str]) -> None:
        self._complaints = complaints
        self.variables = Variables(complaints, variables)
        self.entries: list[Entry] = []
        #: Task name -> the index of the first task of that name.
        self._index: dict[str, int] = {}
        #: What uids would be that were refused.
        self._meant: set[str] = set()
        self._fields_of_plan: dict[str, Any] = {}
        self.edges = Edges([], {}, (), complaints)

    def check(self, value: Any) -> None:
        """Complain of all that is wrong; what the reader has told of already is passed over.

        :param value: its list of tasks is emptied, so that a large plan is not in memory twice
        """
        if not isinstance(value, dict):
            self._complaints.add((), f"a plan is a mapping with the keys name and tasks, not {kind(value)}")
            return
        fields = self._fields(value, (), PLAN)
        self._fields_of_plan = fields
        unread = value.get("vars") is not None and "vars" not in fields
        declared = self._members("vars", fields.get("vars", {}), checks.variable_value)
        self.variables.declare(None if unread else declared)
        fields["env"] = self._environment(fields.get("env", {}))
        if "cwd" in fields:
            fields["cwd"] = self._filled_again("cwd", fields["cwd"], ("cwd",), PLAN, IN_SURROUNDINGS)
        for index, item in enumerate(_consumed(fields.pop("tasks", []))):
            self.entries.append(self._entry(item, index))
        self.edges = Edges(self.entries, self._index, self._meant, self._complaints)
        for index, uses in self.variables.uses.items():
            self._check_uses(index, uses)
        self._check_fault_tolerance()

    def plan(self) -> Plan:
        """The plan that was checked; to be called only once, and if nothing is wrong with it."""
        fields = self._fields_of_plan
        tasks = [self._task(index) for index in self.edges.order]
        return Plan(fields["name"], tasks, fields.get("uid"), fields["env"], fields.get("cwd"))

    def _fields(self, mapping: dict[str, Any], path: Path, table: Table) -> dict[str, Any]:
        """The values of `mapping` that pass; an optional one that is null counts as left out."""
        fields: dict[str, Any] = {}
        keys, required = table.keys, table.required
        for key, value in mapping.items():
            check = keys.get(key)
            if check is None:
                self._complain_of_key(key, path, table)
            elif value is not BROKEN and (value is not None or key in required):
                try:
                    fields[key] = check(value)
                except Wrong as wrong:
                    self._complaints.add((*path, key), f"{key} {wrong}")
        for key in required:
            if key not in mapping:
                self._complaints.add(path, f"the key {key} is missing in {table.noun}")
        return fields

    def _complain_of_key(self, key: str, path: Path, table: Table) -> None:
        if table is TASK and key in PARAMETERS.keys:
            hint = "; it belongs under parameters"
        elif table is PARAMETERS and key in TASK.keys:
            hint = "; it belongs beside parameters, not under them"
        else:
            hint = self._complaints.suggestion(key, table.keys)
        self._complaints.add((*path, key), f"unknown key {shortened(key)} in {table.noun}{hint}", on_key=True)

    # -- what a plan says of all its tasks ----------------------------------------------

    def _environment(self, env: dict[str, Any]) -> dict[str, str]:
        return {
            name: self.variables.fill_text(value, ("env", name), kept=IN_SURROUNDINGS)
            for name, value in self._members("env", env, checks.env_value).items()
            if value is not BROKEN
        }

    def _members(self, key: str, mapping: dict[str, Any], check: checks.Check) -> dict[str, Any]:
        """The members of ``env`` or ``vars`` whose names can be; BROKEN where the value cannot."""
        found: dict[str, Any] = {}
        for name, value in mapping.items():
            try:
                checks.variable_name(key, name)
            except Wrong as wrong:
                self._complaints.add((key, name), f"{key} {wrong}", on_key=True)
                continue
            try:
                found[name] = value if value is BROKEN else check(value)
            except Wrong as wrong:
                found[name] = BROKEN
                self._complaints.add((key, name), f"{name} in {key} {wrong}")
        return found

    # -- a task --------------------------------------------------------------------------

    def _entry(self, item: Any, index: int) -> Entry:
        path: Path = ("tasks", index)
        if not isinstance(item, dict):
            if item is not BROKEN:
                message = f"a task is a mapping with the keys uid and parameters, not {kind(item)}"
                self._complaints.add(path, message)
            return Entry(None, {}, [], [])
        fields = self._fields(item, path, TASK)
        parameters = fields.get("parameters")
        if parameters is not None:
            below = (*path, "parameters")
            refused = parameters.get("args")
            parameters = self._fields(parameters, below, PARAMETERS)
            self._check_delays(parameters, below)
            self._fill(parameters, below)
            if parameters.get("type") == FAULT_TOLERANCE and (refused is None or "args" in parameters):
                self._check_percent(parameters, below)
        name = fields.get("uid")
        if name is not None:
            self._enter_name(name, index)
        else:
            self._meant.add(str(item.get("uid")))
        return Entry(name, parameters or {}, fields.get("before", []), fields.get("after", []))

    def _check_delays(self, parameters: dict[str, Any], path: Path) -> None:
        first, longest = parameters.get("retry_delay", 0), parameters.get("retry_delay_max")
        if longest is not None and longest < first:
            message = f"retry_delay_max must be at least retry_delay, which is {first}, not {longest}"
            self._complaints.add((*path, "retry_delay_max"), message)

    def _fill(self, parameters: dict[str, Any], path: Path) -> None:
        """Fill variables in where there are any."""
        for key in ("args", "kwargs"):
            value = parameters.get(key)
            if value and any(map(templates.is_template, templates.texts(value))):
                known = len(self._complaints.kept)
                parameters[key] = self.variables.fill(value, (*path, key), kept=IN_ARGUMENTS)
                if parameters.get("type") in SHELL_TYPES and known == len(self._complaints.kept):
                    self._check_command(parameters[key], (*path, key))
        target = parameters.get("target")
        if target is not None and templates.is_template(target):
            parameters["target"] = self._filled_again("target", target, (*path, "target"), PARAMETERS)
        if "when" in parameters:
            parameters["when"] = self.variables.fill_condition(parameters["when"], (*path, "when"))

    def _filled_again(
        self, key: str, text: str, path: Path, table: Table, kept: tuple[type, ...] = ()
    ) -> str:
        """A text that is checked once more when its variables are filled in."""
        filled = self.variables.fill_text(text, path, kept=kept)
        if filled != text:
            try:
                table.keys[key](filled)
            except Wrong as wrong:
                self._complaints.add(path, f"{key} {wrong}")
        return filled

    def _check_command(self, arguments: Any, path: Path) -> None:
        """Complain of references in a command that could not be quoted for the shell."""
        place = 0 if isinstance(arguments, list) else "command"
        command = arguments[0] if place == 0 else arguments.get(place)
        if not isinstance(command, str):
            return
        before = ""
        for at, piece in templates.located(command):
            if isinstance(piece, str):
                before += piece
                continue
            try:
                templates.inserted_in_shell("", before)
            except TemplateError as error:
                self._complaints.add((*path, place), error.problem, part=(command, at))
                return

    def _enter_name(self, name: str, index: int) -> None:
        first = self._index.setdefault(name, index)
        if first != index:
            message = f"duplicate uid {shortened(name)}; the first task of this name stands"
            self._complaints.add(("tasks", index, "uid"), message, first=("tasks", first, "uid"))

    # -- what tasks have to do with each other ----------------------------------------------

    def _check_percent(self, parameters: dict[str, Any], path: Path) -> None:
        args = parameters.get("args", [])
        if any(arg is BROKEN for arg in args):
            return
        where = (*path, "args") if args else path
        try:
            if len(args) != 1:
                raise Wrong(f"must be one number, as in [80], not {len(args)} values")
            checks.percent(args[0])
        except Wrong as wrong:
            self._complaints.add(where, f"args of {FAULT_TOLERANCE} {wrong}")
        if parameters.get("kwargs"):
            self._complaints.add((*path, "kwargs"), f"{FAULT_TOLERANCE} takes no kwargs")

    def _check_fault_tolerance(self) -> None:
        for index, entry in enumerate(self.entries):
            if entry.parameters.get("type") != FAULT_TOLERANCE or self.edges.after[index]:
                continue
            if not entry.after:
                message = (
                    f"{FAULT_TOLERANCE} judges the tasks before it, and there are none; name them in after"
                )
                self._complaints.add(("tasks", index, "parameters", "type"), message)

    def _check_uses(self, index: int, uses: list[Use]) -> None:
        """Complain of results of tasks that do not come right before the one that uses them."""
        before = {self.entries[other].name for other in self.edges.after[index]}
        for use in uses:
            if use.reference.task not in before and use.reference.task not in self._meant:
                message = self._why_no_result(use.reference.task, self.entries[index].name)
                self._complaints.add(use.path, message, part=(use.text, use.at))

    def _why_no_result(self, task: str, user: str | None) -> str:
        if task == user:
            return f"the task {shortened(task)} cannot use its own result"
        if task not in self._index:
            hint = self._complaints.suggestion(task, self._index)
            return f"a result of {shortened(task)} is used, and there is no such task{hint}"
        name = shortened(task)
        return f"a result of {name} is used without an edge; add {name} to after of this task"

    def _task(self, index: int) -> Task:
        entry = self.entries[index]
        names: list[Any] = [self.entries[other].name for other in self.edges.after[index]]
        task = Task(entry.name, after=names, **entry.parameters)  # type: ignore[arg-type]
        # No longer needed; only the name is, of others.
        entry.parameters, entry.before, entry.after = {}, [], []
        return task


def _consumed(items: list[Any]) -> Iterator[Any]:
    """The items, each let go of once it has been given."""
    items.reverse()
    while items:
        yield items.pop()
