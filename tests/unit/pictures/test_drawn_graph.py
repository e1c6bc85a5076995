from __future__ import annotations

from itertools import pairwise

import pytest
from drawings import texts, told
from hypothesis import given, settings
from hypothesis import strategies as st

from solar_orch.errors import PictureError
from solar_orch.pictures import dot, placing
from solar_orch.pictures.graph import MOST_TASKS, graph
from solar_orch.pictures.levelling import level
from solar_orch.pictures.ordering import ordered
from solar_orch.pictures.placing import Measures, place
from solar_orch.plan.model import Plan, Task
from solar_orch.plan.picture import Picture, depths, picture
from solar_orch.states import State

MEASURES = Measures(100.0, 16.0, 4.0, 10.0, 50.0, 1200.0)


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    size = draw(st.integers(1, 60))
    reach = draw(st.integers(1, 60))
    return [
        draw(st.lists(st.integers(max(0, node - reach), node - 1), max_size=3, unique=True)) if node else []
        for node in range(size)
    ]


def fan(size: int) -> list[list[int]]:
    return [[], *([0] for _ in range(size)), list(range(1, size + 1))]


def chain(size: int) -> list[list[int]]:
    return [[], *([node] for node in range(size - 1))]


def check_placed(after: list[list[int]]) -> placing.Placed:
    """No box on another, none outside, and each edge goes from its task's right to the other's left."""
    placed = place(ordered(after, depths(after)), len(after), MEASURES)
    boxes = sorted(placed.boxes)
    for (x, y), (other_x, other_y) in pairwise(boxes):
        assert other_x >= x + MEASURES.box_width - 0.1 or (
            other_x == x and other_y >= y + MEASURES.box_height - 0.1
        )
    for x, y in boxes:
        assert -0.1 <= x <= placed.width - MEASURES.box_width + 0.1
        assert -0.1 <= y <= placed.height - MEASURES.box_height + 0.1
    edges = {(other, node) for node, before in enumerate(after) for other in before}
    assert set(placed.routes) == edges
    for (one, other), points in placed.routes.items():
        x, y = placed.boxes[one]
        assert points[0] == (x + MEASURES.box_width, y + MEASURES.box_height / 2)
        x, y = placed.boxes[other]
        assert points[-1] == (x, y + MEASURES.box_height / 2)
    return placed


@settings(deadline=None, max_examples=50)
@given(graphs())
def test_boxes_do_not_overlap_and_edges_lead_from_box_to_box(after: list[list[int]]) -> None:
    check_placed(after)


def test_a_wide_layer_has_several_columns() -> None:
    placed = check_placed(fan(600))
    assert placed.height < 2000
    assert len({x for x, _ in placed.boxes}) > 5


def test_a_long_chain_has_several_bands_of_about_the_same_width() -> None:
    placed = check_placed(chain(40))
    assert placed.width <= MEASURES.most_width
    rows = [sum(other == y for _, other in placed.boxes) for y in sorted({y for _, y in placed.boxes})]
    assert len(rows) > 2
    assert max(rows) - min(rows) <= len(rows)


@pytest.mark.parametrize("after", [fan(9), chain(5)])
def test_a_small_graph_has_neither(after: list[list[int]]) -> None:
    placed = check_placed(after)
    assert len({x for x, _ in placed.boxes}) == max(depths(after)) + 1


@given(
    st.lists(st.lists(st.sampled_from([0.0, 10.0, 30.0]), min_size=1, max_size=6), min_size=1, max_size=5),
    st.data(),
)
def test_rows_of_a_layer_stand_in_order_and_apart(layers: list[list[float]], data: st.DataObject) -> None:
    starts = [sum(map(len, layers[:number])) for number in range(len(layers) + 1)]
    links = [
        (
            data.draw(st.integers(starts[n], starts[n + 1] - 1)),
            data.draw(st.integers(starts[n + 1], starts[n + 2] - 1)),
        )
        for n in range(len(layers) - 1)
    ]
    middles = level(layers, links, 4.0)
    for number, heights in enumerate(layers):
        rows = list(zip(middles[starts[number] :], heights, strict=False))
        for (one, height), (other, next_height) in pairwise(rows):
            assert other - one >= (height + next_height) / 2 + 4.0 - 1e-6
    assert min(
        m - h / 2 for m, h in zip(middles, [h for hs in layers for h in hs], strict=True)
    ) == pytest.approx(0)


def test_a_row_that_nothing_keeps_away_stands_beside_what_it_is_joined_to() -> None:
    middles = level([[10.0, 10.0, 10.0], [10.0]], [(2, 3)], 5.0)
    assert middles == [5.0, 20.0, 35.0, 35.0]


# -- the picture ---------------------------------------------------------------


def tasks(number: int, **parameters: object) -> list[Task]:
    return [
        Task(
            f'task <{n}> & "co"', "noop", target=f"host{n % 3}", after=[f'task <{n - 1}> & "co"'] if n else []
        )
        for n in range(number)
    ]


@pytest.mark.parametrize("number", [0, 1, 40, 400])
def test_each_task_is_drawn_once(number: int) -> None:
    plan = tasks(number)
    for task, state in zip(plan, [*State] * number, strict=False):
        task.status = state
    document = graph(picture(Plan("a <plan> & more", plan, uid="")), 0.0)
    assert told(document) == [task.name for task in plan]
    assert texts(document)[0] == "a <plan> & more"
    for state in {task.status for task in plan}:
        assert f"{sum(task.status is state for task in plan)} {state}" in texts(document)


def test_a_name_that_is_too_long_is_cut_and_told_as_a_whole() -> None:
    name = "x" * 30 + "." + "y" * 30
    document = graph(picture(Plan("plan", [Task(name, "noop")])), 0.0)
    assert told(document) == [name]
    assert "x" * 12 + "…" + "y" * 12 in texts(document)


def test_targets_are_written_where_names_do_not_tell_them() -> None:
    many = [Task(f"task{n}", "noop", target="web1") for n in range(200)]
    assert texts(graph(picture(Plan("plan", many)), 0.0)).count("web1") == 200
    told_already = [Task(f"web1.{n}", "noop", target="web1") for n in range(200)]
    assert texts(graph(picture(Plan("plan", told_already)), 0.0)).count("web1") == 0


def test_more_tasks_than_one_could_read_are_refused() -> None:
    many = [Task(str(n), "noop") for n in range(MOST_TASKS + 1)]
    with pytest.raises(PictureError, match=f"{MOST_TASKS + 1} tasks.*without -o"):
        graph(Picture("plan", many, [[] for _ in many], 0), 0.0)


def test_dot_has_each_task_and_each_edge() -> None:
    plan = Plan(
        'p"\\',
        [Task('a"\\N', "noop", status=State.SKIPPED), Task("b", "cmd", target="web1", after=['a"\\N'])],
    )
    first, *rest, last = "".join(dot.lines(picture(plan))).splitlines()
    assert (first, last) == ('digraph "p\\"\\\\" {', "}")
    assert any(
        '"a\\"\\\\N" [label="a\\"\\\\N\\nSKIPPED, noop", style="filled,dashed"' in line for line in rest
    )
    assert any('"b" [label="b\\nPENDING, cmd, web1", style=filled' in line for line in rest)
    assert rest[-1] == '  "a\\"\\\\N" -> "b";'
