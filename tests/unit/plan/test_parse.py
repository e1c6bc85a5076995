"""A plan file becomes a plan, or the list of all that is wrong with it."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solar_orch.errors import ExitCode, PlanError
from solar_orch.plan import parse as parse_module
from solar_orch.plan.model import OnLost, Plan, Task
from solar_orch.plan.parse import parse
from solar_orch.states import State

FULL = """\
name: roll-out.1
uid: roll-out.1:2f
tasks:
- uid: last one
  parameters: {type: noop, args: null, weight: null, target: null}
  after: [fetch, "2"]
- uid: fetch
  parameters:
    type: cmd
    args: ["true", {deep: [1, 2.5, null]}]
    kwargs: {cwd: /tmp, env: {A: b}}
    target: web1
    timelimit: 30
    timeout: 90.5
    retry: 2
    retry_delay: 0.5
    retry_delay_max: 60
    on_lost: error
    type_limit: 1
    resource_type: download
    weight: -1.5
    status: SKIPPED
  before: ["2", last one]
- uid: "2"
  parameters: {type: echo, args: [hello]}
  before: null
"""


def mistakes_of(text: str | bytes) -> list[tuple[int, int, str]]:
    with pytest.raises(PlanError) as caught:
        parse(text, "p.yaml")
    return [(m.line, m.column, m.message) for m in caught.value.mistakes]


def the_mistake(text: str | bytes) -> tuple[int, int, str]:
    [mistake] = mistakes_of(text)
    return mistake


def with_parameter(text: str) -> str:
    """A plan whose line 6 is `text`, which begins in column 5."""
    return f"name: p\ntasks:\n- uid: a\n  parameters:\n    type: cmd\n    {text}\n"


def with_edges(**after: list[str]) -> str:
    tasks = [{"uid": uid, "parameters": {"type": "noop"}, "after": names} for uid, names in after.items()]
    return json.dumps({"name": "p", "tasks": tasks})


def test_a_full_plan() -> None:
    assert parse(FULL) == Plan(
        name="roll-out.1",
        uid="roll-out.1:2f",
        tasks=[
            Task(
                name="fetch",
                type="cmd",
                args=["true", {"deep": [1, 2.5, None]}],
                kwargs={"cwd": "/tmp", "env": {"A": "b"}},
                target="web1",
                timelimit=30,
                timeout=90.5,
                retry=2,
                type_limit=1,
                resource_type="download",
                weight=-1.5,
                status=State.SKIPPED,
                retry_delay=0.5,
                retry_delay_max=60,
                on_lost=OnLost.ERROR,
            ),
            Task(name="2", type="echo", args=["hello"], after=["fetch"]),
            Task(name="last one", type="noop", after=["fetch", "2"]),
        ],
    )


def test_bytes_and_json_give_the_same_plan() -> None:
    task = {"uid": "é", "parameters": {"type": "noop"}}
    plan = parse(json.dumps({"name": "p", "tasks": [task]}))
    assert plan == parse("name: p\ntasks: [{uid: é, parameters: {type: noop}}]".encode())
    assert plan == Plan("p", [Task("é", "noop")])


def test_defaults_are_not_shared_between_tasks() -> None:
    first, second = parse(with_edges(a=[], b=[])).tasks
    first.args.append(1)
    first.kwargs["x"] = 1
    first.after.append("z")
    assert (second.args, second.kwargs, second.after) == ([], {}, [])


@pytest.mark.parametrize("status", ["INPROGRESS", "ERROR_RETRY", "PENDING"])
def test_no_attempt_runs_in_a_new_plan(status: str) -> None:
    assert parse(with_parameter(f"status: {status}")).tasks[0].status is State.PENDING


def test_an_edge_counts_once_however_often_it_is_told() -> None:
    text = """\
