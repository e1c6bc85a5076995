from __future__ import annotations

from itertools import pairwise

import pytest
from drawings import texts, told
from hypothesis import given, settings
from hypothesis import strategies as st

from solar_orch.errors import PictureError
from solar_orch.pictures.gantt import MOST_ATTEMPTS, gantt
from solar_orch.pictures.lanes import Lane, lanes_of_targets, lanes_of_tasks
from solar_orch.plan.timeline import Attempt, Axis
from solar_orch.states import State

NOW = 2000.0
ENDS = [State.SUCCESS, State.ERROR, State.ERROR_RETRY, State.PENDING, State.SKIPPED]


@st.composite
def histories(draw: st.DrawFn) -> list[Attempt]:
    """Attempts at some tasks, each of which began after the one before it had ended."""
    found = []
    for position in range(draw(st.integers(0, 8))):
        at = 1000.0
        number = draw(st.integers(1, 3))
        target = draw(st.sampled_from([None, "web1", "web2"]))
        for attempt in range(1, number + 1):
            at += draw(st.floats(0, 50))
            start = draw(st.sampled_from([at, at + 0.5, None]))
            end = at + 0.5 + draw(st.floats(0, 50))
            state = draw(st.sampled_from(ENDS))
            if attempt == number and draw(st.booleans()):
                end, state = None, State.INPROGRESS
            found.append(Attempt(position, f"task<{position}>", target, attempt, at, start, end, state))
            at = end or at
    return sorted(found, key=lambda one: (one.begin, one.position, one.attempt))


@pytest.mark.parametrize("make", [lanes_of_tasks, lanes_of_targets])
@settings(max_examples=40)
@given(history=histories(), length=st.sampled_from([60.0, 1000.0]))
def test_each_attempt_has_a_bar_and_bars_do_not_overlap(make, history: list[Attempt], length: float) -> None:
    lanes: list[Lane] = make(history, Axis((one.span(NOW) for one in history), length, 20.0), NOW)
    bars = [bar for lane in lanes for bar in lane.bars]
    assert {id(bar.attempt) for bar in bars} == {id(attempt) for attempt in history}
    assert len(bars) == len(history)
    for lane in lanes:
        for bar, following in pairwise(lane.bars):
            assert bar.end < following.waiting
        for bar in lane.bars:
            assert 0 <= bar.waiting <= bar.start < bar.end


def test_a_row_is_used_again_when_it_is_free_and_targets_have_their_own() -> None:
    def attempt(position: int, target: str, start: float, end: float) -> Attempt:
        return Attempt(position, str(position), target, 1, start, start, end, State.SUCCESS)

    history = [
        attempt(0, "web10", 0, 10),
        attempt(1, "web2", 0, 10),
        attempt(2, "web2", 5, 20),
        attempt(3, "web2", 12, 20),
    ]
    lanes = lanes_of_targets(history, Axis((one.span(NOW) for one in history), 1000.0, 20.0), NOW)
    rows = [(lane.label, lane.begins, [bar.attempt.position for bar in lane.bars]) for lane in lanes]
    assert rows == [("web2", True, [1, 3]), ("web2", False, [2]), ("web10", True, [0])]


@settings(max_examples=40)
@given(histories())
def test_each_attempt_is_told_once(history: list[Attempt]) -> None:
    document = gantt("plan:<1>", "failed", history, NOW)
    assert told(document) == [one.task for one in sorted(history, key=lambda one: _first(history, one))]
    assert texts(document)[0] == "plan:<1>: failed"


def _first(history: list[Attempt], attempt: Attempt) -> tuple[int, int]:
    """The row of its task, and its place there."""
    rows = list(dict.fromkeys(one.position for one in history))
    return rows.index(attempt.position), history.index(attempt)


def test_many_tasks_share_the_rows_of_their_targets() -> None:
    history = [
        Attempt(n, f"task{n}", f"host{n % 20}", 1, n / 10, n / 10, n / 10 + 1, State.SUCCESS)
        for n in range(1000)
    ]
    document = gantt("plan:1", "finished", history, NOW)
    assert sorted(told(document)) == sorted(one.task for one in history)
    assert [text for text in texts(document) if text.startswith("host")] == [f"host{n}" for n in range(20)]


def test_more_attempts_than_one_could_read_are_refused() -> None:
    one = Attempt(0, "task", None, 1, 0.0, 0.0, 1.0, State.SUCCESS)
    with pytest.raises(PictureError, match=f"{MOST_ATTEMPTS + 1} attempts.*without -o"):
        gantt("plan:1", "finished", [one] * (MOST_ATTEMPTS + 1), NOW)
