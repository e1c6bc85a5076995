"""A plan is rehearsed: in which order its tasks would run, and what would keep them from it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from solar_orch.plan.model import FAULT_TOLERANCE, OnError, Plan, Task
from solar_orch.plan.waves import Rehearsal, rehearse
from solar_orch.states import State


def task(name: str, *after: str, **fields: Any) -> Task:
    return Task(name, fields.pop("type", "noop"), fields.pop("args", []), after=list(after), **fields)


def rehearsed(*tasks: Task, max_inprogress: int = 100, target_limit: int = 1) -> Rehearsal:
    return rehearse(Plan("p", list(tasks)), max_inprogress=max_inprogress, target_limit=target_limit)


def names(rehearsal: Rehearsal) -> list[list[str]]:
    return [[start.task.name for start in wave] for wave in rehearsal.waves]


def held(rehearsal: Rehearsal) -> dict[str, str]:
    starts = [start for wave in rehearsal.waves for start in wave]
    return {start.task.name: start.held_by for start in starts if start.held_by is not None}


def test_what_waits_comes_in_a_later_wave():
    found = rehearsed(task("a"), task("b"), task("c", "a"), task("d", "a", "c"))
    assert names(found) == [["a", "b"], ["c"], ["d"]]
    assert held(found) == {}
    assert [each.name for each in found.critical] == ["a", "c", "d"]


def test_limits_hold_back_and_are_named():
    found = rehearsed(
        task("a", target="web1"),
        task("b", target="web1"),
        task("c", resource_type="download", type_limit=1),
        task("d", resource_type="download", type_limit=1, weight=5),
        task("e", "b"),
    )
    assert names(found) == [["d", "b"], ["a", "c", "e"]]
    assert held(found) == {"a": "target web1", "c": "type download"}


def test_a_plan_has_room_for_so_many_at_once_and_the_heavier_goes_first():
    found = rehearsed(task("a"), task("b", weight=2), task("c", weight=1), max_inprogress=2)
    assert names(found) == [["b", "c"], ["a"]]
    assert held(found) == {"a": "max_inprogress"}


def test_more_than_one_of_a_target_where_that_is_configured():
    tasks = [task(name, target="web1") for name in "abc"]
    assert names(rehearsed(*tasks, target_limit=2)) == [["a", "b"], ["c"]]


def test_what_is_done_is_not_run_and_what_waits_for_a_failure_never_is():
    found = rehearsed(
        task("done", status=State.SUCCESS),
        task("failed", status=State.ERROR),
        task("borne", status=State.ERROR, on_error=OnError.IGNORE),
        task("a", "done", "borne"),
        task("b", "failed"),
        task("c", "b"),
    )
    assert names(found) == [["a"]]
    assert [each.name for each in found.never] == ["b", "c"]
    assert [each.name for each in found.critical] == ["a"]


def test_a_share_that_cannot_be_reached_fails():
    def share(percent: int) -> Rehearsal:
        return rehearsed(
            task("bad", status=State.ERROR),
            task("good"),
            task("gate", "bad", "good", type=FAULT_TOLERANCE, args=[percent]),
            task("below", "gate"),
        )

    assert names(share(50)) == [["good"], ["gate"], ["below"]]
    assert names(share(51)) == [["good"], ["gate"]]
    assert [each.name for each in share(51).never] == ["below"]


def test_what_is_in_progress_already_is_in_the_first_wave():
    found = rehearsed(
        task("a", status=State.INPROGRESS, target="web1"), task("b", target="web1"), task("c", "a")
    )
    assert names(found) == [["a"], ["b", "c"]]
    assert held(found) == {"b": "target web1"}


def test_a_plan_without_anything_to_do():
    assert rehearsed(task("a", status=State.NOOP)) == Rehearsal([], [], [])


@st.composite
def plans(draw: st.DrawFn) -> list[Task]:
    tasks: list[Task] = []
    for number in range(draw(st.integers(1, 12))):
        before = draw(st.lists(st.sampled_from(tasks), unique_by=id, max_size=3)) if tasks else []
        tasks.append(
            task(
                f"t{number}",
                *(other.name for other in before),
                target=draw(st.sampled_from([None, None, "x", "y"])),
                type_limit=draw(st.sampled_from([None, 1, 2])),
                weight=draw(st.sampled_from([None, 0, 1])),
            )
        )
    return tasks


@settings(deadline=None)
@given(plans(), st.integers(1, 4), st.integers(1, 2))
def test_all_run_once_within_the_limits_and_after_what_they_wait_for(
    tasks: list[Task], max_inprogress: int, target_limit: int
):
    found = rehearsed(*tasks, max_inprogress=max_inprogress, target_limit=target_limit)
    wave_of = {start.task.name: n for n, wave in enumerate(found.waves) for start in wave}
    assert sorted(wave_of) == sorted(each.name for each in tasks)
    assert sum(map(len, found.waves)) == len(tasks)
    for each in tasks:
        assert all(wave_of[other] < wave_of[each.name] for other in each.after)
    for wave in found.waves:
        assert len(wave) <= max_inprogress
        targets = Counter(start.task.target for start in wave if start.task.target is not None)
        assert all(number <= target_limit for number in targets.values())
    for number, wave in enumerate(found.waves):
        for start in wave:
            free = max((wave_of[other] + 1 for other in start.task.after), default=0)
            assert (start.held_by is not None) == (free < number)
    path = found.critical
    assert all(earlier.name in later.after for earlier, later in zip(path, path[1:], strict=False))
    longest = {}
    for each in tasks:
        longest[each.name] = 1 + max((longest[other] for other in each.after), default=0)
    assert len(path) == max(longest.values())