name: p
tasks:
- {uid: a, parameters: {type: noop}, before: [b, b]}
- {uid: b, parameters: {type: noop}, after: [a, a]}
"""
    assert [task.after for task in parse(text).tasks] == [[], ["a"]]


def test_order_is_topological_and_else_that_of_the_file() -> None:
    plan = parse(with_edges(d=["c"], c=[], b=["d"], a=[]))
    assert [task.name for task in plan.tasks] == ["c", "d", "b", "a"]


def test_five_mistakes_are_five_with_their_lines() -> None:
    text = """\
name: rollout
tasks:
- uid: fetch
  parameters:
    type: kill
- uid: install
  paramters: {type: cmd}
  parameters: {type: cmd, args: echo}
  after: [fetsh]
- uid: fetch
  parameters: {type: cmd}
"""
    assert mistakes_of(text) == [
        (5, 11, "type 'kill' is a control of the tasks worker and not a task type; a plan cannot name it"),
        (7, 3, "unknown key 'paramters' in a task; did you mean 'parameters'?"),
        (8, 33, "args must be a list, not the string 'echo'; write [echo]"),
        (9, 11, "after names 'fetsh', and there is no such task; did you mean 'fetch'?"),
        (10, 8, "duplicate uid 'fetch'; the first task of this name stands in line 3"),
    ]


def test_the_error_is_of_lines_that_editors_follow() -> None:
    with pytest.raises(PlanError) as caught:
        parse("name: p\ntasks: []\nx: 1", "dir/p.yaml")
    assert str(caught.value).splitlines() == [
        "dir/p.yaml:2:8: tasks is empty; a plan needs at least one task",
        "dir/p.yaml:3:1: unknown key 'x' in a plan",
    ]
    assert caught.value.exit_code is ExitCode.USAGE


def test_mistakes_of_reading_and_of_meaning_come_together() -> None:
    text = """\
name: *p
tasks:
- uid: a
  parameters: {type: cmd, args: [2024-01-01], retry: x}
  after: *list
- uid: b
  uid: c
  parameters: {type: cmd}
  after: [*x, b, d]
