"""The pure machine, against a slow and obvious model of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from solar_orch.plan.model import retry_delay
from solar_orch.plan.progress import CheckClaim, Dispatch, Expire, Finish, Progress
from solar_orch.states import DISPATCHABLE, TRANSITIONS, VISITED, State


@dataclass(frozen=True)
class Subject:
    position: int
    status: State = State.PENDING
    tolerant: bool = False
    ignored: bool = False
    attempt: int = 0
    claimed: bool = False
    weight: float | None = 0
    target: str | None = None
    limited_type: str = "noop"
    type_limit: int | None = None
    timeout: float | None = None
    dispatched_for: float | None = None
    retry_delay: float = 0
    retry_delay_max: float | None = None
    failures: int = 0
    ended_for: float | None = None

    @property
    def name(self) -> str:
        return f"task-{self.position}"


@dataclass(frozen=True)
class Share:
    """A rule by which so many of each third of the tasks run at once; it may group them, or not."""

    name: str
    most: int
    grouped: bool

    def allows(self, running, candidate):
        return sum(each.position % 3 == candidate.position % 3 for each in running) < self.most

    def group(self, candidate):
        return candidate.position % 3 if self.grouped else candidate.position


@dataclass(frozen=True)
class Apart:
    """A rule by which tasks of this type run beside none of another."""

    type: str
    name: str = "apart"

    def allows(self, running, candidate):
        return all(
            (each.limited_type == self.type) == (candidate.limited_type == self.type) for each in running
        )

    def group(self, candidate):
        return candidate.limited_type == self.type


class Never:
    """A rule that refuses whatever it is asked for."""

    name = "never"

    def allows(self, running, candidate):
        assert len(running) > 0
        return False

    def group(self, candidate):
        return None


def machine(
    subjects, edges=(), *, max_inprogress=100, target_limit=1, resend_interval=5.0, now=0.0, rules=()
):
    return Progress(
        subjects,
        edges,
        max_inprogress=max_inprogress,
        target_limit=target_limit,
        resend_interval=resend_interval,
        now=now,
        rules=rules,
    )


def run(progress, position, attempt=1, now=0.0):
    progress.changed(position, attempt, State.INPROGRESS, now)


def fail(progress, position, attempt, now):
    """Dispatch an attempt, which fails at once."""
    assert dispatched(progress.decide(now)) == [position]
    run(progress, position, attempt, now)
    progress.changed(position, attempt, State.ERROR_RETRY, now)


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


def test_nothing_is_dispatched_where_nobody_takes_it_but_the_plan_may_finish():
    progress = machine([Subject(0)])
    assert progress.decide(0.0, dispatching=False) == []
    assert dispatched(progress.decide(0.0)) == [0]
    progress.changed(0, 1, State.INPROGRESS, 0.0)
    progress.changed(0, 1, State.SUCCESS, 0.0)
    assert progress.decide(0.0, dispatching=False) == [Finish(failed=False)]


def test_the_heavier_goes_first_and_the_earlier_among_equals():
    progress = machine([Subject(0), Subject(1, weight=2), Subject(2, weight=2)], max_inprogress=1)
    order = []
    for _ in range(3):
        (position,) = dispatched(progress.decide(0.0))
        order.append(position)
        run(progress, position)
        progress.changed(position, 1, State.SUCCESS, 0.0)
    assert order == [1, 2, 0]


def test_without_weights_the_critical_path_goes_first():
    edges = [(3, 1), (4, 3), (5, 2)]
    subjects = [Subject(position, weight=None) for position in range(6)]
    progress = machine(subjects, edges, max_inprogress=3)
    assert dispatched(progress.decide(0.0)) == [1, 2, 0]
    progress = machine([*subjects[:5], Subject(5, weight=1)], edges, max_inprogress=1)
    assert dispatched(progress.decide(0.0)) == [1]


def test_a_tolerant_task_starts_when_no_predecessor_can_go_on():
    # 0 fails, so that 2 can never start; 3 waits for 1 and 2.
    progress = machine(
        [Subject(0), Subject(1), Subject(2), Subject(3, tolerant=True)], [(2, 0), (3, 1), (3, 2)]
    )
    assert dispatched(progress.decide(0.0)) == [0, 1]
    run(progress, 0)
    run(progress, 1)
    progress.changed(0, 1, State.ERROR, 0.0)
    assert progress.decide(0.0) == []
    progress.changed(1, 1, State.SUCCESS, 0.0)
    assert dispatched(progress.decide(0.0)) == [3]
    run(progress, 3)
    progress.changed(3, 1, State.SUCCESS, 0.0)
    assert progress.decide(0.0) == [Finish(failed=True)]


def test_a_tolerant_task_waits_again_for_what_is_retried():
    progress = machine([Subject(0, State.ERROR), Subject(1), Subject(2, tolerant=True)], [(1, 0), (2, 1)])
    progress.changed(0, 1, State.PENDING, 0.0)
    assert dispatched(progress.decide(0.0)) == [0]
    run(progress, 0, attempt=2)
    progress.changed(0, 2, State.SUCCESS, 0.0)
    assert dispatched(progress.decide(0.0)) == [1]


def test_a_failure_that_is_ignored_lets_others_start_and_fails_no_plan():
    progress = machine([Subject(0, ignored=True), Subject(1)], [(1, 0)])
    progress.decide(0.0)
    run(progress, 0)
    progress.changed(0, 1, State.ERROR, 0.0)
    assert dispatched(progress.decide(0.0)) == [1]
    run(progress, 1)
    progress.changed(1, 1, State.SUCCESS, 0.0)
    assert progress.decide(0.0) == [Finish(failed=False)]


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


@pytest.mark.parametrize("state", [State.SKIPPED, State.NOOP, State.INPROGRESS])
def test_a_task_whose_dispatch_was_refused_waits_until_the_cause_arrives(state):
    progress = machine([Subject(0), Subject(1, State.SKIPPED)], [(1, 0)])
    assert dispatched(progress.decide(0.0)) == [0]
    progress.refused(0)
    assert not progress.finished
    assert progress.decide(0.0) == []
    progress.changed(0, int(state == State.INPROGRESS), state, 0.0)
    assert progress.decide(0.0) == ([] if state == State.INPROGRESS else [Finish(failed=False)])


def test_a_place_is_not_lost_with_the_task_that_it_was_for():
    progress = machine([Subject(0, target="a"), Subject(1, target="a"), Subject(2, target="a")])
    assert dispatched(progress.decide(0.0)) == [0]
    run(progress, 0)
    progress.changed(0, 1, State.SUCCESS, 0.0)
    progress.changed(1, 0, State.SKIPPED, 0.0)
    assert dispatched(progress.decide(0.0)) == [2]


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


# -- rules


def test_a_rule_that_refuses_everything_lets_tasks_run_one_by_one():
    progress = machine([Subject(p) for p in range(3)], rules=[Never()])
    for position in range(3):
        assert dispatched(progress.decide(0.0)) == [position]
        run(progress, position)
        assert progress.decide(0.0) == []
        progress.changed(position, 1, State.SUCCESS, 0.0)
    assert progress.decide(0.0) == [Finish(failed=False)]


def test_one_end_may_let_several_start():
    subjects = [Subject(0, limited_type="alone", weight=2), *(Subject(p) for p in range(1, 5))]
    progress = machine(subjects, rules=[Apart("alone")])
    assert dispatched(progress.decide(0.0)) == [0]
    run(progress, 0)
    assert progress.decide(0.0) == []
    progress.changed(0, 1, State.SUCCESS, 0.0)
    assert dispatched(progress.decide(0.0)) == [1, 2, 3, 4]


def test_a_refusal_speaks_for_its_group_until_a_task_ends():
    asked = []

    class Asked(Share):
        def allows(self, running, candidate):
            asked.append(candidate.position)
            return super().allows(running, candidate)

    progress = machine([Subject(p) for p in range(0, 30)], rules=[Asked("asked", 1, grouped=True)])
    assert dispatched(progress.decide(0.0)) == [0, 1, 2]
    # The first is not asked about; of the first third that is refused the next one speaks for all.
    assert asked == [1, 2, 3, 4, 5]
    for position in range(3):
        run(progress, position)
    asked.clear()
    assert progress.decide(0.0) == []
    assert asked == []
    progress.changed(1, 1, State.SUCCESS, 0.0)
    assert dispatched(progress.decide(0.0)) == [4]
    assert len(asked) == 4


def test_of_many_groups_each_gets_its_turn():
    asked = []

    class Few(Share):
        def allows(self, running, candidate):
            asked.append(candidate.position)
            return len(running) < 3

        def group(self, candidate):
            return candidate.position

    count = 500
    progress = machine([Subject(p) for p in range(count)], rules=[Few("few", 3, grouped=False)])
    running = dispatched(progress.decide(0.0))
    assert len(running) == 3
    most_asked = 0
    for _ in range(count):
        position = running.pop(0)
        run(progress, position)
        asked.clear()
        progress.changed(position, 1, State.SUCCESS, 0.0)
        running += dispatched(progress.decide(0.0))
        most_asked = max(most_asked, len(asked))
    assert progress.finished
    assert most_asked <= 101


def test_what_holds_nothing_any_more_keeps_nobody_waiting():
    progress = machine([Subject(p) for p in range(300)], rules=[Share("alone", 1, grouped=False), Never()])
    assert dispatched(progress.decide(0.0)) == [0]
    run(progress, 0)
    assert progress.decide(0.0) == []
    for position in range(1, 299):
        progress.changed(position, 0, State.SKIPPED, 0.0)
    progress.changed(0, 1, State.SUCCESS, 0.0)
    assert dispatched(progress.decide(0.0)) == [299]


def test_type_limits_of_one_type_may_differ():
    subjects = [
        Subject(0, limited_type="t", weight=9),
        Subject(1, limited_type="t", type_limit=1, weight=5),
        Subject(2, limited_type="t", type_limit=2, weight=1),
    ]
    progress = machine(subjects)
    assert dispatched(progress.decide(0.0)) == [0, 2]


# -- delays after failures ---------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "ceiling", "failures", "delay"),
    [
        (0, None, 1, 0.0),
        (0, None, 10**9, 0.0),
        (3, None, 1, 3.0),
        (3, None, 2, 6.0),
        (3, None, 5, 48.0),
        (3, 10, 2, 6.0),
        (3, 10, 3, 10.0),
        (3, 3, 7, 3.0),
        (0.5, None, 3, 2.0),
        (1, None, 13, 3600.0),
        (5000, None, 1, 5000.0),
        (5000, None, 2, 5000.0),
        (1e300, 1e308, 2**31, 1e308),
        (5e-324, 1.0, 10**30, 1.0),
    ],
)
def test_the_delay_is_doubled_up_to_its_ceiling(base, ceiling, failures, delay):
    assert retry_delay(base, ceiling, failures) == delay


def test_the_attempt_after_a_failure_waits_longer_each_time():
    progress = machine([Subject(0, retry_delay=2.0, retry_delay_max=5.0)], resend_interval=1000.0)
    now = 10.0
    for attempt, delay in enumerate([2.0, 4.0, 5.0, 5.0], start=1):
        fail(progress, 0, attempt, now)
        assert progress.decide(now) == []
        assert progress.deadline() == now + delay
        assert progress.decide(now + delay - 0.1) == []
        now += delay


def test_without_a_delay_the_next_attempt_is_made_at_once():
    progress = machine([Subject(0)])
    for attempt in (1, 2, 3):
        fail(progress, 0, attempt, 0.0)


@pytest.mark.parametrize(("age", "left"), [(None, 8.0), (3.0, 5.0), (-100.0, 8.0), (8.0, 0.0), (100.0, 0.0)])
def test_after_a_restart_what_is_left_of_a_delay_counts(age, left):
    subject = Subject(0, State.ERROR_RETRY, attempt=3, retry_delay=2.0, failures=3, ended_for=age)
    progress = machine([subject], now=1000.0, resend_interval=1000.0)
    if left:
        assert progress.deadline() == 1000.0 + left
        assert progress.decide(1000.0 + left - 0.1) == []
    fail(progress, 0, 4, 1000.0 + left)
    assert progress.decide(1000.0 + left + 15.9) == []
    assert dispatched(progress.decide(1000.0 + left + 16.0)) == [0]


def test_a_delayed_task_takes_no_place():
    subjects = [
        Subject(0, target="a", limited_type="t", type_limit=1, retry_delay=9.0, weight=1),
        Subject(1, target="a"),
        Subject(2, limited_type="t", type_limit=1),
    ]
    progress = machine(subjects, max_inprogress=2)
    assert dispatched(progress.decide(0.0)) == [0]
    run(progress, 0)
    progress.changed(0, 1, State.ERROR_RETRY, 0.0)
    assert progress.in_progress == 0
    assert dispatched(progress.decide(0.0)) == [1, 2]
    # Once its delay has passed it is kept waiting as any other.
    run(progress, 1)
    run(progress, 2)
    assert dispatched(progress.decide(9.0)) == []
    progress.changed(1, 1, State.SUCCESS, 9.0)
    progress.changed(2, 1, State.SUCCESS, 9.0)
    assert dispatched(progress.decide(9.0)) == [0]


def test_a_delayed_task_keeps_its_plan_from_being_finished():
    progress = machine([Subject(0, retry_delay=9.0)])
    fail(progress, 0, 1, 0.0)
    assert not progress.finished
    assert progress.decide(8.9) == []
    assert dispatched(progress.decide(9.0)) == [0]


def test_a_delayed_task_that_cannot_start_anyway_keeps_nobody_waiting():
    delayed = Subject(1, State.ERROR_RETRY, attempt=1, failures=1, retry_delay=9.0)
    progress = machine([Subject(0, State.ERROR), delayed], [(1, 0)])
    assert progress.decide(0.0) == [Finish(failed=True)]
    # Its predecessor is let count as done before the delay has passed, and after.
    for now, expected in ((1.0, []), (9.0, [1])):
        progress = machine([Subject(0, State.ERROR), delayed], [(1, 0)])
        progress.changed(0, 0, State.NOOP, now)
        assert dispatched(progress.decide(now)) == expected
        assert not progress.finished


@pytest.mark.parametrize("state", [State.SKIPPED, State.NOOP, State.ERROR])
def test_steering_a_delayed_task_ends_its_delay(state):
    progress = machine([Subject(0, retry_delay=9.0)])
    fail(progress, 0, 1, 0.0)
    progress.changed(0, 1, state, 1.0)
    assert progress.decide(1.0) == [Finish(failed=state == State.ERROR)]
    assert progress.decide(9.0) == [Finish(failed=state == State.ERROR)]


def test_a_delayed_task_that_is_to_begin_anew_starts_at_once_and_has_not_failed():
    progress = machine([Subject(0, retry_delay=9.0)], resend_interval=1000.0)
    fail(progress, 0, 1, 0.0)
    progress.changed(0, 1, State.PENDING, 1.0)
    fail(progress, 0, 2, 1.0)
    # The timer of attempt 1 is void.
    assert progress.decide(9.0) == []
    assert dispatched(progress.decide(10.0)) == [0]


def test_an_attempt_that_was_lost_is_no_failure():
    progress = machine([Subject(0, retry_delay=9.0)], resend_interval=1000.0)
    fail(progress, 0, 1, 0.0)
    assert dispatched(progress.decide(9.0)) == [0]
    run(progress, 0, 2, 9.0)
    progress.changed(0, 2, State.PENDING, 9.0)
    fail(progress, 0, 3, 9.0)
    assert progress.decide(26.9) == []
    assert dispatched(progress.decide(27.0)) == [0]


def test_a_delay_that_passes_while_the_plan_is_stopped_is_over():
    progress = machine([Subject(0, retry_delay=9.0)])
    fail(progress, 0, 1, 0.0)
    assert progress.decide(20.0, wanted=False) == []
    assert progress.deadline() is None
    assert dispatched(progress.decide(20.0)) == [0]


def test_timers_of_an_attempt_are_void_for_the_next_one():
    progress = machine([Subject(0, timeout=7.0)], resend_interval=5.0)
    fail(progress, 0, 1, 0.0)
    assert dispatched(progress.decide(1.0)) == [0]
    run(progress, 0, 2, now=1.0)
    assert progress.decide(5.9) == []
    assert progress.decide(6.0) == [CheckClaim(0, 2)]
    assert progress.decide(7.9) == []
    assert progress.decide(8.0) == [Expire(0, 2, 7.0)]


# -- against a model ---------------------------------------------------------------

RESEND = 5
HOUR = 3600


@dataclass
class Row:
    """A task as the database has it, and the monotonic times that follow."""

    subject: Subject
    status: State
    attempt: int = 0
    failures: int = 0
    claimed: bool = False
    #: By the wall clock; None: unknown.
    dispatched_at: int = 0
    ended_at: int | None = None
    #: From the refusal of its dispatch until its next event.
    refused: bool = False
    check_at: int | None = None
    expire_at: int | None = None
    retry_at: int | None = None

    def delay(self):
        subject = self.subject
        longest = (
            max(HOUR, subject.retry_delay) if subject.retry_delay_max is None else subject.retry_delay_max
        )
        delay = subject.retry_delay
        for _ in range(self.failures - 1):
            delay *= 2
        return min(delay, longest)


class Model:
    """Everything is looked at anew each time."""

    def __init__(self, rows, edges, max_inprogress, target_limit, rules):
        self.rows = rows
        self.parents = [[rows[p] for c, p in edges if c == position] for position in range(len(rows))]
        self.max_inprogress = max_inprogress
        self.target_limit = target_limit
        self.rules = rules
        self.now = 1000
        self.wall = 0

    def running(self):
        return [row for row in self.rows if row.status == State.INPROGRESS]

    def idle(self):
        return [row for row in self.rows if row.status != State.INPROGRESS]

    def passed(self, row):
        return row.status in VISITED or (row.status == State.ERROR and row.subject.ignored)

    def hopeless(self, row):
        """Whether it will never be passed unless it is steered."""
        if row.status in DISPATCHABLE:
            parents = self.parents[row.subject.position]
            return not row.subject.tolerant and any(self.hopeless(parent) for parent in parents)
        return row.status in (State.ERROR, State.SKIPPED) and not self.passed(row)

    def waits(self, row):
        parents = self.parents[row.subject.position]
        ready = all(
            self.passed(parent) or (row.subject.tolerant and self.hopeless(parent)) for parent in parents
        )
        return row.status in DISPATCHABLE and ready

    def may_start(self, row):
        delayed = row.retry_at is not None and row.retry_at > self.now
        return self.waits(row) and not row.refused and not delayed

    def has_room(self, subject, running):
        same_target = [s for s in running if s.target is not None and s.target == subject.target]
        same_type = [s for s in running if s.limited_type == subject.limited_type]
        return (
            len(running) < self.max_inprogress
            and len(same_target) < self.target_limit
            and (subject.type_limit is None or len(same_type) < subject.type_limit)
            and (not running or all(rule.allows(running, subject) for rule in self.rules))
        )

    def choose(self):
        chosen = []
        running = [row.subject for row in self.running()]
        for row in sorted(self.rows, key=lambda row: (-row.subject.weight, row.subject.position)):
            if self.may_start(row) and self.has_room(row.subject, running):
                chosen.append(row.subject.position)
                running.append(row.subject)
        return chosen

    def finished(self):
        return not self.running() and not any(self.waits(row) for row in self.rows)

    def failed(self):
        return any(row.status == State.ERROR and not row.subject.ignored for row in self.rows)

    def due(self):
        """Each check and timeout is told once; a delay that has passed is over."""
        due = []
        for row in self.rows:
            if row.check_at is not None and row.check_at <= self.now:
                row.check_at = None
                due.append(CheckClaim(row.subject.position, row.attempt))
            if row.expire_at is not None and row.expire_at <= self.now:
                row.expire_at = None
                due.append(Expire(row.subject.position, row.attempt, row.subject.timeout))
            if row.retry_at is not None and row.retry_at <= self.now:
                row.retry_at = None
        return due

    def times(self):
        return [t for row in self.rows for t in (row.check_at, row.expire_at, row.retry_at) if t is not None]

    def change(self, row, state):
        if row.status == State.INPROGRESS:
            row.ended_at = self.wall
        elif state == State.PENDING:
            row.failures = 0
        row.status = state
        row.refused = False
        row.check_at = row.expire_at = row.retry_at = None
        if state == State.INPROGRESS:
            row.attempt += 1
            row.claimed = False
            row.dispatched_at = self.wall
            row.ended_at = None
            row.check_at = self.now + RESEND
            if row.subject.timeout is not None:
                row.expire_at = self.now + row.subject.timeout
        elif state == State.ERROR_RETRY:
            row.failures += 1
            self.delay(row, row.delay())

    def delay(self, row, seconds):
        row.retry_at = self.now + seconds if seconds else None

    def subjects(self):
        """What the database tells a leader that begins now."""
        return [
            replace(
                row.subject,
                status=row.status,
                attempt=row.attempt,
                claimed=row.claimed,
                failures=row.failures,
                dispatched_for=self.wall - row.dispatched_at if row.status == State.INPROGRESS else None,
                ended_for=None if row.ended_at is None else self.wall - row.ended_at,
            )
            for row in self.rows
        ]

    def restart(self):
        """Only what was durable is left, and of times what the wall clock says, within bounds."""
        for row in self.rows:
            row.refused = False
            row.check_at = row.expire_at = row.retry_at = None
            if row.status == State.INPROGRESS:
                row.check_at = self.now + (RESEND if row.claimed else 0)
                if row.subject.timeout is not None:
                    row.expire_at = self.now + self.left(row.subject.timeout, row.dispatched_at)
            elif row.status == State.ERROR_RETRY:
                self.delay(row, self.left(row.delay(), row.ended_at))

    def left(self, whole, since):
        if since is None:
            return whole
        _, left, _ = sorted([0, since + whole - self.wall, whole])
        return left


STATES = [State.PENDING] * 6 + [
    State.SUCCESS,
    State.SKIPPED,
    State.ERROR,
    State.ERROR_RETRY,
    State.INPROGRESS,
]
ENDS = [State.SUCCESS, State.ERROR, State.ERROR_RETRY, State.ERROR_RETRY, State.PENDING, State.SKIPPED]


@st.composite
def rows(draw, position):
    subject = Subject(
        position,
        tolerant=draw(st.sampled_from([False, False, True])),
        ignored=draw(st.sampled_from([False, False, True])),
        weight=draw(st.integers(0, 2)),
        target=draw(st.sampled_from([None, "a", "a", "b"])),
        limited_type=draw(st.sampled_from(["t", "u"])),
        type_limit=draw(st.sampled_from([None, None, 1, 2])),
        timeout=draw(st.sampled_from([None, 3, 40])),
        retry_delay=draw(st.sampled_from([0, 2, 7])),
        retry_delay_max=draw(st.sampled_from([None, None, 10])),
    )
    row = Row(subject, status=draw(st.sampled_from(STATES)))
    if row.status in (State.ERROR_RETRY, State.INPROGRESS):
        row.attempt = row.failures = draw(st.integers(1, 12))
    return row


RULES = st.one_of(
    st.builds(Share, st.sampled_from(["one", "two"]), st.integers(1, 2), st.booleans()),
    st.builds(Apart, st.sampled_from(["t", "u"])),
    st.just(Never()),
)


@st.composite
def plans(draw):
    count = draw(st.integers(1, 10))
    edges = []
    for child in range(1, count):
        parents = draw(st.lists(st.integers(0, child - 1), max_size=2, unique=True))
        edges += [(child, parent) for parent in parents]
    tasks = [draw(rows(position)) for position in range(count)]
    rules = draw(st.lists(RULES, max_size=2, unique_by=lambda rule: rule.name))
    return Model(tasks, edges, draw(st.integers(1, 5)), draw(st.integers(1, 2)), rules), edges


def drawn_from(data):
    return lambda options: data.draw(st.sampled_from(options))


class Against(RuleBasedStateMachine):
    """Each rule draws what it needs; many steps at once are drawn from one seed."""

    @initialize(plan=plans())
    def begin(self, plan):
        self.model, self.edges = plan
        self.restart(0)

    @rule(moved=st.sampled_from([0, 0, -HOUR, HOUR]))
    def restart(self, moved):
        """Another leader takes over; the wall clock may have been moved."""
        self.model.wall += moved
        self.model.restart()
        self.progress = machine(
            self.model.subjects(),
            self.edges,
            max_inprogress=self.model.max_inprogress,
            target_limit=self.model.target_limit,
            resend_interval=RESEND,
            now=self.model.now,
            rules=self.model.rules,
        )

    @rule(seconds=st.integers(1, 9))
    def time_passes(self, seconds):
        self.model.now += seconds
        self.model.wall += seconds

    @precondition(lambda self: self.model.times())
    @rule(early=st.booleans())
    def time_passes_until_something_is_due(self, early):
        self.time_passes(max(min(self.model.times()) - early - self.model.now, 0))

    @rule(data=st.data(), wanted=st.sampled_from([True, True, True, False]))
    def decide(self, data, wanted):
        self.carry_out_decisions(wanted, drawn_from(data))

    @precondition(lambda self: self.model.running())
    @rule(data=st.data(), state=st.sampled_from(ENDS))
    def end(self, data, state):
        """PENDING: it was lost, or handed back."""
        self.tell(drawn_from(data)(self.model.running()), state)

    @precondition(lambda self: self.model.idle())
    @rule(data=st.data())
    def steer(self, data):
        self.steer_one(drawn_from(data))

    @rule(random=st.randoms(use_true_random=True))
    def much_happens(self, random):
        for _ in range(40):
            chance = random.random()
            if chance < 0.35:
                self.carry_out_decisions(random.random() < 0.9, random.choice)
            elif chance < 0.65 and self.model.running():
                self.tell(random.choice(self.model.running()), random.choice(ENDS))
            elif chance < 0.8 and self.model.idle():
                self.steer_one(random.choice)
            elif chance < 0.82:
                self.restart(random.choice([0, -HOUR, HOUR]))
            else:
                self.time_passes(random.randint(1, 4))
            self.agrees()

    def carry_out_decisions(self, wanted, choice):
        model = self.model
        expected = model.due()
        chosen = model.choose() if wanted else []
        decisions = self.progress.decide(model.now, wanted=wanted)
        due = [d for d in decisions if isinstance(d, CheckClaim | Expire)]
        assert sorted(due, key=repr) == sorted(expected, key=repr)
        assert dispatched(decisions) == chosen
        over = wanted and not due and not chosen and model.finished()
        assert [d for d in decisions if isinstance(d, Finish)] == ([Finish(model.failed())] if over else [])
        # What is due has been told; nobody is to be woken for it again.
        deadline = self.progress.deadline()
        assert deadline is None or deadline > model.now
        for decision in decisions:
            if isinstance(decision, Dispatch):
                self.dispatch(decision, choice(["claimed", "sent", "sent", "sent", "refused"]))
            elif isinstance(decision, CheckClaim):
                self.check(decision)

    def dispatch(self, decision, outcome):
        row = self.model.rows[decision.position]
        assert decision.state == row.status
        if outcome == "refused":
            row.refused = True
            self.progress.refused(decision.position)
        else:
            self.tell(row, State.INPROGRESS)
            row.claimed = outcome == "claimed"

    def check(self, decision):
        row = self.model.rows[decision.position]
        if not row.claimed:
            row.check_at = self.model.now + RESEND
            self.progress.check_again(decision.position, decision.attempt, self.model.now)

    def steer_one(self, choice):
        row = choice(self.model.idle())
        self.tell(row, choice(sorted(TRANSITIONS[row.status] - {State.INPROGRESS})))

    def tell(self, row, state):
        self.model.change(row, state)
        position, now = row.subject.position, self.model.now
        self.progress.changed(position, row.attempt, state, now)
        # Repeated news, and old news.
        self.progress.changed(position, row.attempt, state, now)
        self.progress.changed(position, row.attempt - 1, State.SUCCESS, now)

    @invariant()
    def agrees(self):
        assert self.progress.states() == [row.status for row in self.model.rows]
        assert self.progress.in_progress == len(self.model.running())
        assert self.progress.finished == self.model.finished()
        times = self.model.times()
        deadline = self.progress.deadline()
        assert not times or (deadline is not None and deadline <= max(min(times), self.model.now))


TestAgainstModel = Against.TestCase
TestAgainstModel.settings = settings(
    max_examples=300,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
