"""Conditions: comparisons, and, or, not; and nothing that could do harm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solar_orch.plan import condition
from solar_orch.plan.condition import ConditionError, holds, parse
from solar_orch.plan.templates import KEEP, Result


def decided(text: str, **results: Any) -> bool:
    def value_of(reference: Any) -> Any:
        assert isinstance(reference, Result)
        return reference.of(results)

    return holds(parse(text), value_of)


@pytest.mark.parametrize(
    "text",
    [
        "true",
        "'a' == \"a\"",
        "'a' != 'b'",
        "1 < 2 and 2 <= 2 and 3 > 2 and 2 >= 2",
        "not false",
        "not not true",
        "false or true and true",
        "true or false and false",
        "not false and true",
        "(false or true) and not (true and false)",
        "'10' > 9",
        "'10' < '9'",
        "1 == 1.0",
        "1 != true",
        "null == null",
        "'$${X}' == \"$${X}\"",
        "('a' == 'a') == true",
    ],
)
def test_what_holds(text: str):
    assert decided(text)
    assert not decided(f"not ({text})")


def test_results():
    assert decided("${tasks.a.result} == 'x'", a="x")
    assert decided("${tasks['a.b'].result.n[0]} > 4", **{"a.b": {"n": ["5"]}})
    assert decided("${tasks.a.result}", a=True)
    assert decided("${tasks.none.result} == null")


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 1),
        ("1 ==", 5),
        ("1 = 1", 3),
        ("a == 1", 1),
        ("1 == 1 or", 10),
        ("(1 == 1", 8),
        ("1 == 1)", 7),
        ("1 < 2 < 3", 7),
        ("not", 4),
        ("'open", 1),
        ("__import__('os')", 1),
        ("len('x') == 1", 1),
        ("1 + 1 == 2", 3),
        ("${tasks.a} == 1", 1),
        ("1 == '${tasks.a.result}'", 6),
        ("true and true;", 14),
    ],
)
def test_what_is_no_condition_is_told_with_its_column(text: str, column: int):
    with pytest.raises(ConditionError) as caught:
        parse(text)
    assert caught.value.column == column


@pytest.mark.parametrize(
    "text", ["1 < 'a'", "null < 1", "true < false", "'text'", "5", "not 'x'", "1 < true"]
)
def test_what_cannot_be_decided(text: str):
    with pytest.raises(ConditionError) as caught:
        decided(text)
    assert caught.value.column == 0


def test_depth_is_bounded():
    parse("(" * condition.MAX_DEPTH + "true" + ")" * condition.MAX_DEPTH)
    for text in ("(" * 100_000, "not " * 100_000):
        with pytest.raises(ConditionError, match="within each other"):
            parse(text)


@settings(deadline=None)
@given(st.text("()!<>=' \"\\${}.tasksandornt01", max_size=30) | st.text(max_size=10))
def test_any_text_is_a_condition_or_an_error(text: str):
    try:
        parse(text)
    except ConditionError as error:
        assert 1 <= error.column <= len(text) + 1


_SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text()


@given(_SCALARS)
def test_a_constant_is_written_so_that_it_is_read_as_itself(value: Any):
    def lookup(reference: Any) -> Any:
        return KEEP if isinstance(reference, Result) else value

    text = condition.with_constants("${X} == ${tasks.a.result}", lookup)
    assert text.endswith(" == ${tasks.a.result}")
    assert decided(text, a=value)
    assert decided(text.replace("==", "!="), a=json.dumps([value, 1]))
