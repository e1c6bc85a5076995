"""The contract of each namespace, and its documentation."""

from __future__ import annotations

import importlib
import inspect

import pytest

from solar_orch import plugins
from solar_orch.contracts.table import contract_of
from solar_orch.errors import PluginError

NAMESPACES = [
    plugins.EXECUTORS,
    plugins.EXTENSIONS,
    plugins.CLIENTS,
    plugins.CONSTRUCTORS,
    plugins.RUNNERS,
    plugins.TASK_TYPES,
    plugins.LIMITS,
    plugins.drivers("pinger"),
    plugins.construct_hooks("pinger"),
]


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_each_has_one_that_is_described_by_a_class_with_docstrings(namespace):
    contract = contract_of(namespace)
    assert contract is not None
    module, _, name = contract.described_by.partition(":")
    described = getattr(importlib.import_module(module), name)
    assert inspect.getdoc(described)
    called = vars(described).get("__call__")
    assert called is None or inspect.getdoc(called)


def test_every_namespace_that_ships_parts_has_one():
    assert [name for name in plugins.namespaces() if contract_of(name) is None] == []


@pytest.mark.parametrize(
    "namespace",
    [
        "executor",
        "drivers",
        "drivers.",
        "hooks.tasks",
        "hooks..construct",
        "hooks.construct",
        "task_type",
        "",
    ],
)
def test_what_no_host_reads_has_none(namespace):
    assert contract_of(f"solar.orchestration.{namespace}") is None


@pytest.mark.parametrize(
    ("namespace", "option", "worker"),
    [
        (plugins.EXECUTORS, "executor", None),
        (plugins.RUNNERS, "runner", None),
        (plugins.LIMITS, "limits", None),
        (plugins.drivers("pinger"), "pinger_driver", "pinger"),
        (plugins.construct_hooks("pinger"), None, "pinger"),
        (plugins.TASK_TYPES, None, None),
    ],
)
def test_who_chooses(namespace, option, worker):
    contract = contract_of(namespace)
    assert (contract.option, contract.worker) == (option, worker)


def load(packages, namespace, source):
    packages.add("part", {namespace: {"part": "apart:part"}}, modules={"apart": source})
    return plugins.load_one(namespace, "part")


@pytest.mark.parametrize(
    "source",
    [
        "def part(ctxt): ...",
        "def part(ctxt, /, a, *, b=1): ...",
        "def part(*args): ...",
        "def part(_, path): ...",
        "from functools import partial\npart = partial(lambda a, ctxt, b: b, 1)",
        "class Type:\n    def __call__(self, ctxt, a): ...\npart = Type()",
    ],
)
def test_task_types_that_can_be_called(packages, source):
    assert load(packages, plugins.TASK_TYPES, source).name == "part"


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("def part(): ...", "too many positional arguments"),
        ("def part(*, ctxt): ...", "too many positional arguments"),
        ("async def part(ctxt): ...", "runs nothing"),
        ("async def part(ctxt):\n    yield", "runs nothing"),
        ("class Type:\n    def __call__(self, ctxt):\n        yield 1\npart = Type()", "runs nothing"),
        ("part = 3", "an object of type int"),
        ("def part(path, text): ...", "the first parameter of part\\(path, text\\) is 'path'"),
    ],
)
def test_task_types_that_cannot(packages, source, cause):
    with pytest.raises(PluginError, match=cause):
        load(packages, plugins.TASK_TYPES, source)


GOOD_LIMIT = """\
class part:
    def __init__(self, conf): ...
    def allows(self, plan, running, candidate): ...
    def group(self, plan, candidate): ...
"""


def test_a_limit_may_group_or_not(packages):
    assert load(packages, plugins.LIMITS, GOOD_LIMIT).name == "part"


@pytest.mark.parametrize(
    ("wrong", "right", "cause"),
    [
        ("(self, plan, running)", "(self, plan, running, candidate)", "too many positional"),
        ("admits", "allows", "has none"),
        ("(self, candidate)", "(self, plan, candidate)", "too many positional"),
        ("(self)", "(self, conf)", "too many positional"),
    ],
)
def test_limits_of_another_shape_are_refused(packages, wrong, right, cause):
    with pytest.raises(PluginError, match=cause):
        load(packages, plugins.LIMITS, GOOD_LIMIT.replace(right, wrong))


@pytest.mark.parametrize("capabilities", ["{'telepathy'}", "['ordered']", "'ordered'"])
def test_capabilities_are_those_that_there_are(packages, capabilities):
    source = (
        "class part:\n    def Executor(worker, address): ...\n    def Client(address): ...\n"
        f"    capabilities = {capabilities}\n"
    )
    with pytest.raises(PluginError, match="capabilities must be a set of names out of ordered"):
        load(packages, plugins.EXECUTORS, source)