"""
    assert [(line, message.split(";")[0][:24]) for line, _, message in mistakes_of(text)] == [
        (1, "aliases (*p) are not tak"),
        (4, "2024-01-01 is a date, wh"),
        (4, "retry must be a whole nu"),
        (5, "aliases (*list) are not "),
        (7, "duplicate key 'uid'"),
        (9, "aliases (*x) are not tak"),
        (9, "the task 'b' cannot come"),
        (9, "after names 'd', and the"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "column", "part"),
    [
        ("- a", 1, 1, "not a list"),
        ("just words", 1, 1, "not the string 'just words'"),
        ("---\n", 2, 1, "not null"),
        ("name: p", 1, 1, "the key tasks is missing in a plan"),
        ("tasks: [{uid: a, parameters: {type: x}}]", 1, 1, "the key name is missing in a plan"),
        ("name: p\ntasks: {a: b}", 2, 8, "tasks must be a list, not a mapping"),
        ("name: p\ntasks: null", 2, 8, "tasks must be a list, not null"),
        ("name: p\ntasks: []", 2, 8, "at least one task"),
        ("name: p\ntasks:\n- a", 3, 3, "a task is a mapping"),
        ("name: p\ntasks:\n- null", 3, 3, "not null"),
        ("name: p\ntasks:\n- parameters: {type: x}", 3, 3, "the key uid is missing in a task"),
        ("name: p\ntasks:\n- uid: a", 3, 3, "the key parameters is missing in a task"),
        ("name: p\ntasks:\n- uid: a\n  parameters: {}", 4, 15, "the key type is missing in a task's"),
        ("name: p\ntasks:\n- uid: a\n  parameters: cmd", 4, 15, "must be a mapping, not the string 'cmd'"),
        ("name: p\ntasks:\n- uid: a\n  parameters: {type: null}", 4, 22, "type must be a string, not null"),
        ("name: p\ntasks:\n- uid: 1\n  parameters: {type: x}", 3, 8, "not the number 1; put quotes"),
        ("name: p\ntasks:\n- uid: no\n  parameters: {type: x}", 3, 8, "not false; put quotes"),
        ("name: p\ntasks:\n- uid: ''\n  parameters: {type: x}", 3, 8, "uid must not be empty"),
        ('name: p\ntasks:\n- uid: "a\\nb"\n  parameters: {type: x}', 3, 8, "a line break"),
        ('name: p\ntasks:\n- uid: "a\\e[2Jb"\n  parameters: {type: x}', 3, 8, "cannot be shown"),
        (f"name: p\ntasks:\n- uid: {'a' * 201}\n  parameters: {{type: x}}", 3, 8, "201 characters"),
        ("name: p\ntasks:\n- uid: a\n  type: cmd\n  parameters: {type: x}", 4, 3, "belongs under parameters"),
    ],
)
def test_shape(text: str, line: int, column: int, part: str) -> None:
    found = the_mistake(text)
    assert found[:2] == (line, column)
    assert part in found[2]


@pytest.mark.parametrize(
    "text",
    [
        "*x",
        "name: *x\ntasks: [{uid: a, parameters: {type: cmd}}]",
        "name: p\nuid: *x\ntasks: [{uid: a, parameters: {type: cmd}}]",
        "name: p\ntasks: *x",
        "name: p\ntasks: [*x]",
        "name: p\ntasks: [{uid: *x , parameters: {type: cmd}}]",
        "name: p\ntasks: [{uid: a, parameters: *x }]",
        "name: p\ntasks: [{uid: a, parameters: {type: *x }}]",
        "name: p\ntasks: [{uid: a, parameters: {type: cmd, kwargs: {b: [*x ]}}}]",
        "name: p\ntasks: [{uid: a, parameters: {type: cmd}, after: [*x ]}]",
    ],
)
def test_what_cannot_be_read_is_one_mistake_wherever_it_stands(text: str) -> None:
    assert "aliases" in the_mistake(text)[2]


@pytest.mark.parametrize("name", ["1", "a b", "-a", ".a", "ä", "a/b", "a:b", "~", "[]", "''", "a" * 101])
def test_plan_names_that_are_refused(name: str) -> None:
    found = the_mistake(f"name: {name}\ntasks: [{{uid: a, parameters: {{type: x}}}}]")
    assert found[:2] == (1, 7)
    assert "name must" in found[2]


@pytest.mark.parametrize("uid", ["last", "a~b", "-x", "a b", '"a\\n"', "7", "a" * 141, "''"])
def test_plan_uids_that_are_refused(uid: str) -> None:
    found = the_mistake(f"name: p\nuid: {uid}\ntasks: [{{uid: a, parameters: {{type: x}}}}]")
    assert found[:2] == (2, 6)
    assert "uid must" in found[2]


@pytest.mark.parametrize(
    ("parameter", "part"),
    [
        ("args: echo hello", "args must be a list, not the string 'echo hello'; write [echo hello]"),
        ("args: {a: b}", "args must be a list, not a mapping"),
        ("kwargs: [a]", "kwargs must be a mapping, not a list"),
        ("kwargs: {ctxt: 1}", "must not have the key 'ctxt'"),
        ("kwargs: {self: 1}", "must not have the key 'self'"),
        ("target: 7", "target must be a string, not the number 7; put quotes around it"),
        ("target: []", "target must be a string, not a list"),
        ("timelimit: 0", "above 0"),
        ("timelimit: true", "not true"),
        ("timeout: -1.5", "above 0, not -1.5"),
        ("timeout: '5'", "must be a number, not the string '5'"),
        ("retry: 1.5", "whole number, not the number 1.5"),
        ("retry: true", "whole number, not true"),
        ("retry: 2147483648", "from 0 to 2147483647"),
        ("retry_delay: -1", "retry_delay must be a number of seconds from 0 on, not -1"),
        ("retry_delay: .inf", "not a finite number"),
        ("retry_delay: 5s", "must be a number, not the string '5s'"),
        ("retry_delay: false", "must be a number, not false"),
        ("retry_delay_max: -0.5", "retry_delay_max must be a number of seconds from 0 on, not -0.5"),
        ("retry_delay_max: []", "must be a number, not a list"),
        ("on_lost: reruns", "on_lost must be one of rerun, error, not 'reruns'"),
        ("on_lost: ERROR", "must be one of rerun, error, not 'ERROR'"),
        ("on_lost: no", "on_lost must be a string, not false; put quotes around it"),
        ("type_limit: 0", "from 1 to"),
        ("resource_type: ''", "must not be empty"),
        ("weight: heavy", "must be a number, not the string 'heavy'"),
        ("weight: .inf", "not a finite number"),
        ("status: DONE", "status must be one of PENDING, INPROGRESS, SUCCESS"),
        ("status: pending", "not 'pending'"),
    ],
)
def test_parameters_that_are_refused(parameter: str, part: str) -> None:
    found = the_mistake(with_parameter(parameter))
    assert found[:2] == (6, 5 + parameter.index(":") + 2)
    assert part in found[2]


@pytest.mark.parametrize(
    ("parameters", "delays"),
    [
        ("retry: 1", (0, None)),
        ("retry_delay: null, retry_delay_max: null", (0, None)),
        ("retry_delay: 0, retry_delay_max: 0", (0, 0)),
        ("retry_delay: 7200", (7200, None)),
        ("retry_delay_max: 5", (0, 5)),
        ("retry_delay_max: 5, retry_delay: 5.0", (5, 5)),
    ],
)
def test_delays_that_are_taken(parameters: str, delays: tuple[float, float | None]) -> None:
    [task] = parse(f"name: p\ntasks: [{{uid: a, parameters: {{type: cmd, {parameters}}}}}]").tasks
    assert (task.retry_delay, task.retry_delay_max) == delays


@pytest.mark.parametrize(
    ("parameters", "key", "wrong"),
    [
        (
            "retry_delay: 5, retry_delay_max: 4.5",
            "retry_delay_max",
            "must be at least retry_delay, which is 5, not 4.5",
        ),
        (
            "retry_delay_max: 0, retry_delay: 0.1",
            "retry_delay_max",
            "must be at least retry_delay, which is 0.1, not 0",
        ),
        # What is refused by itself is not compared.
        ("retry_delay_max: 1, retry_delay: x", "retry_delay", "must be a number, not the string 'x'"),
        ("retry_delay: 5, retry_delay_max: x", "retry_delay_max", "must be a number, not the string 'x'"),
    ],
)
def test_delays_that_are_refused(parameters: str, key: str, wrong: str) -> None:
    line = f"- {{uid: a, parameters: {{type: cmd, {parameters}}}}}"
    column = line.index(f"{key}: ") + len(f"{key}: ") + 1
    assert the_mistake(f"name: p\ntasks:\n{line}") == (3, column, f"{key} {wrong}")


@pytest.mark.parametrize("on_lost", list(OnLost))
def test_what_becomes_of_a_lost_task_is_taken(on_lost: OnLost) -> None:
    assert parse(with_parameter(f"on_lost: {on_lost}")).tasks[0].on_lost is on_lost


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("retries", "; did you mean 'retry'?"),
        ("timelimt", "; did you mean 'timelimit'?"),
        ("retry-delay", "; did you mean 'retry_delay'?"),
        ("on-lost", "; did you mean 'on_lost'?"),
        ("after", "; it belongs beside parameters, not under them"),
        ("xyz", ""),
    ],
)
def test_unknown_parameters(key: str, hint: str) -> None:
    found = the_mistake(with_parameter(f"{key}: []"))
    assert found[:2] == (6, 5)
    assert found[2] == f"unknown key '{key}' in a task's parameters{hint}"


@pytest.mark.parametrize("type_", ["ping", "kill", "_cmd", "__class__", "a.b", "a-b", "1a", "''", "3"])
def test_types_that_are_refused(type_: str) -> None:
    text = f"name: p\ntasks:\n- uid: a\n  parameters: {{type: {type_}}}"
    assert the_mistake(text)[:2] == (4, 22)


@pytest.mark.parametrize(
    ("edges", "column", "part"),
    [
        ("after: b", 10, "after must be a list, not the string 'b'; write [b]"),
        ("before: [a]", 12, "the task 'a' cannot come before itself"),
        ("after: [a]", 11, "the task 'a' cannot come after itself"),
        ("after: [1]", 11, "after must hold names of tasks, not the number 1; put quotes around it"),
        ("before: [{b: c}]", 12, "before must hold names of tasks, not a mapping"),
        ("after: [b, tsak]", 14, "after names 'tsak', and there is no such task; did you mean 'task'?"),
    ],
)
def test_edges_that_are_refused(edges: str, column: int, part: str) -> None:
    text = f"""\
