"""The JSON Schema, which editors load, and the checker say the same."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from solar_orch.errors import PlanError
from solar_orch.plan import schema
from solar_orch.plan.parse import parse

_PLANS = sorted(Path(__file__).parents[3].joinpath("docs", "examples", "plans").glob("*.yaml"))
_VALIDATOR = jsonschema.Draft202012Validator(schema.of_plan())

FULL: dict[str, Any] = {
    "name": "full",
    "uid": "full:1",
    "env": {"A": "${X} ${env.Y}"},
    "cwd": "/tmp",
    "vars": {"X": "x", "N": 3, "B": True},
    "tasks": [
        {"uid": "a", "parameters": {"type": "noop"}, "before": ["b"]},
        {
            "uid": "b",
            "parameters": {
                "type": "cmd",
                "args": ["echo ${X}"],
                "kwargs": {"env": {"A": "b"}},
                "target": "web1",
                "timelimit": 30,
                "timeout": 90.5,
                "retry": 2,
                "retry_delay": 0,
                "retry_delay_max": 2**40,
                "on_lost": "error",
                "on_error": "ignore",
                "when": "${tasks.a.result} == 'x'",
                "type_limit": 1,
                "resource_type": "download",
                "weight": -1.5,
                "status": "SKIPPED",
            },
        },
        {"uid": "c", "parameters": {"type": "fault_tolerance", "args": [50]}, "after": ["a", "b"]},
    ],
}


def schema_takes(document: Any) -> bool:
    return bool(_VALIDATOR.is_valid(document))


def checker_takes(document: Any) -> bool:
    try:
        parse(json.dumps(document))
    except PlanError:
        return False
    return True


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(schema.of_plan())


@pytest.mark.parametrize("path", _PLANS, ids=lambda path: path.name)
def test_the_examples_are_valid_by_both(path: Path):
    _VALIDATOR.validate(yaml.safe_load(path.read_text()))
    parse(path.read_text())


def test_the_full_plan_is_valid_by_both_and_has_every_key():
    assert schema_takes(FULL)
    assert checker_takes(FULL)
    for node, example in (
        (schema.of_plan(), FULL),
        (schema.of_parameters(), FULL["tasks"][1]["parameters"]),
    ):
        assert set(node["properties"]) == set(example)


def test_every_key_says_what_it_is():
    for node in (schema.of_plan(), schema.of_task(), schema.of_parameters()):
        described = {
            key for key, of in schema.properties(node).items() if "description" in of or key == "parameters"
        }
        assert described == set(node["properties"])


#: Where a value stands that the schema says something of.
_PLACES: list[tuple[str | int, ...]] = [
    (),
    *((key,) for key in FULL),
    ("env", "A"),
    ("vars", "X"),
    ("tasks", 0),
    *(("tasks", 1, key) for key in ("uid", "parameters", "after", "before")),
    ("tasks", 0, "before", 0),
    *(("tasks", 1, "parameters", key) for key in FULL["tasks"][1]["parameters"]),
    ("tasks", 2, "parameters", "type"),
    ("tasks", 2, "parameters", "args"),
    ("tasks", 2, "parameters", "args", 0),
    ("tasks", 2, "parameters", "kwargs"),
]
_WRONG = st.sampled_from(
    [None, True, "", "x", "a b", "\0", "a\nb", "x" * 201, "last", "kill", "cmd", "PENDING", "rerun", "1a", -1, 0,
     0.5, 1, 2.0, 60, 101, 2**31, [], [1], [[]], ["b"], {}, {"self": 1}, {"1a": "x"}, {"A": 1}, {"A": "x"}]
)  # fmt: skip


def put(document: Any, place: tuple[str | int, ...], value: Any) -> Any:
    """A copy with another value there."""
    if not place:
        return value
    changed = copy.deepcopy(document)
    node = changed
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = value
    return changed


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(_PLACES), _WRONG)
def test_what_the_schema_refuses_the_checker_refuses(place: tuple[str | int, ...], value: Any):
    document = put(FULL, place, value)
    if not schema_takes(document):
        assert not checker_takes(document)


#: Keys whose values are wrong only by what the schema knows: not by what other values are.
_ALONE = [
    place
    for place in _PLACES
    if place
    and place[-1]
    not in (
        "vars",
        "tasks",
        0,
        "uid",
        "before",
        "after",
        "parameters",
        "type",
        "when",
        "retry_delay_max",
        "X",
    )
]


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(_ALONE), _WRONG)
def test_what_the_schema_takes_the_checker_takes(place: tuple[str | int, ...], value: Any):
    document = put(FULL, place, value)
    assert schema_takes(document) == checker_takes(document)


@pytest.mark.parametrize(
    "place", [("no",), ("tasks", 0, "no"), ("tasks", 0, "parameters", "no")], ids=lambda place: place[-2:]
)
def test_unknown_keys_are_refused_by_both(place: tuple[str | int, ...]):
    document = put(FULL, place, 1)
    assert not schema_takes(document)
    assert not checker_takes(document)


@pytest.mark.parametrize(
    "place", [("name",), ("tasks",), ("tasks", 0, "uid"), ("tasks", 0, "parameters", "type")]
)
def test_missing_keys_are_refused_by_both(place: tuple[str | int, ...]):
    document = copy.deepcopy(FULL)
    node = document
    for step in place[:-1]:
        node = node[step]  # type: ignore[index]
    del node[place[-1]]  # type: ignore[arg-type]
    assert not schema_takes(document)
    assert not checker_takes(document)
