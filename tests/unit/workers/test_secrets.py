"""Secrets of which an output holds a part only: it is still being written, or was cut."""

from __future__ import annotations

import pytest

from solar_orch.workers.output import BoundedOutput
from solar_orch.workers.secrets import Secrets


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Secrets:
    monkeypatch.setenv("TOKEN", "abcabd")
    monkeypatch.setenv("KEY", "xyz")
    monkeypatch.setenv("NONE", "")
    return Secrets({"secrets": ["TOKEN", "KEY", "NONE"]})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain", "plain"),
        ("it is abcab", "it is "),
        ("it is a", "it is "),
        ("it is xy", "it is "),
        ("abca and then", "abca and then"),
        ("abc", ""),
        # Whole ones are masked by others.
        ("xyz", "xyz"),
    ],
)
def test_what_may_be_the_beginning_of_one_is_held_back(secrets: Secrets, text: str, shown: str):
    assert secrets.without_begun(text) == shown


@pytest.mark.parametrize("before", range(12))
def test_no_part_of_one_shows_where_an_output_was_cut(secrets: Secrets, before: int):
    output = BoundedOutput(20)
    output.write(b"-" * before + b"abcabd" + b"=" * 30 + b"abcabd" + b"-" * before)
    shown = secrets.mask_output(output)
    assert " bytes omitted ..." in shown
    assert not set("abcd") & set(shown.replace(" bytes omitted ...", ""))


def test_an_output_that_was_not_cut_is_masked_only(secrets: Secrets):
    output = BoundedOutput(100)
    output.write(b"d, abcabd, and abc")
    assert secrets.mask_output(output) == "d, ***, and abc"
