"""The graph of a plan in DOT, the language of Graphviz."""

from __future__ import annotations

from collections.abc import Iterator

from solar_orch.pictures.looks import LOOKS
from solar_orch.plan.model import Task
from solar_orch.plan.picture import Picture
from solar_orch.plan.report import shown


def lines(picture: Picture) -> Iterator[str]:
    """The graph, line by line, each with its line break."""
    yield f"digraph {_quoted(picture.title)} {{\n"
    yield "  rankdir=LR;\n"
    yield '  node [shape=box, style=filled, fontname="monospace", fontsize=11];\n'
    for task in picture.tasks:
        yield f"  {_quoted(task.name)} [{_attributes(task)}];\n"
    for task, before in zip(picture.tasks, picture.after, strict=True):
        for other in before:
            yield f"  {_quoted(picture.tasks[other].name)} -> {_quoted(task.name)};\n"
    yield "}\n"


def _attributes(task: Task) -> str:
    look = LOOKS[task.status]
    below = f"{task.status}, {task.type}" + (f", {shown(task.target)}" if task.target else "")
    style = '"filled,dashed"' if look.dashed else "filled"
    return (
        f"label={_quoted(shown(task.name), below)}, style={style},"
        f' color="{look.strong}", fillcolor="{look.pale}", tooltip={_quoted(below)}'
    )


def _quoted(*parts: str) -> str:
    """A string of DOT, each part on a line of its own.

    A backslash is always doubled: in labels it would begin an escape.
    """
    escaped = (part.replace("\\", "\\\\").replace('"', '\\"') for part in parts)
    return '"' + "\\n".join(escaped) + '"'
