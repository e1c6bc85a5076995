"""Checks of single values of a plan file, each made from what the schema says of its key."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from solar_orch.plan import schema
from solar_orch.plan.model import OnError, OnLost
from solar_orch.plan.reader import shortened
from solar_orch.plan.schema import Node
from solar_orch.states import State

#: Gives the value as a plan has it, or raises :class:`Wrong`.
Check = Callable[[Any], Any]
_Maker = Callable[[Node], Check]


class Wrong(Exception):  # noqa: N818 - becomes a complaint where the path is known
    """A value that is refused; the text goes behind its key's name."""


def kind(value: Any) -> str:
    """What a value is, for a message."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the string {shortened(value)}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    return "a list" if isinstance(value, list) else "a mapping"


def string(value: Any) -> str:
    """A string.

    :raises Wrong: if it is none, or empty
    """
    if not isinstance(value, str):
        hint = "" if isinstance(value, (list, dict)) else "; put quotes around it"
        raise Wrong(f"must be a string, not {kind(value)}{hint}")
    if not value:
        raise Wrong("must not be empty")
    return value


def _string(_: Node) -> Check:
    return string


def _label(node: Node) -> Check:
    """A string that is shown in one line, such as a task's name or target."""
    longest = node["maxLength"]

    def check(value: Any) -> str:
        # Asked first, and at once: nearly all are fit, and there are many.
        if isinstance(value, str) and 0 < len(value) <= longest and value.isprintable():
            return value
        text = string(value)
        if len(text) > longest:
            raise Wrong(f"is {len(text)} characters long; at most {longest} are taken")
        raise Wrong(f"holds a line break or another character that cannot be shown: {shortened(text)}")

    return check


def _matching(wanted: str) -> _Maker:
    def make(node: Node) -> Check:
        pattern = re.compile(node["pattern"])

        def check(value: Any) -> str:
            text = string(value)
            if not pattern.fullmatch(text):
                raise Wrong(f"must be {wanted}, not {shortened(text)}")
            return text

        return check

    return make


def _plan_uid(node: Node) -> Check:
    taken = node["not"]["const"]
    matches = _matching(
        "at most 140 letters, digits, '.', '_', ':' and '-', of which the first is a letter or a digit"
    )(node)

    def check(value: Any) -> str:
        if value == taken:
            raise Wrong(f"must not be {taken!r}, which stands for the plan that was made last")
        return str(matches(value))

    return check


def _type(node: Node) -> Check:
    pattern, controls = re.compile(node["pattern"]), frozenset(node["not"]["enum"])

    def check(value: Any) -> str:
        if isinstance(value, str) and pattern.fullmatch(value) and value not in controls:
            return value
        text = string(value)
        if text in controls:
            raise Wrong(
                f"{text!r} is a control of the tasks worker and not a task type; a plan cannot name it"
            )
        raise Wrong(f"must be a name such as cmd, of letters, digits and '_', not {shortened(text)}")

    return check


def _without_nul(node: Node) -> Check:
    pattern = re.compile(node["pattern"])

    def check(value: Any) -> str:
        text = string(value) if "minLength" in node or not isinstance(value, str) else value
        if not pattern.fullmatch(text):
            raise Wrong(f"must not hold the character NUL: {shortened(text)}")
        return text

    return check


def _list(node: Node) -> Check:
    least = node.get("minItems", 0)

    def check(value: Any) -> list[Any]:
        if not isinstance(value, list):
            scalar = "" if value is None or isinstance(value, dict) else f"; write [{str(value)[:60]}]"
            raise Wrong(f"must be a list, not {kind(value)}{scalar}")
        if len(value) < least:
            raise Wrong("is empty; a plan needs at least one task")
        return value

    return check


def _mapping(_: Node) -> Check:
    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Wrong(f"must be a mapping, not {kind(value)}")
        return value

    return check


def _kwargs(node: Node) -> Check:
    mapping, taken = _mapping(node), node["propertyNames"]["not"]["enum"]

    def check(value: Any) -> Any:
        for key in taken:
            if key in mapping(value):
                raise Wrong(f"must not have the key {key!r}, which a task is given anyway")
        return value

    return check


