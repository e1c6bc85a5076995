"""The report of a plan, as data and as text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solar_orch.plan import report
from solar_orch.plan.report import Outcome
from solar_orch.states import PlanStatus, State


def outcome(name: str = "a", status: State = State.SUCCESS, **fields: Any) -> Outcome:
    values = {
        "position": 0,
        "type": "cmd",
        "target": None,
        "errmsg": None,
        "attempt": 1,
        "start_time": None,
        "end_time": None,
        **fields,
    }
    return Outcome(name=name, status=status, **values)


# -- as data -----------------------------------------------------------------------

anything = st.none() | st.text()
times = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@given(
    name=st.text(min_size=1),
    status=st.sampled_from(State),
    attempt=st.integers(0, 2**63 - 1),
    type=st.text(min_size=1),
    target=anything,
    errmsg=anything,
    output=anything,
    start_time=times,
    end_time=times,
)
def test_a_task_that_is_written_directly_is_what_json_writes(**fields: Any) -> None:
    made = outcome(**fields)
    (task,) = report.as_dict("p:1", "p", PlanStatus.FAILED, [made])["tasks"]
    assert report.task_as_json(made) == json.dumps(task, allow_nan=False)


def test_the_report_has_every_member_that_is_documented() -> None:
    tasks = [
        outcome("a", start_time=10.0, end_time=12.5, output="hi\n", target="web1"),
        outcome("b", State.ERROR, start_time=11.0, end_time=14.0, errmsg="exit code 1", attempt=3),
        outcome("c", State.PENDING, attempt=0),
    ]
    given_back = json.loads(json.dumps(report.as_dict("p:1", "p", PlanStatus.FAILED, tasks)))
    assert given_back == {
        "uid": "p:1",
        "name": "p",
        "status": "failed",
        "counts": {
            "PENDING": 1,
            "INPROGRESS": 0,
            "SUCCESS": 1,
            "ERROR": 1,
            "ERROR_RETRY": 0,
            "SKIPPED": 0,
            "NOOP": 0,
        },
        "total_time": 4.0,
        "total_delta": 5.5,
        "tasks": [
            {
                "name": "a",
                "type": "cmd",
                "target": "web1",
                "status": "SUCCESS",
                "ignored": False,
                "errmsg": None,
                "attempt": 1,
                "start_time": 10.0,
                "end_time": 12.5,
                "output": "hi\n",
            },
            {
                "name": "b",
                "type": "cmd",
                "target": None,
                "status": "ERROR",
                "ignored": False,
                "errmsg": "exit code 1",
                "attempt": 3,
                "start_time": 11.0,
                "end_time": 14.0,
                "output": None,
            },
            {
                "name": "c",
                "type": "cmd",
                "target": None,
                "status": "PENDING",
                "ignored": False,
                "errmsg": None,
                "attempt": 0,
                "start_time": None,
                "end_time": None,
                "output": None,
            },
        ],
    }


def test_times_of_a_plan_that_has_not_begun_are_nothing() -> None:
    tasks = [outcome(status=State.PENDING)]
    assert report.total_time(tasks) == 0.0
    assert report.total_delta(tasks) == 0.0


def test_what_is_running_counts_for_no_time() -> None:
    tasks = [outcome(start_time=1.0, end_time=2.0), outcome(status=State.INPROGRESS, start_time=1.5)]
    assert report.total_time(tasks) == 1.0
    assert report.total_delta(tasks) == 1.0


def test_a_clock_that_was_set_back_gives_no_negative_time() -> None:
    tasks = [outcome(start_time=100.0, end_time=40.0)]
    assert tasks[0].duration == 0.0
    assert report.total_time(tasks) == 0.0


# -- as text -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0.00 s"),
        (0.124, "0.12 s"),
        (9.99, "9.99 s"),
        (9.996, "10.0 s"),
        (99.9, "99.9 s"),
        (99.96, "1m 40s"),
        (3599.4, "59m 59s"),
        (3599.6, "1h 00m"),
        (7380, "2h 03m"),
        (90000, "1d 01h"),
    ],
)
def test_durations(number: float, text: str) -> None:
    assert report.seconds(number) == text


def test_cells_of_a_task_that_failed() -> None:
    failed = outcome(
        "b", State.ERROR, target="db", start_time=1.0, end_time=2.5, attempt=2, errmsg="\n no space \nmore"
    )
    assert report.cells(failed, now=100.0) == ("ERROR", "b", "db", "2", "1.50 s", "no space")


def test_cells_of_a_task_that_runs_tell_how_long() -> None:
    running = outcome("b", State.INPROGRESS, start_time=90.0)
    assert report.cells(running, now=100.0) == ("INPROGRESS", "b", "", "1", "10.0 s", "")


def test_cells_of_a_task_that_has_not_begun_are_empty() -> None:
    assert report.cells(outcome("b", State.PENDING, attempt=0), now=1.0) == ("PENDING", "b", "", "", "", "")


@given(st.text(alphabet=st.characters()))
def test_what_is_shown_can_move_no_cursor_and_be_written(text: str) -> None:
    shown = report.first_line(text)
    assert shown.isprintable()
    shown.encode()


def test_an_error_in_colour_is_shown_without_it() -> None:
    assert report.first_line("\x1b[31mred\x1b[0m\tbold") == "\ufffd[31mred\ufffd[0m bold"


def test_the_summary_tells_states_and_times() -> None:
    tasks = [
        outcome(start_time=1.0, end_time=2.0),
        outcome(start_time=1.0, end_time=3.0),
        outcome(status=State.ERROR),
    ]
    assert report.summary(tasks) == (
        "3 tasks: 2 SUCCESS, 1 ERROR; 2.00 s from first start to last end; 3.00 s of work"
    )
    assert report.summary([outcome(status=State.PENDING)]) == "1 task: 1 PENDING"


def test_the_headline_has_the_name_unless_the_uid_tells_it() -> None:
    assert report.headline("p:12", "p", PlanStatus.RUNNING) == "plan p:12: running"
    assert report.headline("mine", "p", PlanStatus.RUNNING) == "plan mine (p): running"
