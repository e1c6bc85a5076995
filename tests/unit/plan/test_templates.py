"""References in texts are found, filled in, and left alone where they are literal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solar_orch.plan import templates
from solar_orch.plan.templates import KEEP, Result, Secret, TemplateError, Variable, fill, pieces


def filled(text: Any, values: dict[str, Any], *, last: bool = True) -> Any:
    """With the values by what the references are written like; others are left."""
    return fill(text, lambda reference: values.get(reference.text, KEEP), last=last)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("${NAME}", Variable("NAME", "${NAME}")),
        ("${env.A_1}", Secret("A_1", "${env.A_1}")),
        ("${tasks.a-b.result}", Result("a-b", (), "${tasks.a-b.result}")),
        ("${tasks['a.b'].result}", Result("a.b", (), "${tasks['a.b'].result}")),
        ('${tasks["it\'s"].result}', Result("it's", (), '${tasks["it\'s"].result}')),
        ("${tasks.a.result.k[0]['x y']}", Result("a", ("k", 0, "x y"), "${tasks.a.result.k[0]['x y']}")),
    ],
)
def test_references(text: str, found: templates.Reference):
    assert pieces(text) == [found]
    assert pieces(f"a {text} b") == ["a ", found, " b"]


@pytest.mark.parametrize("text", ["$X", "$$", "$(date)", "a $ b", "{X}", "", "$ {X}", "}"])
def test_what_a_shell_knows_and_is_no_reference_stays(text: str):
    assert pieces(text) == [text]
    assert filled(text, {}) == text


@pytest.mark.parametrize(
    ("text", "meant"), [("$${X}", "${X}"), ("$${", "${"), ("$$${", "$${"), ("${'$'}", "$")]
)
def test_literals(text: str, meant: str):
    assert filled(text, {}) == meant


def test_a_dollar_before_a_reference():
    assert filled("${'$'}${A}", {"${A}": "x"}) == "$x"


@pytest.mark.parametrize(
    "text", ["${", "${}", "${1}", "${a b}", "${tasks.a}", "${env.}", "${X:-1}", "a ${é}"]
)
def test_what_is_none_of_them_is_told_with_its_place(text: str):
    with pytest.raises(
        TemplateError, match=r"is not one of .*; to have it left as it is, write \$\$"
    ) as caught:
        pieces(text)
    assert caught.value.at == text.index("$")


def test_a_reference_alone_is_the_value_and_a_part_is_text():
    values = {"${A}": 5, "${B}": None, "${C}": [1, "x"], "${D}": "d"}
    assert filled(["${A}", {"${A}": "${C}"}], values) == [5, {"${A}": [1, "x"]}]
    assert filled("<${A}|${B}|${C}|${D}>", values) == '<5||[1, "x"]|d>'


def test_parts_of_results():
    [result] = pieces("${tasks.a.result.k[1]}")
    assert isinstance(result, Result)
    assert result.of({"a": {"k": [0, "x"]}}) == "x"
    for results in ({}, {"a": None}, {"a": {"k": [0]}}, {"a": [1]}, {"a": "text"}):
        assert result.of(results) is None


_TEXTS = st.text("${}'a A.env") | st.text(max_size=5)


@given(_TEXTS)
def test_what_is_escaped_stands_for_itself(text: str):
    assert filled(templates.escaped(text), {}) == text


@given(
    st.lists(st.sampled_from(["${A}", "${B}", "${'$'}", "$${", "$", "{", "}", "x"]), max_size=6),
    _TEXTS,
    _TEXTS,
)
def test_filled_in_two_steps_is_filled_at_once(parts: list[str], first: str, second: str):
    text = "".join(parts)
    try:
        pieces(text)
    except TemplateError:
        return
    at_once = filled(text, {"${A}": first, "${B}": second})
    half = filled(text, {"${A}": first}, last=False)
    assert filled(half, {"${B}": second}) == at_once


def test_a_value_before_another_one_is_a_part_of_its_word():
    filling = templates.fill(
        "echo ${A}#${B}", lambda reference: "it's", last=True, insert=templates.inserted_in_shell
    )
    assert filling == "echo 'it'\"'\"'s'#'it'\"'\"'s'"
