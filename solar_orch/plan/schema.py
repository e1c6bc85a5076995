"""The JSON Schema of the plan file: which keys there are, which are required, and their bounds.

Editors load it, and the checks of the parser are made from it, so that both say the same.
"""

from __future__ import annotations

import json
import pkgutil
from functools import cache
from typing import Any

Node = dict[str, Any]


@cache
def text() -> str:
    """The schema as it ships, draft 2020-12."""
    data = pkgutil.get_data("solar_orch.plan", "schema.json")
    if data is None:  # pragma: no cover - only under a loader that has no data
        raise FileNotFoundError("solar_orch/plan/schema.json")
    return data.decode()


@cache
def of_plan() -> Node:
    """The node of a plan."""
    node: Node = json.loads(text())
    return node


def of_task() -> Node:
    """The node of one item of ``tasks``."""
    return _definition("task")


def of_parameters() -> Node:
    """The node of a task's ``parameters``."""
    return _definition("parameters")


def of_percent() -> Node:
    """The node of the percentage that a ``fault_tolerance`` task is given."""
    return _definition("percent")


def properties(node: Node) -> dict[str, Node]:
    """Of each key of such a mapping the node, with what it refers to in its place."""
    return {
        key: {**_definition(of["$ref"].rpartition("/")[2]), **of} if "$ref" in of else of
        for key, of in node["properties"].items()
    }


def _definition(name: str) -> Node:
    node: Node = of_plan()["$defs"][name]
    return node
