"""Secrets of which an output holds a part only: it is still being written, or was cut."""

from __future__ import annotations

import pytest

from solar_orch.errors import CommandFailed
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


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("hunter2\n", "hunter2"),
        ("-----BEGIN\nAAAA1111\nBBBB2222\n", "BBBB2222"),
        ('a"b\\c\n', repr(['a"b\\c\n'])[2:-2]),
    ],
)
def test_one_is_masked_also_where_it_is_shown_otherwise(
    monkeypatch: pytest.MonkeyPatch, value: str, said: str
):
    monkeypatch.setenv("TOKEN", value)
    assert Secrets({"secrets": ["TOKEN"]}).mask(f"it is {said}.") == "it is ***."


def test_an_error_that_was_cut_within_one_does_not_show_the_rest(secrets: Secrets):
    masked = secrets.mask_error(CommandFailed(3, "abd and more", is_cut=True))
    assert str(masked) == "exit code 3: and more"
    whole = CommandFailed(3, "abd and more")
    assert secrets.mask_error(whole) is whole
