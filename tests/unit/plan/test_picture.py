from __future__ import annotations

from solar_orch.plan.model import FAULT_TOLERANCE, Plan, Task
from solar_orch.plan.picture import depths, picture
from solar_orch.states import State


def drawn(*tasks: Task) -> tuple[dict[str, list[str]], int]:
    """What each task is drawn behind, and how many edges are left out."""
    found = picture(Plan("plan", list(tasks)))
    after = [[tasks[other].name for other in before] for before in found.after]
    return dict(zip([task.name for task in tasks], after, strict=True)), found.left_out


def noop(name: str, *after: str, type_: str = "noop") -> Task:
    return Task(name, type_, after=list(after))


def test_edges_that_others_imply_are_left_out():
    after, left_out = drawn(noop("a"), noop("b", "a"), noop("c", "a", "b"), noop("d", "c", "a", "b"))
    assert after == {"a": [], "b": ["a"], "c": ["b"], "d": ["c"]}
    assert left_out == 3


def test_what_a_fault_tolerance_task_counts_is_drawn_and_it_implies_nothing():
    after, left_out = drawn(
        noop("a"), noop("b", "a"), noop("share", "a", "b", type_=FAULT_TOLERANCE), noop("c", "share", "b")
    )
    assert after == {"a": [], "b": ["a"], "share": ["a", "b"], "c": ["share", "b"]}
    assert left_out == 0


def test_the_title_is_the_uid_where_there_is_one_and_states_are_counted():
    tasks = [Task("a", "noop", status=State.ERROR), noop("b"), noop("c")]
    assert picture(Plan("plan", tasks)).title == "plan"
    found = picture(Plan("plan", tasks, uid="plan:1"))
    assert found.title == "plan:1"
    assert list(found.counts.items()) == [(State.ERROR, 1), (State.PENDING, 2)]


def test_a_task_is_as_deep_as_the_longest_path_to_it():
    assert depths([[], [0], [0, 1], [], [3]]) == [0, 1, 2, 0, 1]
    assert depths([]) == []
