"""Text to plain values: what is refused, where, and that no text whatever gets past it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from solar_orch.plan import reader

LOADERS = [yaml.SafeLoader] + ([yaml.CSafeLoader] if yaml.__with_libyaml__ else [])


@pytest.fixture(params=LOADERS, ids=lambda loader: loader.__name__)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(reader, "LOADER", request.param)
    yield


def mistakes_of(text: str | bytes) -> list[tuple[int, int, str]]:
    return [(m.line, m.column, m.message) for m in reader.read(text).mistakes]


def the_mistake(text: str | bytes) -> tuple[int, int, str]:
    [mistake] = mistakes_of(text)
    return mistake


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1", {"a": 1}),
        ("a: [x, '1', 1.5, true, null, ~, {b: c}]", {"a": ["x", "1", 1.5, True, None, None, {"b": "c"}]}),
        ("a: |\n  one\n  two\n", {"a": "one\ntwo\n"}),
        ("a: =\nb: ['<<', <<]", {"a": "=", "b": ["<<", "<<"]}),
        ("a: !!str 5\nb: !!int '7'\nc: !!seq [1]\nd: ! 1", {"a": "5", "b": 7, "c": [1], "d": "1"}),
        ("a: &unused 1", {"a": 1}),
        ("\ufeffa: 1", {"a": 1}),
        ("%YAML 1.1\n---\na: 1\n...\n", {"a": 1}),
        ("a: 0\nb: 0x10\nc: -0.5\nd: 08", {"a": 0, "b": 16, "c": -0.5, "d": "08"}),
        ("'': 1", {"": 1}),
        ("a: -9223372036854775808\nb: 18446744073709551615", {"a": -(2**63), "b": 2**64 - 1}),
    ],
)
def test_values(loader: None, text: str, value: Any) -> None:
    document = reader.read(text)
    assert document.mistakes == []
    assert document.whole
    assert document.value == value
    assert reader.read(text.encode()).value == value


@pytest.mark.parametrize(
    ("text", "line", "column", "part"),
    [
        ("a: &x 1\nb: *x", 2, 4, "aliases (*x)"),
        ("a: *never", 1, 4, "aliases (*never)"),
        ("a: 1\n*x : 1", 2, 1, "aliases (*x)"),
        ("a:\n  <<: {b: 1}", 2, 3, "merge keys"),
        ("a: !!python/object/apply:os.system ['true']", 1, 4, "'!!python/object/apply:os.system'"),
        ("a: !mine {b: 1}", 1, 4, "the tag '!mine'"),
        ("a: !mine 1", 1, 4, "the tag '!mine'"),
        ("a: !!set {b, c}", 1, 4, "'!!set'"),
        ("a: !!binary aGk=", 1, 4, "'!!binary'"),
        ("a: !!map [1]", 1, 4, "'!!map'"),
        ("a: 1\nb: 2\na: 3", 3, 1, "duplicate key 'a'"),
        ("a: 1\n'a': 3", 2, 1, "duplicate key 'a'"),
        ("a: 1\n2: 3", 2, 1, "'2' is not one unless it is quoted"),
        ("yes: 1", 1, 1, "'yes' is not one unless it is quoted"),
        ("? [a, b]\n: 1", 1, 3, "not a list"),
        ("a: 2024-01-31", 1, 4, "2024-01-31 is a date"),
        ("a: 12:30", 1, 4, "12:30 is a number to the base of 60"),
        ("a: 0755", 1, 4, "'0755' is octal"),
        ("a: [1, .nan]", 1, 8, "'.nan' is not a finite number"),
        ("a: -.inf", 1, 4, "not a finite number"),
        ("a: 18446744073709551616", 1, 4, "does not fit in 64 bits"),
        ("a: -9223372036854775809", 1, 4, "does not fit in 64 bits"),
        ("a: " + "9" * 5000, 1, 4, "cannot be read as int"),
        ("a: 0x_", 1, 4, "cannot be read as int"),
        ("a: !!int x", 1, 4, "cannot be read as int"),
        ("a: !!bool ''", 1, 4, "cannot be read as bool"),
        ("a: 1\n---\nb: 1", 2, 1, "second document"),
        ("", 1, 1, "empty"),
        ("# only a comment\n", 1, 1, "empty"),
        ("a: 1\nb: [1 }", 2, 7, "not valid YAML"),
        ("a:\n\tb: 1", 2, 1, "not with tabs"),
        ("a: b: c", 1, 5, "not valid YAML"),
        ("a: 1\nb: \x07", 2, 4, "'\\x07' cannot stand"),
        ("a: \ud800", 1, 4, "half of a character"),
        (b"a: 1\nb: \xe4", 2, 4, "not UTF-8 (byte 0xe4)"),
        ("a: 1".encode("utf-16"), 1, 1, "not UTF-8"),
        ("a: " + "[" * 21 + "]" * 21, 1, 23, "deeper than 20"),
    ],
)
def test_what_is_refused(loader: None, text: str | bytes, line: int, column: int, part: str) -> None:
    found = the_mistake(text)
    assert found[:2] == (line, column)
    assert part in found[2]


def test_reading_goes_on_behind_a_mistake(loader: None) -> None:
    text = "a: *x\nb: 2024-01-01\nb: 1\nc: {1: 2}\nd: !x [*y]\ne: 1\n"
    document = reader.read(text)
    assert [m.line for m in document.mistakes] == [1, 2, 3, 4, 5]
    assert document.whole
    assert document.value == {"a": reader.BROKEN, "b": reader.BROKEN, "c": {}, "d": reader.BROKEN, "e": 1}


def test_nesting_up_to_the_bound(loader: None) -> None:
    def text(depth: int) -> str:
        return "[" * depth + "]" * depth

    assert reader.read(text(reader.MAX_DEPTH)).mistakes == []
    assert "deeper" in the_mistake(text(reader.MAX_DEPTH + 1))[2]
    # A little beyond, what stands behind is still read.
    beyond = reader.read("a: " + text(40) + "\nb: *x\n")
    assert [m.line for m in beyond.mistakes] == [1, 2]


@pytest.mark.parametrize("opening", ["[", "{a: ", '{"a":', "- ", "? "])
def test_absurd_nesting_is_refused_without_harm(loader: None, opening: str) -> None:
    document = reader.read(opening * 200_000)
    assert not document.whole
    assert "deeper" in document.mistakes[0].message or "a key must be" in document.mistakes[0].message


def test_billion_laughs() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40)]
    document = reader.read("\n".join(lines))
    assert len(document.mistakes) == 78
    assert all("aliases" in m.message for m in document.mistakes)


def test_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_BYTES", 10)
    assert reader.read("a: 3456789").mistakes == []
    assert "larger" in the_mistake("a: 34567890")[2]
    assert "larger" in the_mistake(b"a: 34567890")[2]
    assert "larger" in the_mistake("a: äääääää")[2]


def test_mistakes_are_bounded_but_counted() -> None:
    document = reader.read("\n".join(f"k{i}: *x" for i in range(1500)))
    assert len(document.mistakes) + document.untold == 1500
    assert document.untold == 500


def test_a_duplicate_names_the_line_of_the_first_when_places_are_asked_for() -> None:
    [mistake] = reader.read("a: 1\nb: 2\na: 3", reader.Wanted()).mistakes
    assert (mistake.line, mistake.message) == (3, "duplicate key 'a'; it stands in line 1 already")


# -- JSON ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a":\t1,\n\t"b": [1e3, -0]}', {"a": 1, "b": [1000.0, 0]}),
        ('{"a": "\\ud83d\\ude00\\/"}', {"a": "😀/"}),
        ('{"a": "\x7f"}', {"a": "\x7f"}),
        ("{}", {}),
        ("{a: 1, # no JSON\n b: 2}", {"a": 1, "b": 2}),
    ],
)
def test_json_is_read_as_json(text: str, value: Any) -> None:
    document = reader.read(text)
    assert document.mistakes == []
    assert document.value == value


@pytest.mark.parametrize(
    ("text", "line", "column", "part"),
    [
        ('{"a": 1,\n\t"a": 2}', 2, 2, "duplicate key 'a'"),
        ('{"a": NaN}', 1, 7, "not a finite"),
        ('{"a": [1,\n-Infinity]}', 2, 1, "not a finite"),
        ('{"a": 1e999}', 1, 7, "not a finite"),
        ('{"a": 18446744073709551616}', 1, 7, "64 bits"),
        ('{"a": %s}' % ("9" * 5000), 1, 7, "cannot be read as int"),
        ('{"a": "\\ud800"}', 1, 7, "half of a character"),
        ('{"a": %s}' % ("[" * 20 + "]" * 20), 1, 26, "deeper than 20"),
        ('{"a": 1\n', 2, 1, "not valid YAML"),
    ],
)
def test_what_is_refused_in_json(text: str, line: int, column: int, part: str) -> None:
    found = the_mistake(text)
    assert found[:2] == (line, column)
    assert part in found[2]


# -- places --------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nlist:\n- x\n- {b: 'y',\n   c: z}\n",
        '{"a": 1,\n"list": [\n"x", {"b": "y:, ]", \n"c":"z"}]}\n',
    ],
)
def test_places(loader: None, text: str) -> None:
    wanted = reader.Wanted()
    wanted.at(("a",))
    for path in (("list", 0), ("list", 1, "c"), ("list", 7)):
        wanted.at(path)
    document = reader.read(text, wanted)
    assert document.value["list"][1]["c"] == "z"
    lines = text.split("\n")

    def at(place: tuple[int, int] | None) -> str:
        assert place is not None
        return lines[place[0] - 1][place[1] - 1 :].strip('"')

    assert at(wanted.at(("a",)).value_at).startswith("1")
    assert at(wanted.at(("a",)).key_at).startswith("a")
    assert at(wanted.at(("list", 0)).value_at).startswith("x")
    assert at(wanted.at(("list", 1)).value_at).startswith("{")
    assert at(wanted.at(("list", 1, "c")).key_at).startswith("c")
    assert at(wanted.at(("list", 1, "c")).value_at).startswith("z")
    assert wanted.at(("list", 7)).value_at is None


# -- anything at all -----------------------------------------------------------

_WORDS = r"""
    a : - [ ] { } , &a *a << ! !!int !x ' " | > % # ? 0x 1 _ . e \u \U d800 99999999 "\UFFFFFFFF" !%ff
    é 😀 2024-01-01 12:30 ~ = null true @ `
""".split()  # noqa: SIM905
_BREAKS = [" ", "\n", "\n  ", "- ", ": ", "---\n", "...\n", "\t", "\x85", "\u2028", "\ufeff"]
_DIRECTIVES = ["%YAML 1.1\n", "%TAG ! !\n", "%YAML 9" + "9" * 5000 + ".1\n"]
_FRAGMENTS = st.lists(st.sampled_from(_WORDS + _BREAKS + _DIRECTIVES), max_size=40).map("".join)


def _is_carried(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_carried(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_carried, value))
    if isinstance(value, str):
        return value.encode() is not None
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool) or (isinstance(value, int) and -(2**63) <= value < 2**64)


@pytest.mark.parametrize("loader_class", LOADERS, ids=lambda loader: loader.__name__)
@settings(max_examples=400, deadline=None)
@given(data=st.one_of(st.text(), st.binary(), _FRAGMENTS, _FRAGMENTS.map(lambda text: "{" + text)))
def test_any_text_gives_values_or_mistakes(loader_class: Any, data: str | bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "LOADER", loader_class)
        document = reader.read(data)
        again = reader.read(data, reader.Wanted())
    assert bool(document.mistakes) or (document.whole and _is_carried(document.value))
    assert [(m.line, m.column) for m in again.mistakes] == [(m.line, m.column) for m in document.mistakes]
    assert all(m.line >= 1 and m.column >= 1 for m in document.mistakes)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**65) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=200, deadline=None)
@given(value=st.dictionaries(st.text(), _JSON), indent=st.none() | st.integers(0, 2), escape=st.booleans())
def test_json_read_quickly_and_by_events_is_the_same(value: Any, indent: int | None, escape: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=escape)
    quick = reader.read(text)
    slow = reader.read(text, reader.Wanted())
    assert [m.line for m in quick.mistakes] == [m.line for m in slow.mistakes]
    if not quick.mistakes:
        assert quick.value == slow.value == value
