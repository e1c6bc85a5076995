from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solar_orch.plan.timeline import Attempt, Axis, Change, Ran, as_dict, attempts, elapsed
from solar_orch.states import State

P, R = State.PENDING, State.INPROGRESS


def test_each_dispatch_is_an_attempt_with_what_became_of_it():
    changes = [
        Change(0, 1, P, R, 10.0),
        Change(1, 1, P, R, 11.0),
        Change(0, 1, R, State.ERROR_RETRY, 12.0),
        Change(0, 2, State.ERROR_RETRY, R, 13.0),
        Change(0, 2, R, State.SUCCESS, 15.0),
        Change(2, 0, P, State.NOOP, 15.5),
    ]
    tasks = {0: Ran("a", "web1", 2, 13.5), 1: Ran("b", None, 1, 11.2), 2: Ran("c", None, 0, None)}
    assert list(map(as_dict, attempts(changes, tasks))) == [
        # When an earlier attempt was claimed is not kept.
        {"task": "a", "attempt": 1, "target": "web1", "dispatched": 10.0, "start": 10.0, "end": 12.0, "state": "ERROR_RETRY"},
        {"task": "b", "attempt": 1, "target": None, "dispatched": 11.0, "start": 11.2, "end": None, "state": "INPROGRESS"},
        {"task": "a", "attempt": 2, "target": "web1", "dispatched": 13.0, "start": 13.5, "end": 15.0, "state": "SUCCESS"},
    ]  # fmt: skip


@pytest.mark.parametrize("ended", [None, State.SKIPPED])
def test_what_was_not_claimed_has_no_start(ended):
    changes = [Change(0, 1, P, R, 10.0)] + ([Change(0, 1, R, ended, 12.0)] if ended else [])
    [attempt] = attempts(changes, {0: Ran("a", None, 1, None)})
    assert (attempt.start, attempt.seconds(20.0)) == (None, 0.0)
    assert attempt.span(20.0) == (10.0, 12.0 if ended else 20.0)


def test_the_time_of_what_runs_goes_on():
    attempt = Attempt(0, "a", None, 1, 10.0, 11.0, None, R)
    assert attempt.seconds(14.0) == 3.0
    assert attempt.span(14.0) == (10.0, 14.0)


spans = st.lists(
    st.tuples(st.floats(0, 1e6), st.floats(0, 1e4)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=8
)


@given(spans, st.lists(st.floats(-10, 1.1e6), max_size=5))
def test_an_axis_keeps_the_order_of_times_and_its_length(spans, times):
    axis = Axis(spans, 100, 3)
    places = [axis.at(time) for time in sorted([*times, *(time for span in spans for time in span)])]
    assert places == sorted(places)
    assert all(0 <= place <= 100 + 1e-6 for place in places)
    if spans:
        assert axis.first == min(start for start, _ in spans)


@given(spans)
def test_marks_stand_apart(spans):
    places = [place for place, _ in Axis(spans, 100, 3).ticks(10)]
    assert all(right - left >= 10 - 1e-6 for left, right in pairwise(places))
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in places)


def test_a_long_time_in_which_nothing_ran_is_cut_out():
    day = 86_400.0
    axis = Axis([(0, 10), (4, 20), (22, 30), (day, day + 10)], 103, 3)
    assert axis.spans == [(0, 30), (day, day + 10)]
    assert [axis.at(time) for time in (0, 30, day / 2, day, day + 10)] == [0, 75, 75, 78, 103]
    assert axis.cuts() == [76.5]
    # The time behind the cut is told, and not one just before it.
    assert axis.ticks(20) == [(0.0, "0"), (25.0, "10s"), (50.0, "20s"), (78.0, "24h"), (103.0, "24h")]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0"), (0.25, "0.25s"), (30, "30s"), (90, "1m30s"), (120, "2m"), (3600, "1h"), (7500, "2h05m"), (180_000, "2d02h")],
)  # fmt: skip
def test_elapsed(seconds, text):
    assert elapsed(seconds) == text
