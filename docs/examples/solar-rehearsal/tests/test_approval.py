"""A task that waits for somebody."""

from __future__ import annotations

from pathlib import Path

import pytest

from solar_orch.testing import TasksDriverConformance, task
from solar_orch.testing.hosting import Solar


class TestApprove(TasksDriverConformance):
    name = "approve"
    lasting = task("ask", "approval", "shall we?")


@pytest.fixture
def approving(solar: Solar) -> Solar:
    solar.options(tasks_driver="approve")
    return solar


def answer(solar: Solar, uid: str, text: str) -> None:
    """Make the file that approves the task `ask`."""
    path = Path(solar.root, "s", "approvals", f"{uid}~ask")
    solar.wait_until(path.parent.is_dir, "the task waits")
    path.write_text(text)


@pytest.mark.parametrize(
    ("text", "state"), [("yes\n", "SUCCESS"), ("\nann\nand bob\n", "SUCCESS"), ("No, not today", "ERROR")]
)
def test_it_goes_on_when_it_is_answered(approving: Solar, text: str, state: str):
    with approving.running(task("ask", "approval", "shall we?"), task("next", "noop", after=["ask"])) as plan:
        answer(approving, plan.uid, text)
    ended = plan.look()
    assert ended.states == {"ask": state, "next": "SUCCESS" if state == "SUCCESS" else "PENDING"}
    assert ended["ask"]["output"].startswith("shall we?\nto approve: echo yes > '")
    if state == "SUCCESS":
        assert ended.results["ask"] == text.split(maxsplit=1)[0]
    else:
        assert ended["ask"]["errmsg"] == "not approved: No, not today"


def test_an_empty_file_is_no_answer_yet(approving: Solar):
    with approving.running(task("ask", "approval", "shall we?")) as plan:
        answer(approving, plan.uid, "")
        assert approving.run(task("other", "sleep", 0.3)).status == "finished"
        assert plan.look().states == {"ask": "INPROGRESS"}
        answer(approving, plan.uid, "yes")
    assert plan.look().status == "finished"


def test_who_runs_it_again_is_asked_again(approving: Solar):
    plan = {"name": "p", "uid": "p", "tasks": [task("ask", "approval", "shall we?", timelimit=5)]}
    with approving.running(plan) as running:
        answer(approving, "p", "yes")
    assert running.look().status == "finished"
    approving.store.steering.restart("p")
    approving.wait_until(lambda: running.look().states == {"ask": "INPROGRESS"}, "it waits again")
    answer(approving, "p", "no")
    approving.wait_until(lambda: running.look().status == "failed", "it is answered")


def test_its_time_limit_ends_it(approving: Solar):
    ended = approving.run(task("ask", "approval", "shall we?", timelimit=0.1))
    assert ended["ask"]["errmsg"].startswith("ExecutionTimeout")
