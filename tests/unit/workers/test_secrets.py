"""Secrets at the end of an output that is still being written."""

from __future__ import annotations

import pytest

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
