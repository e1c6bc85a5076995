from __future__ import annotations

from xml.etree import ElementTree

import pytest
from drawings import texts
from hypothesis import given
from hypothesis import strategies as st

from solar_orch.pictures import svg
from solar_orch.pictures.looks import LOOKS
from solar_orch.states import State


@given(st.text())
def test_any_text_can_be_written(text: str) -> None:
    document = svg.document(10, 10, [svg.element("g", svg.title([text]) + svg.text(0.0, 0.0, 9, text))])
    [written] = texts(document)
    assert written.replace("\ufffd", "?") == "".join(
        c if c.isprintable() else " " if c.isspace() else "?" for c in text
    ).replace("\ufffd", "?")


@given(st.text(), st.integers(0, 12))
def test_what_is_cut_fits(text: str, most: int) -> None:
    short = svg.cut(text, most)
    assert svg.cells(short) <= most


@pytest.mark.parametrize(
    ("text", "most", "short"),
    [
        ("web1.restart", 12, "web1.restart"),
        ("web1.restart", 11, "web1.…start"),
        ("web1.restart", 2, "w…"),
        ("web1.restart", 1, "…"),
        ("web1.restart", 0, ""),
        ("日本語の名前", 12, "日本語の名前"),
        ("日本語の名前", 7, "日本…前"),
    ],
)
def test_the_beginning_and_the_end_are_kept(text: str, most: int, short: str) -> None:
    assert svg.cut(text, most) == short


def test_states_are_told_apart_by_their_marks_alone() -> None:
    assert set(LOOKS) == set(State)
    assert len({look.mark for look in LOOKS.values()}) == len(State)


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("state", State)
def test_marks_and_texts_stand_out(state: State) -> None:
    def contrast(one: str, other: str) -> float:
        dark, light = sorted((_luminance(one), _luminance(other)))
        return (light + 0.05) / (dark + 0.05)

    look = LOOKS[state]
    assert contrast(look.strong, "#ffffff") >= 4.5
    assert contrast(look.strong, look.pale) >= 4.5
    assert contrast(svg.INK, look.pale) >= 7
    assert contrast(svg.DIM, look.pale) >= 4.5


def test_the_legend_tells_the_states_that_there_are() -> None:
    document = svg.document(500, 80, [svg.head("plan:1", "a line", {State.SUCCESS: 3, State.ERROR: 1})])
    assert texts(document) == ["plan:1", "a line", "3 SUCCESS", "1 ERROR"]
    paths = [
        path.get("d") for path in ElementTree.fromstring(document).iter("{http://www.w3.org/2000/svg}path")
    ]
    assert paths == [LOOKS[State.SUCCESS].mark, LOOKS[State.ERROR].mark]
