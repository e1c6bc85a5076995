"""A plan file is looked over: its mistakes, and else what may not have been meant."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from solar_orch.plan.findings import Finding, Severity
from solar_orch.plan.parse import MAX_MISTAKES, examine


def text_of(*tasks: dict[str, Any], **plan: Any) -> str:
    return json.dumps({"name": "p", "tasks": list(tasks), **plan})


def task(uid: str, *after: str, **parameters: Any) -> dict[str, Any]:
    return {"uid": uid, "parameters": {"type": "noop", **parameters}, "after": list(after)}


def warnings(text: str) -> list[str]:
    found = examine(text)
    assert all(each.severity is Severity.WARNING for each in found)
    return [each.message for each in found]


def test_mistakes_come_without_warnings():
    text = text_of(task("a", status="SKIPPED"), task("b", "a"), task("c", "nobody"))
    [found] = examine(text)
    column = text.index('"nobody"') + 1
    assert found == Finding(1, column, Severity.ERROR, "after names 'nobody', and there is no such task")


def test_a_plan_in_which_all_is_as_it_should_be():
    assert examine(text_of(task("a"), task("b", "a"))) == []


def test_many_are_bounded_and_counted():
    found = examine(text_of(task("a", status="SKIPPED"), *(task(f"t{n}", "a") for n in range(1500))))
    assert len(found) <= MAX_MISTAKES + 1
    assert sum(each.number for each in found) == 1500


def test_tasks_that_can_never_run():
    text = text_of(
        task("bad", status="ERROR"),
        task("borne", status="ERROR", on_error="ignore"),
        task("ok", status="SUCCESS"),
        task("a", "bad"),
        task("b", "a"),
        task("c", "borne", "ok"),
        task("gate", "bad", "ok", type="fault_tolerance", args=[80]),
        task("d", "gate"),
    )
    assert warnings(text) == [
        "the task 'a' can never run: 'bad' is ERROR",
        "the task 'b' can never run: 'a' cannot either",
        "the task 'd' can never run: 'gate' is bound to fail",
    ]


def test_edges_that_others_imply():
    assert warnings(text_of(task("a"), task("b", "a"), task("c", "b"), task("d", "a", "c"))) == [
        "'d' waits for 'a' anyway, because it waits for 'c'"
    ]


def test_edges_that_are_needed_all_the_same():
    gate = {"type": "fault_tolerance", "args": [50]}
    # What uses a result needs the edge; so does what is to be judged, and what may go on only if it succeeded.
    assert (
        warnings(text_of(task("a"), task("b", "a"), task("c", "a", "b", when="${tasks.a.result} == 1"))) == []
    )
    assert warnings(text_of(task("a"), task("b", "a"), task("c", "a", "b", **gate))) == []
    assert warnings(text_of(task("a"), task("b", "a", **gate), task("c", "a", "b"))) == []
    assert warnings(text_of(task("a"), task("b", "a", status="SUCCESS"), task("c", "a", "b"))) == []


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(2, 8))
def test_an_edge_is_told_exactly_if_it_is_implied(data: st.DataObject, size: int):
    before = [data.draw(st.lists(st.integers(0, n - 1), unique=True)) if n else [] for n in range(size)]
    above: list[set[int]] = []
    for parents in before:
        above.append(set(parents).union(*(above[parent] for parent in parents)))
    expected = {
        (child, parent)
        for child, parents in enumerate(before)
        for parent in parents
        if any(parent in above[other] for other in parents)
    }
    told = warnings(
        text_of(*(task(f"t{n}", *(f"t{p}" for p in parents)) for n, parents in enumerate(before)))
    )
    pairs = {tuple(int(word.strip("'t")) for word in message.split(" ")[0:4:3]) for message in told}
    assert pairs == expected
