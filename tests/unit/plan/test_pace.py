"""Estimates of how long the rest of a plan takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solar_orch.plan.pace import Pace, said


def paced(*ends: float) -> Pace:
    """After one task has ended at each of these times."""
    pace = Pace()
    for at in ends:
        pace.note(1, at)
    return pace


def test_nothing_is_said_before_there_is_enough_to_go_by():
    assert Pace().left(10, 100.0) is None
    assert paced(0, 1, 2, 3, 4).left(10, 4.0) is None
    # Enough ends, but all within an instant.
    assert paced(0.0, 0.1, 0.2, 0.3, 0.4, 0.5).left(10, 0.6) is None


def test_what_is_left_takes_as_long_as_what_has_ended():
    pace = paced(0, 2, 4, 6, 8, 10)
    assert pace.left(5, 10.0) == pytest.approx(10.0)
    assert pace.left(0, 10.0) == 0.0
    # Nothing ends any more: it takes longer.
    assert pace.left(5, 20.0) == pytest.approx(20.0)


def test_many_that_end_at_once_count_as_many():
    pace = Pace()
    pace.note(1000, 0.0)
    pace.note(0, 1.0)
    pace.note(50, 5.0)
    pace.note(50, 10.0)
    assert pace.left(1000, 10.0) == pytest.approx(100.0)


def test_what_was_long_ago_is_forgotten():
    slow = [number * 60.0 for number in range(20)]
    fast = [1200.0 + number for number in range(120)]
    assert paced(*slow, *fast).left(60, 1319.0) == pytest.approx(60.0, rel=0.05)


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 100)), max_size=200), st.integers(0, 10**6))
def test_an_estimate_is_a_number_of_seconds_that_grows_with_what_is_left(
    steps: list[tuple[int, float]], remaining: int
):
    pace, now = Pace(), 0.0
    for ended, seconds in steps:
        now += seconds
        pace.note(ended, now)
    left = pace.left(remaining, now)
    if left is not None:
        assert 0 <= left < float("inf")
        more = pace.left(remaining + 1, now)
        assert more is not None
        assert more > left


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "a few seconds left"),
        (9.9, "a few seconds left"),
        (42, "about 40 s left"),
        (89, "about 90 s left"),
        (91, "about 2 min left"),
        (190, "about 3 min left"),
        (3580, "about 1 h left"),
        (7900, "about 2 h 10 min left"),
        (86400, "about 1 d left"),
        (100000, "about 1 d 4 h left"),
    ],
)
def test_it_is_said_in_words(seconds: float, text: str):
    assert said(seconds) == text


def test_it_is_said_that_it_may_be_less():
    assert said(190, at_most=True) == "at most about 3 min left"
