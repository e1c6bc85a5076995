"""Whether cycles are collected."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from solar_orch.collector import collect_from_now_on, collecting_nothing


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


def test_it_is_as_before_afterwards() -> None:
    gc.enable()
    with pytest.raises(ValueError, match="broken"), collecting_nothing():
        assert not gc.isenabled()
        raise ValueError("broken")
    assert gc.isenabled()
    gc.disable()
    with collecting_nothing():
        assert not gc.isenabled()
    assert not gc.isenabled()


def test_what_was_turned_off_is_turned_on() -> None:
    gc.disable()
    collect_from_now_on()
    assert gc.isenabled()
    assert gc.get_freeze_count()


def test_a_program_that_collects_is_left_alone() -> None:
    gc.enable()
    collect_from_now_on()
    assert gc.isenabled()
    assert not gc.get_freeze_count()