def number(value: Any) -> float:
    """A number, as a database keeps it.

    :raises Wrong: if it is none
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Wrong(f"must be a number, not {kind(value)}")
    return value if abs(value) <= 2**53 else float(value)


def _number(node: Node) -> Check:
    above, least = node.get("exclusiveMinimum"), node.get("minimum")

    def check(value: Any) -> float:
        found = number(value)
        if above is not None and found <= above:
            raise Wrong(f"must be a number of seconds above {above}, not {found}")
        if least is not None and found < least:
            raise Wrong(f"must be a number of seconds from {least} on, not {found}")
        return found

    return check


def _count(node: Node) -> Check:
    least, most = node["minimum"], node["maximum"]

    def check(value: Any) -> int:
        # 2.0 is a whole number to JSON.
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole:
            raise Wrong(f"must be a whole number, not {kind(value)}")
        if not least <= value <= most:
            raise Wrong(f"must be from {least} to {most}, not {value}")
        return int(value)

    return check


def _one_of(known: type[enum.StrEnum]) -> _Maker:
    def make(node: Node) -> Check:
        words = {word: known(word) for word in node["enum"] if word is not None}

        def check(value: Any) -> enum.StrEnum:
            text = string(value)
            if text not in words:
                raise Wrong(f"must be one of {', '.join(words)}, not {shortened(text)}")
            return words[text]

        return check

    return make


def _status(node: Node) -> Check:
    one_of = _one_of(State)(node)

    def check(value: Any) -> State:
        state: State = one_of(value)
        # Of a plan that is only being made no attempt can be running or have failed.
        return State.PENDING if state in (State.INPROGRESS, State.ERROR_RETRY) else state

    return check


_MAKERS_OF_PLAN: dict[str, _Maker] = {
    "name": _matching(
        "at most 100 letters, digits, '.', '_' and '-', of which the first is a letter or a digit"
    ),
    "uid": _plan_uid,
    "env": _mapping,
    "cwd": _without_nul,
    "vars": _mapping,
    "tasks": _list,
}
_MAKERS_OF_TASK: dict[str, _Maker] = {"uid": _label, "parameters": _mapping, "before": _list, "after": _list}
#: Named as the attributes of Task.
_MAKERS_OF_PARAMETERS: dict[str, _Maker] = {
    "type": _type,
    "args": _list,
    "kwargs": _kwargs,
    "target": _label,
    "timelimit": _number,
    "timeout": _number,
    "retry": _count,
    "retry_delay": _number,
    "retry_delay_max": _number,
    "on_lost": _one_of(OnLost),
    "on_error": _one_of(OnError),
    "when": _string,
    "type_limit": _count,
    "resource_type": _label,
    "weight": _number,
    "status": _status,
}


class Table:
    """The keys of a kind of mapping.

    :param noun: what such a mapping is called
    :ivar keys: each with its check, in the order of the schema
    :ivar required: those that must be there
    """

    def __init__(self, noun: str, node: Node, makers: Mapping[str, _Maker]) -> None:
        self.noun = noun
        self.keys: dict[str, Check] = {key: makers[key](of) for key, of in schema.properties(node).items()}
        self.required: list[str] = node["required"]


PLAN = Table("a plan", schema.of_plan(), _MAKERS_OF_PLAN)
TASK = Table("a task", schema.of_task(), _MAKERS_OF_TASK)
PARAMETERS = Table("a task's parameters", schema.of_parameters(), _MAKERS_OF_PARAMETERS)

#: Methods of the tasks worker that are no task types.
CONTROLS = frozenset(schema.of_parameters()["properties"]["type"]["not"]["enum"])


@cache
def _name_pattern(key: str) -> re.Pattern[str]:
    return re.compile(schema.of_plan()["properties"][key]["propertyNames"]["pattern"])


def variable_name(key: str, name: str) -> str:
    """A name of ``env`` or ``vars``.

    :raises Wrong: if it cannot be one
    """
    if not _name_pattern(key).fullmatch(name):
        raise Wrong(
            "must have names of letters, digits and '_', of which the first is no digit,"
            f" not {shortened(name)}"
        )
    return name


#: A value of ``env``.
env_value = _without_nul(schema.of_plan()["properties"]["env"]["additionalProperties"])


def variable_value(value: Any) -> Any:
    """A value of ``vars``.

    :raises Wrong: if it is a list or mapping
    """
    if isinstance(value, (list, dict)):
        raise Wrong(f"must be a string, a number, true, false or null, not {kind(value)}")
    return value


def percent(value: Any) -> float:
    """What a ``fault_tolerance`` task is given.

    :raises Wrong: if it is no percentage
    """
    node = schema.of_percent()
    found = number(value)
    if not node["minimum"] <= found <= node["maximum"]:
        raise Wrong(f"must be from {node['minimum']} to {node['maximum']} percent, not {found}")
    return found
