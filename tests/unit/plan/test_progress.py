"""The pure machine, against a slow and obvious model of it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from solar_orch.plan.progress import CheckClaim, Dispatch, Expire, Finish, Progress
from solar_orch.states import DISPATCHABLE, VISITED, State


@dataclass(frozen=True)
class Subject:
    position: int
    status: State = State.PENDING
    attempt: int = 0
    claimed: bool = False
    weight: float = 0
    target: str | None = None
    limited_type: str = "noop"
    type_limit: int | None = None
    timeout: float | None = None
    dispatched_for: float | None = None


def machine(subjects, edges=(), *, max_inprogress=100, target_limit=1, resend_interval=5.0, now=0.0):
    return Progress(
        subjects,
        edges,
        max_inprogress=max_inprogress,
        target_limit=target_limit,
        resend_interval=resend_interval,
        now=now,
    )


def run(progress, position, attempt=1, now=0.0):
    progress.changed(position, attempt, State.INPROGRESS, now)


def dispatched(decisions):
    return [d.position for d in decisions if isinstance(d, Dispatch)]


def test_a_chain_goes_one_by_one():
    progress = machine([Subject(0), Subject(1), Subject(2)], [(1, 0), (2, 1)])
    for position in range(3):
        assert dispatched(progress.decide(0.0)) == [position]
        assert progress.decide(0.0) == []
        run(progress, position)
        progress.changed(position, 1, State.SUCCESS, 0.0)
    assert progress.decide(0.0) == [Finish(failed=False)]


def test_the_heavier_goes_first_and_the_earlier_among_equals():
    progress = machine([Subject(0), Subject(1, weight=2), Subject(2, weight=2)], max_inprogress=1)
    order = []
    for _ in range(3):
        (position,) = dispatched(progress.decide(0.0))
        order.append(position)
        run(progress, position)
        progress.changed(position, 1, State.SUCCESS, 0.0)
    assert order == [1, 2, 0]


def test_an_error_finishes_the_plan_when_nothing_else_can_run():
    progress = machine([Subject(0), Subject(1), Subject(2)], [(1, 0)])
    assert dispatched(progress.decide(0.0)) == [0, 2]
    run(progress, 0)
    run(progress, 2)
    progress.changed(0, 1, State.ERROR, 0.0)
    assert progress.decide(0.0) == []
    progress.changed(2, 1, State.SUCCESS, 0.0)
    assert progress.decide(0.0) == [Finish(failed=True)]


def test_what_an_old_attempt_says_changes_nothing():
    progress = machine([Subject(0)])
    progress.decide(0.0)
    run(progress, 0, attempt=2)
    progress.changed(0, 1, State.SUCCESS, 0.0)
    assert progress.states() == [State.INPROGRESS]
    assert progress.in_progress == 1


def test_a_claim_is_checked_after_the_interval_and_a_timeout_expires():
    progress = machine([Subject(0, timeout=7.0)], resend_interval=5.0)
    progress.decide(0.0)
    run(progress, 0, now=1.0)
    assert progress.deadline() == 6.0
    assert progress.decide(5.9) == []
    assert progress.decide(6.0) == [CheckClaim(0, 1)]
    progress.check_again(0, 1, 6.0)
    assert progress.decide(8.0) == [Expire(0, 1, 7.0)]
    assert progress.decide(11.0) == [CheckClaim(0, 1)]


@pytest.mark.parametrize(("age", "left"), [(3.0, 4.0), (-100.0, 7.0), (100.0, 0.0)])
def test_after_a_restart_what_is_left_of_a_timeout_counts(age, left):
    subject = Subject(0, State.INPROGRESS, attempt=3, claimed=True, timeout=7.0, dispatched_for=age)
    progress = machine([subject], now=1000.0, resend_interval=50.0)
    assert progress.deadline() == 1000.0 + left
    assert progress.decide(1000.0 + left) == [Expire(0, 3, 7.0)]


def test_what_a_former_leader_may_not_have_sent_is_checked_at_once():
    unsent = Subject(0, State.INPROGRESS, attempt=1)
    claimed = Subject(1, State.INPROGRESS, attempt=1, claimed=True)
    assert machine([unsent, claimed], now=5.0).decide(5.0) == [CheckClaim(0, 1)]


def test_a_stopped_plan_dispatches_and_finishes_nothing():
    progress = machine([Subject(0)])
    assert progress.decide(0.0, wanted=False) == []
    assert dispatched(progress.decide(0.0)) == [0]


def test_a_refused_dispatch_frees_its_place():
    progress = machine([Subject(0, target="a"), Subject(1, target="a")])
    assert dispatched(progress.decide(0.0)) == [0]
    progress.refused(0)
    assert dispatched(progress.decide(0.0)) == [1]


def test_a_place_let_go_by_one_limit_is_taken_by_the_next():
    # 1 waits for target a; when it is let go its type is full, so 2, which only needs the target, goes.
    subjects = [
        Subject(0, target="a", weight=9),
        Subject(1, target="a", limited_type="t", type_limit=1, weight=5),
        Subject(2, target="a", weight=1),
        Subject(3, limited_type="t", type_limit=1, weight=8),
    ]
    progress = machine(subjects)
    assert dispatched(progress.decide(0.0)) == [0, 3]
    run(progress, 0)
    run(progress, 3)
    progress.changed(0, 1, State.SUCCESS, 0.0)
    assert dispatched(progress.decide(0.0)) == [2]


def test_type_limits_of_one_type_may_differ():
    subjects = [
        Subject(0, limited_type="t", weight=9),
        Subject(1, limited_type="t", type_limit=1, weight=5),
        Subject(2, limited_type="t", type_limit=2, weight=1),
    ]
    progress = machine(subjects)
    assert dispatched(progress.decide(0.0)) == [0, 2]


# -- against a model ---------------------------------------------------------------


class Model:
    """Everything is looked at anew each time."""

    def __init__(self, subjects, edges, max_inprogress, target_limit):
        self.subjects = subjects
        self.parents = {s.position: [p for c, p in edges if c == s.position] for s in subjects}
        self.state = {s.position: s.status for s in subjects}
        self.attempt = {s.position: s.attempt for s in subjects}
        self.max_inprogress = max_inprogress
        self.target_limit = target_limit

    def running(self):
        return [s for s in self.subjects if self.state[s.position] == State.INPROGRESS]

    def may_start(self, subject):
        return self.state[subject.position] in DISPATCHABLE and all(
            self.state[p] in VISITED for p in self.parents[subject.position]
        )

    def has_room(self, subject, running):
        same_target = [s for s in running if s.target is not None and s.target == subject.target]
        same_type = [s for s in running if s.limited_type == subject.limited_type]
        return (
            len(running) < self.max_inprogress
            and len(same_target) < self.target_limit
            and (subject.type_limit is None or len(same_type) < subject.type_limit)
        )

    def choose(self):
        chosen = []
        running = self.running()
        for subject in sorted(self.subjects, key=lambda s: (-s.weight, s.position)):
            if self.may_start(subject) and self.has_room(subject, running):
                chosen.append(subject.position)
                running.append(subject)
        return chosen

    def finished(self):
        return not self.running() and not any(self.may_start(s) for s in self.subjects)


@st.composite
def plans(draw):
    count = draw(st.integers(1, 12))
    subjects = [
        Subject(
            position,
            status=draw(st.sampled_from([State.PENDING] * 6 + [State.SUCCESS, State.SKIPPED, State.ERROR])),
            weight=draw(st.integers(0, 2)),
            target=draw(st.sampled_from([None, "a", "b"])),
            limited_type=draw(st.sampled_from(["t", "u"])),
            type_limit=draw(st.sampled_from([None, None, 1, 2])),
        )
        for position in range(count)
    ]
    edges = [
        (child, parent) for child in range(count) for parent in range(child) if draw(st.integers(0, 9)) < 3
    ]
    return subjects, edges, draw(st.integers(1, 5)), draw(st.integers(1, 2))


class Against(RuleBasedStateMachine):
    @initialize(plan=plans())
    def begin(self, plan):
        subjects, edges, max_inprogress, target_limit = plan
        self.model = Model(subjects, edges, max_inprogress, target_limit)
        self.progress = machine(
            subjects, edges, max_inprogress=max_inprogress, target_limit=target_limit, resend_interval=1e9
        )

    def tell(self, position, state, attempt=None):
        self.model.state[position] = state
        if attempt is not None:
            self.model.attempt[position] = attempt
        self.progress.changed(position, self.model.attempt[position], state, 0.0)

    @rule(made=st.data())
    def dispatch(self, made):
        expected = self.model.choose()
        decisions = self.progress.decide(0.0)
        assert dispatched(decisions) == expected
        for decision in decisions:
            if isinstance(decision, Dispatch):
                assert decision.state == self.model.state[decision.position]
                self.tell(decision.position, State.INPROGRESS, self.model.attempt[decision.position] + 1)
        if self.model.finished():
            failed = State.ERROR in self.model.state.values()
            assert self.progress.decide(0.0) == [Finish(failed)]

    @precondition(lambda self: self.model.running())
    @rule(
        data=st.data(),
        state=st.sampled_from(
            [State.SUCCESS, State.SUCCESS, State.ERROR, State.ERROR_RETRY, State.PENDING, State.SKIPPED]
        ),
    )
    def end(self, data, state):
        subject = data.draw(st.sampled_from(self.model.running()))
        self.tell(subject.position, state)

    @rule(data=st.data())
    def steer(self, data):
        idle = [s for s in self.model.subjects if self.model.state[s.position] != State.INPROGRESS]
        if not idle:
            return
        subject = data.draw(st.sampled_from(idle))
        old = self.model.state[subject.position]
        steered = {
            State.PENDING: [State.SKIPPED, State.NOOP],
            State.ERROR_RETRY: [State.SKIPPED],
        }.get(old, [State.PENDING])
        self.tell(subject.position, data.draw(st.sampled_from(steered)))

    @rule(data=st.data())
    def repeat_old_news(self, data):
        subject = data.draw(st.sampled_from(self.model.subjects))
        position = subject.position
        self.progress.changed(position, self.model.attempt[position] - 1, State.SUCCESS, 0.0)
        self.progress.changed(position, self.model.attempt[position], self.model.state[position], 0.0)

    @invariant()
    def agrees(self):
        if not hasattr(self, "model"):
            return
        assert self.progress.states() == [self.model.state[s.position] for s in self.model.subjects]
        assert self.progress.in_progress == len(self.model.running())
        assert self.progress.finished == self.model.finished()


TestAgainstModel = Against.TestCase
TestAgainstModel.settings = settings(
    max_examples=200,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
