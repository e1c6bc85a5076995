"""The house of DESIGN: a file imports what stands below it, and there are no circles."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "solar_orch"

#: From the ground up; what stands in one line may import each other.
LAYERS = (
    ("errors", "states", "faults", "collector", "ownership", "interpolation"),
    ("config",),
    ("contracts",),
    ("plan",),
    ("store",),
    ("workers",),
    ("executors",),
    ("runners", "hooks"),
    ("plugins",),
    ("extensions", "constructors", "opts"),
    ("host",),
    ("pictures",),
    ("api",),
    ("held",),
    ("doctor", "scaffold", "testing"),
    ("cli",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

MODULES = {
    ".".join(("solar_orch", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}


def imported(path: Path, *, when_called: bool = False) -> set[str]:
    """The modules of this package that a file imports when it is imported; or also when it runs."""
    found = set()
    for node in _statements(ast.parse(path.read_text()), when_called):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "solar_orch":
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                found.add(whole if whole in MODULES else str(node.module))
    return found


def _statements(tree: ast.AST, when_called: bool) -> Iterator[ast.stmt]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not when_called:
            continue
        if isinstance(node, ast.stmt):
            yield node
        yield from _statements(node, when_called)


def layer(module: str) -> int:
    parts = module.split(".")
    return LEVEL[parts[1]] if len(parts) > 1 else -1


def test_every_file_has_a_layer():
    assert {name.split(".")[1] for name in MODULES if "." in name} <= LEVEL.keys()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_file_imports_what_stands_below_it(module):
    upwards = {other for other in imported(MODULES[module]) if layer(other) > layer(module)}
    assert upwards == set()


def test_there_are_no_circles():
    graph = {module: imported(path) - {module} for module, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"these import each other: {' <- '.join(error.args[1])}")


def test_the_domain_imports_nothing_that_could_do_io():
    for module, path in MODULES.items():
        if module.startswith("solar_orch.plan"):
            names = {
                name.partition(".")[0]
                for node in _statements(ast.parse(path.read_text()), when_called=True)
                for name in (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module or ""]
                    if isinstance(node, ast.ImportFrom)
                    else []
                )
            }
            assert names.isdisjoint(
                {"os", "socket", "subprocess", "pathlib", "gevent", "sqlalchemy", "zmq"}
            ), path
