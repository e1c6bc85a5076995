"""From a plan to the text of a plan file."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import islice
from typing import Any

import yaml

from solar_orch.plan.model import Plan, Task
from solar_orch.plan.templates import escaped

#: Tasks that are turned into text at once: what bounds the memory that it takes.
_CHUNK = 500
#: No line is folded: a command stays on its line.
_WIDTH = 2**31 - 1
#: Keys of a task's parameters besides ``type``, in the order in which they are written.
_KEYS = (
    "args",
    "kwargs",
    "target",
    "timelimit",
    "timeout",
    "retry",
    "retry_delay",
    "retry_delay_max",
    "on_lost",
    "on_error",
    "when",
    "type_limit",
    "resource_type",
    "weight",
    "status",
)
_DEFAULTS = Task("", "")


def dump(plan: Plan) -> str:
    """The plan as YAML that :func:`~solar_orch.plan.parse.parse` takes back as an equal plan.

    Only what differs from its default is written.  States of an attempt that is under way
    (INPROGRESS, ERROR_RETRY) are written as they are and are read back as PENDING.
    """
    return "".join(lines(plan))


def lines(plan: Plan) -> Iterator[str]:
    """What :func:`dump` returns, in pieces of whole lines, for plans that are large."""
    head: dict[str, Any] = {"name": plan.name}
    for key in ("uid", "env", "cwd"):
        if value := getattr(plan, key):
            head[key] = value
    yield _yaml(head)
    yield "tasks:\n"
    tasks = iter(plan.tasks)
    while chunk := list(islice(tasks, _CHUNK)):
        yield _yaml([_task(task) for task in chunk])


def _task(task: Task) -> dict[str, Any]:
    item: dict[str, Any] = {"uid": task.name, "parameters": _parameters(task)}
    if task.after:
        item["after"] = task.after
    return item


def _parameters(task: Task) -> dict[str, Any]:
    parameters: dict[str, Any] = {"type": task.type}
    for key in _KEYS:
        value = getattr(task, key)
        if value != getattr(_DEFAULTS, key):
            parameters[key] = _plain(value)
    if task.target is not None:
        # What is a template in a file, and no longer one in the plan.
        parameters["target"] = escaped(task.target)
    return parameters


def _plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return str(value)
    return _number(value) if isinstance(value, float) else value


def _number(value: float) -> float:
    """30 and not 30.0, as it will have been written."""
    return int(value) if value == int(value) and abs(value) <= 2**53 else value


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if _is_script(text) else None)


def _is_script(text: str) -> bool:
    """Whether it reads well, and certainly reads back, as a block of lines."""
    if "\n" not in text or text[0] in " \n":
        return False
    return all(line.isprintable() and not line.endswith(" ") for line in text.split("\n"))


_Dumper.add_representer(str, _text)


def _yaml(value: Any) -> str:
    text: str = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, sort_keys=False, width=_WIDTH
    )
    return text
