"""Variables: where they come from, what they become, and what is told of those that cannot be filled in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from solar_orch.errors import PlanError
from solar_orch.plan.model import Task
from solar_orch.plan.parse import parse


def plan_of(parameters: dict[str, Any], variables: dict[str, Any] | None = None, **plan: Any) -> str:
    """One task, ``use``, behind the tasks ``a`` and ``b.c``."""
    tasks = [
        {"uid": "a", "parameters": {"type": "noop"}},
        {"uid": "b.c", "parameters": {"type": "noop"}},
        {"uid": "use", "parameters": {"type": "echo", **parameters}, "after": ["a", "b.c"]},
    ]
    return json.dumps({"name": "p", "vars": variables or {}, "tasks": tasks, **plan})


def read(text: str, **given: str) -> Task:
    return parse(text, variables=given).tasks[-1]


def mistakes(text: str, **given: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        parse(text, variables=given)
    return [mistake.message for mistake in caught.value.mistakes]


def test_a_value_is_of_the_kind_of_its_default():
    variables = {"T": "x", "N": 1, "F": 1.5, "B": False}
    text = plan_of({"args": ["${T}", "${N}", "${F}", "${B}", "<${T}|${N}|${F}|${B}>"]}, variables)
    assert read(text).args == ["x", 1, 1.5, False, "<x|1|1.5|false>"]
    given = {"T": "7", "N": "2", "F": "3", "B": "true"}
    assert read(text, **given).args == ["7", 2, 3, True, "<7|2|3|true>"]


@pytest.mark.parametrize(
    ("default", "given", "part"),
    [(1, "x", "must be a number"), (True, "yes", "must be true or false"), (1.5, "nan", "must be a number")],
)
def test_a_value_of_another_kind_is_refused(default: Any, given: str, part: str):
    [mistake] = mistakes(plan_of({"args": ["${V}"]}, {"V": default}), V=given)
    assert mistake.startswith(f"--var V {part}")


def test_every_undefined_variable_is_told():
    text = plan_of(
        {"args": ["${VERSON} ${OTHER}"], "when": "'a' == ${WHEN} or ${WHAT} == 1"}, {"VERSION": "1"}
    )
    assert [mistake.split(";")[0] for mistake in mistakes(text)] == [
        "undefined variable 'VERSON'",
        "undefined variable 'OTHER'",
        "undefined variable 'WHEN'",
        "undefined variable 'WHAT'",
    ]
    assert "did you mean 'VERSION'?" in mistakes(text)[0]


def test_what_is_given_needs_no_declaration_but_has_to_be_used():
    text = plan_of({"args": ["${V}"]})
    assert read(text, V="x").args == ["x"]
    assert mistakes(text, V="x", W="y") == ["--var gives 'W', and the plan has no such variable"]


def test_what_could_not_be_read_is_one_mistake():
    assert len(mistakes(plan_of({"args": ["${V}"]}, {"V": [1]}))) == 1
    assert len(mistakes(plan_of({"args": ["${V}"]}, vars=[1]))) == 1
    assert len(mistakes(plan_of({}, {"1a": 1}))) == 1


def test_what_is_filled_in_is_never_a_reference_itself():
    task = read(plan_of({"args": ["${V}", "x ${V}"]}, {"V": "$"}), V="${env.SECRET}")
    assert task.args == ["$${env.SECRET}", "x $${env.SECRET}"]
    joined = read(plan_of({"args": ["${V}{X}", "${V}${env.X}"]}, {"V": "$"}))
    assert joined.args == ["$${X}", "${'$'}${env.X}"]


def test_targets_and_conditions_and_what_all_commands_share():
    plan = parse(
        plan_of(
            {"target": "web${N}", "when": "${N} < 3 and ${T} == 'it'"},
            {"N": 2, "T": "it's"},
            cwd="/srv/${N}",
            env={"A": "${N} ${env.S}"},
        )
    )
    assert plan.tasks[-1].target == "web2"
    assert plan.tasks[-1].when == "2 < 3 and \"it's\" == 'it'"
    assert (plan.cwd, plan.env) == ("/srv/2", {"A": "2 ${env.S}"})


def test_a_target_is_checked_again():
    [mistake] = mistakes(plan_of({"target": "${T}"}, {"T": "a\nb"}))
    assert mistake.startswith("target holds a line break")


@pytest.mark.parametrize(
    ("parameters", "plan", "part"),
    [
        ({"target": "${env.X}"}, {}, "${env.X} is a secret"),
        ({"target": "${tasks.a.result}"}, {}, "${tasks.a.result} is a result"),
        ({"when": "${env.X} == 'y'"}, {}, "${env.X} is a secret"),
        ({}, {"cwd": "${tasks.a.result}"}, "${tasks.a.result} is a result"),
        ({"args": ["${tasks.c.result}"]}, {}, "a result of 'c' is used, and there is no such task"),
        ({"args": ["${tasks.use.result}"]}, {}, "the task 'use' cannot use its own result"),
        ({"args": ["${tasks.A.result}"]}, {}, "a result of 'A' is used, and there is no such task; did you mean 'a'?"),
        ({"type": "cmd", "args": ["x `${tasks.a.result}`"]}, {}, "a value cannot be quoted in backticks"),
        ({"type": "cmd", "kwargs": {"command": "# ${env.X}"}}, {}, "a value cannot be quoted in a comment"),
        ({"when": "${tasks.a.result} = 1"}, {}, "when: '= 1' is not understood"),
        ({"type": "fault_tolerance", "args": ["${P}"]}, {"vars": {"P": 101}}, "args of fault_tolerance must be from 0"),
    ],
)  # fmt: skip
def test_references_that_cannot_stand_there(parameters: dict[str, Any], plan: dict[str, Any], part: str):
    [mistake] = mistakes(plan_of(parameters, **plan))
    assert mistake.startswith(part)


def test_a_result_needs_an_edge_of_its_own():
    tasks = [
        {"uid": "a", "parameters": {"type": "noop"}},
        {"uid": "b", "parameters": {"type": "noop"}, "after": ["a"]},
        {"uid": "c", "parameters": {"type": "echo", "args": ["${tasks.a.result}"]}, "after": ["b"]},
    ]
    assert mistakes(json.dumps({"name": "p", "tasks": tasks})) == [
        "a result of 'a' is used without an edge; add 'a' to after of this task"
    ]
    tasks[0]["before"] = ["c"]
    assert read(json.dumps({"name": "p", "tasks": tasks})).after == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("args: ['a ${X}']", 6, 15),
        ('args: [x, "${X}"]', 6, 16),
        ("args:\n    - |\n      first\n      then ${X}", 9, 12),
        ("args: ['it''s ${X}']", 6, 12),  # where characters differ from the value's: its beginning
        ("target: ${X}", 6, 13),
        ("when: 1 == ${X}", 6, 16),
    ],
)
def test_the_place_is_that_of_the_reference(text: str, line: int, column: int):
    with pytest.raises(PlanError) as caught:
        parse(f"name: p\ntasks:\n- uid: a\n  parameters:\n    type: cmd\n    {text}\n")
    [mistake] = caught.value.mistakes
    assert (mistake.line, mistake.column) == (line, column)
