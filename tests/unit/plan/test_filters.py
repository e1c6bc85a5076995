"""Which part of a plan a filter chooses."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solar_orch.errors import CannotStart
from solar_orch.plan.filters import Filter, choose
from solar_orch.states import DISPATCHABLE, VISITED, State


@dataclass
class Subject:
    name: str
    status: State = State.PENDING
    target: str | None = None
    tolerant: bool = False
    ignored: bool = False


#: db -> web1 -> check, db -> web2 -> check, log -> web2; report stands alone.
AFTER = {"db": "", "log": "", "web1": "db", "web2": "db log", "check": "web1 web2", "report": ""}
NAMES = list(AFTER)


def chosen(
    states: dict[str, State] | None = None,
    *,
    start: str = "",
    end: str = "",
    tasks: str = "",
    targets: str = "",
    **given: dict[str, object],
) -> tuple[str, str]:
    """What runs, and what is skipped; `given` are further attributes of tasks."""
    subjects = [
        Subject(name, (states or {}).get(name, State.PENDING), **given.get(name, {})) for name in NAMES
    ]
    after = [[NAMES.index(name) for name in before.split()] for before in AFTER.values()]
    wanted = Filter(
        *([NAMES.index(name) for name in names.split()] for names in (start, end, tasks)), targets.split()
    )
    choice = choose(subjects, after, wanted)
    return tuple(" ".join(NAMES[p] for p in places) for places in (choice.runs, choice.skipped))


def test_without_a_filter_all_runs():
    assert chosen() == ("db log web1 web2 check report", "")
    assert chosen({"web1": State.SKIPPED, "db": State.SUCCESS}) == ("log web1 web2 check report", "")


def test_from_a_start_all_paths_run_that_wait_for_nothing_else():
    # web2 waits for log as well, and check for web2.
    assert chosen(start="db") == ("db web1", "log web2 check report")
    assert chosen({"log": State.SUCCESS}, start="db") == ("db web1 web2 check", "report")
    assert chosen(start="db log") == ("db log web1 web2 check", "report")
    assert chosen({"db": State.NOOP, "log": State.SUCCESS}, start="web2") == ("web2", "web1 check report")


def test_a_start_may_have_been_visited_itself():
    assert chosen({"db": State.SUCCESS}, start="db") == ("web1", "log web2 check report")


def test_a_failure_that_is_ignored_counts_as_visited():
    states = {"log": State.ERROR}
    assert chosen(states, start="db", log={"ignored": True}) == ("db web1 web2 check", "report")
    assert chosen(states, start="db") == ("db web1", "web2 check report")


def test_a_start_that_waits_for_what_is_not_visited_is_refused():
    with pytest.raises(CannotStart) as caught:
        chosen({"db": State.SUCCESS}, start="web2")
    assert (caught.value.name, caught.value.waits_for) == ("web2", ["log"])
    assert "web2 cannot be started alone: it waits for log" in str(caught.value)
    # Also where the end would have it run.
    with pytest.raises(CannotStart):
        chosen(start="web2", end="check")


def test_up_to_an_end_its_ancestors_run():
    assert chosen(end="web1") == ("db web1", "log web2 check report")
    assert chosen(end="web1 report") == ("db web1 report", "log web2 check")
    assert chosen({"db": State.ERROR}, end="web1") == ("web1", "log web2 check report")


def test_start_and_end_choose_what_is_between_them():
    states = {"log": State.SUCCESS}
    assert chosen(states, start="db", end="web2") == ("db web2", "web1 check report")
    # Nothing leads from the one to the other.
    assert chosen(states, start="db", end="report") == ("", "db web1 web2 check report")


def test_single_tasks_are_added():
    assert chosen(tasks="report") == ("report", "db log web1 web2 check")
    assert chosen(end="web1", tasks="report") == ("db web1 report", "log web2 check")
    assert chosen(start="db", tasks="log report") == ("db log web1 report", "web2 check")


def test_a_single_task_that_waits_for_what_is_not_chosen_is_refused():
    with pytest.raises(CannotStart) as caught:
        chosen({"log": State.SKIPPED}, tasks="web2 db")
    assert caught.value.waits_for == ["log"]


def test_of_what_is_chosen_targets_are_kept():
    targets = {"db": {"target": "a"}, "web1": {"target": "a"}, "report": {"target": "b"}}
    assert chosen(targets="a", **targets) == ("db web1", "log web2 check report")
    assert chosen(targets="a b", **targets) == ("db web1 report", "log web2 check")
    assert chosen(end="web1", targets="b", **targets) == ("", "db log web1 web2 check report")


def test_what_cannot_run_because_its_target_is_not_kept_is_skipped():
    assert chosen(targets="a", web1={"target": "a"}) == ("", "db log web1 web2 check report")
    with pytest.raises(CannotStart):
        chosen(tasks="db web1", targets="a", web1={"target": "a"})


def test_what_has_ended_stays_as_it_is():
    states = {"db": State.SUCCESS, "web1": State.ERROR, "log": State.NOOP, "web2": State.ERROR_RETRY}
    assert chosen(states, tasks="report") == ("report", "web2 check")


@st.composite
def filtered(draw):
    """A graph in topological order, the states of its tasks, and a filter."""
    size = draw(st.integers(1, 9))
    positions = st.integers(0, size - 1)
    some = st.lists(positions, max_size=2)
    after = [draw(st.lists(st.integers(0, p - 1), unique=True, max_size=3)) if p else [] for p in range(size)]
    states = st.sampled_from([State.PENDING] * 4 + [s for s in State if s is not State.INPROGRESS])
    subjects = [
        Subject(str(p), draw(states), draw(st.sampled_from([None, "a", "b"])), ignored=draw(st.booleans()))
        for p in range(size)
    ]
    targets = draw(st.lists(st.sampled_from("ab"), max_size=1))
    return subjects, after, Filter(draw(some), draw(some), draw(some), targets)


def passed(subject: Subject) -> bool:
    return subject.status in VISITED or (subject.status is State.ERROR and subject.ignored)


@given(filtered())
def test_what_runs_can_run_and_everything_that_waits_is_told_of_once(made):
    subjects, after, wanted = made
    try:
        choice = choose(subjects, after, wanted)
    except CannotStart as error:
        named = int(error.name)
        assert named in {*wanted.start, *wanted.tasks}
        assert {int(name) for name in error.waits_for} <= set(after[named])
        assert not any(passed(subjects[int(name)]) for name in error.waits_for)
        return
    open_ = [p for p, s in enumerate(subjects) if s.status in DISPATCHABLE or s.status is State.SKIPPED]
    assert sorted([*choice.runs, *choice.skipped]) == open_
    assert choice.runs == sorted(choice.runs)
    for position in choice.runs:
        # Nothing is left to run behind what is SKIPPED, or it would wait for ever.
        assert not set(after[position]) & set(choice.skipped)
        assert not wanted.targets or subjects[position].target in wanted.targets
    if wanted.start and not wanted.tasks:
        for position in choice.runs:
            assert position in wanted.start or any(
                p in choice.runs or subjects[p].status not in DISPATCHABLE for p in after[position]
            )


@given(filtered())
def test_a_filter_that_is_used_twice_chooses_the_same(made):
    subjects, after, wanted = made
    try:
        choice = choose(subjects, after, wanted)
    except CannotStart:
        return
    for position in choice.runs:
        if subjects[position].status is State.SKIPPED:
            subjects[position].status = State.PENDING
    for position in choice.skipped:
        subjects[position].status = State.SKIPPED
    assert choose(subjects, after, wanted) == choice