name: p
tasks:
- uid: b
  parameters: {{type: noop}}
- uid: task
  parameters: {{type: noop}}
- uid: a
  parameters: {{type: noop}}
  {edges}
"""
    assert the_mistake(text) == (9, column, part)


def test_a_refused_name_that_others_use_is_one_mistake() -> None:
    text = """\
name: p
tasks:
- uid: 1
  parameters: {type: noop}
- uid: a
  parameters: {type: noop}
  after: ["1"]
"""
    assert the_mistake(text)[0] == 3


# -- cycles --------------------------------------------------------------------


def test_a_cycle_is_shown_where_it_closes() -> None:
    text = """\
name: p
tasks:
- uid: a
  parameters: {type: noop}
  after: [free, c]
- uid: b
  parameters: {type: noop}
  after: [a]
- uid: c
  parameters: {type: noop}
  after: [b]
- uid: free
  parameters: {type: noop}
- uid: x
  parameters: {type: noop}
- uid: y
  parameters: {type: noop}
  before: [free, x]
  after: [x]
"""
    assert mistakes_of(text) == [
        (5, 17, "the tasks wait for each other in a circle: a -> b -> c -> a"),
        (18, 18, "the tasks wait for each other in a circle: x -> y -> x"),
    ]


def test_a_cycle_through_a_task_without_a_name() -> None:
    text = """\
