"""What becomes of a task after an attempt."""

import pytest

from solar_orch.plan.model import OnLost
from solar_orch.plan.verdict import (
    TIMED_OUT,
    Verdict,
    after_failure,
    after_interruption,
    after_kill,
    after_loss,
)
from solar_orch.states import State

RERUN, ERROR = OnLost.RERUN, OnLost.ERROR


@pytest.mark.parametrize(
    ("failures", "retry", "retriable", "state"),
    [
        (0, 0, True, State.ERROR),
        (0, 1, True, State.ERROR_RETRY),
        (1, 1, True, State.ERROR),
        (1, 2, True, State.ERROR_RETRY),
        (0, 5, False, State.ERROR),
    ],
)
def test_a_failure_is_tried_again_as_often_as_the_task_says(failures, retry, retriable, state):
    verdict = after_failure(failures, retry, "bad", retriable=retriable)
    assert verdict == Verdict(state, "bad", failed=True)


def test_a_timeout_is_a_failure_and_a_kill_is_final():
    assert after_kill(TIMED_OUT, 0, 1, 7.0).state == State.ERROR_RETRY
    assert after_kill(TIMED_OUT, 1, 1, 7.0) == Verdict(
        State.ERROR, "ExecutionTimeout: timeout of 7 s exceeded", failed=True
    )
    assert after_kill("not today", 0, 9, None) == Verdict(State.ERROR, "not today", failed=True)


def test_what_was_interrupted_is_run_again_unless_the_task_says_otherwise():
    assert after_interruption("it was", RERUN) == Verdict(State.PENDING)
    assert after_interruption("it was", ERROR) == Verdict(
        State.ERROR, "it was; it is not run again (on_lost: error)"
    )


@pytest.mark.parametrize(
    ("on_lost", "losses", "state"),
    [(RERUN, 1, State.PENDING), (RERUN, 2, State.PENDING), (RERUN, 3, State.ERROR), (ERROR, 1, State.ERROR)],
)
def test_what_was_lost_is_run_again_so_many_times(on_lost, losses, state):
    verdict = after_loss("gone", on_lost, losses, 3)
    assert verdict.state == state
    assert not verdict.failed
    assert (verdict.errmsg is None) == (state == State.PENDING)