name: p
tasks:
- uid: a
  parameters: {type: noop}
- parameters: {type: noop}
  after: [a]
  before: [a]
"""
    assert [m[2] for m in mistakes_of(text)] == [
        "the key uid is missing in a task",
        "the tasks wait for each other in a circle: a -> (task 2) -> a",
    ]


def test_a_long_cycle_is_shown_in_part() -> None:
    count = 500
    edges = {f"t{i}": [f"t{(i - 1) % count}"] for i in range(count)}
    message = the_mistake(with_edges(**edges))[2]
    assert "t14 -> (471 more) -> t486 ->" in message
    assert message.endswith("t499 -> t0")


def test_cycles_are_bounded() -> None:
    edges: dict[str, list[str]] = {}
    for i in range(15):
        edges |= {f"a{i}": [f"b{i}"], f"b{i}": [f"a{i}"]}
    assert len(mistakes_of(with_edges(**edges))) == parse_module.MAX_CYCLES


@settings(max_examples=200, deadline=None)
@given(data=st.data(), size=st.integers(2, 10))
def test_any_cycle_is_told_as_a_path_that_is_there(data: st.DataObject, size: int) -> None:
    names = [f"t{i}" for i in range(size)]
    others = {name: st.lists(st.sampled_from([n for n in names if n != name]), max_size=2) for name in names}
    after = {name: data.draw(others[name]) for name in names}
    before = {name: data.draw(others[name]) for name in names}
    ring = data.draw(st.permutations(names))[: data.draw(st.integers(2, size))]
    for i, name in enumerate(ring):
        after[name].append(ring[i - 1])
    # One line for each task, one column range for each edge: places can be checked.
    lines = ["name: p", "tasks:"]
    for name in names:
        lines.append(
            f"- {{uid: {name}, parameters: {{type: noop}}, before: {json.dumps(before[name])},"
            f" after: {json.dumps(after[name])}}}"
        )
    found = mistakes_of("\n".join(lines))
    for line, column, message in found:
        path = message.removeprefix("the tasks wait for each other in a circle: ").split(" -> ")
        assert path[0] == path[-1]
        assert len(set(path)) == len(path) - 1 >= 2
        for earlier, later in itertools.pairwise(path):
            assert earlier in after[later] or later in before[earlier]
        # The place is that of the edge from the last task to the first.
        holder = names[line - 3]
        edge = re.match(r'"(t\d+)"', lines[line - 1][column - 1 :])
        assert edge is not None
        assert (holder, edge[1]) in ((path[0], path[-2]), (path[-2], path[0]))


# -- bounds ----------------------------------------------------------------------


def test_many_mistakes_are_bounded_and_counted() -> None:
    text = "name: p\ntasks:\n" + "".join(f"- uid: {i}\n  parameters: {{type: x}}\n" for i in range(3000))
    found = mistakes_of(text)
    assert len(found) == parse_module.MAX_MISTAKES + 1
    assert [line for line, _, _ in found[:-1]] == list(range(3, 203, 2))
    assert found[-1][2] == "and 2900 more mistakes"


def test_exactly_as_many_as_are_shown_need_no_last_line() -> None:
    count = parse_module.MAX_MISTAKES
    text = "name: p\ntasks:\n" + "".join(f"- uid: {i}\n  parameters: {{type: x}}\n" for i in range(count))
    assert "more mistakes" not in mistakes_of(text)[-1][2]


def test_a_large_plan_with_many_unknown_names_ends() -> None:
    tasks: list[Any] = [
        {"uid": f"task-{i}", "parameters": {"type": "noop"}, "after": [f"tusk-{i}"]} for i in range(20_000)
    ]
    found = mistakes_of(json.dumps({"name": "p", "tasks": tasks}))
    assert "did you mean 'task-0'" in found[0][2]
    assert found[-1][2] == "and 19900 more mistakes"


def test_deep_nesting_and_aliases_are_mistakes_like_others() -> None:
    assert "deeper" in the_mistake("[" * 200_000)[2]
    bomb = "x: &x [a, a]\ny: &y [*x, *x]\nz: [*y, *y]"
    assert sum("aliases" in message for _, _, message in mistakes_of(bomb)) == 4


@settings(max_examples=300, deadline=None)
@given(st.text() | st.binary())
def test_any_text_is_a_plan_or_a_plan_error(data: str | bytes) -> None:
    with pytest.raises(PlanError) as caught:
        parse(data)
    assert caught.value.mistakes


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_KEYS = st.sampled_from(
    ["name", "uid", "tasks", "parameters", "before", "after", "type", "args", "kwargs", "retry", "status"]
)
_VALUES = st.recursive(
    _SCALARS | st.sampled_from(["a", "b", "cmd"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=25,
)
_TASK = st.fixed_dictionaries(
    {},
    optional={
        "uid": st.sampled_from(["a", "b", "c"]) | _VALUES,
        "parameters": st.dictionaries(_KEYS, _VALUES, max_size=4) | st.just({"type": "cmd"}),
        "after": st.lists(st.sampled_from(["a", "b", "c"])) | _VALUES,
        "before": st.lists(st.sampled_from(["a", "b", "c"])) | _VALUES,
    },
)


@settings(max_examples=300, deadline=None)
@given(name=st.just("p") | _VALUES, tasks=st.lists(_TASK | _VALUES, max_size=4) | _VALUES)
def test_any_values_are_a_plan_or_a_plan_error(name: Any, tasks: Any) -> None:
    text = json.dumps({"name": name, "tasks": tasks})
    try:
        plan = parse(text)
    except PlanError as error:
        assert error.mistakes
        # All stand on the one line, within it.
        assert all(m.line == 1 and 1 <= m.column <= len(text) + 1 for m in error.mistakes)
    else:
        known = [task.name for task in plan.tasks]
        assert len(set(known)) == len(known) == len(tasks)
        assert all(known.index(b) < i for i, task in enumerate(plan.tasks) for b in task.after)
