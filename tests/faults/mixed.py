"""Plans of mixed tasks, made from a seed."""

from __future__ import annotations

import random
from typing import Any

from checker import guarded
from harness import plan, task


def mixed(seed: int, count: int = 60, name: str = "mixed") -> dict[str, Any]:
    """A plan in which everything ends in SUCCESS, whatever is killed meanwhile.

    Commands of several lengths, some with children; tasks that fail at first,
    at once or after a delay; a time limit and a timeout that strike at first;
    targets and limits of types; up to three predecessors each.
    """
    chance = random.Random(seed)
    tasks = []
    for number in range(count):
        after = (
            sorted({f"t{chance.randrange(number)}" for _ in range(chance.randint(0, 3))}) if number else []
        )
        type_, args, parameters = _kind(chance)
        if chance.random() < 0.3:
            parameters["target"] = f"host{chance.randrange(4)}"
        parameters["weight"] = chance.randrange(5)
        tasks.append(task(f"t{number}", type_, *args, after=after, **parameters))
    return plan(*tasks, name=name)


def _kind(chance: random.Random) -> tuple[str, list[Any], dict[str, Any]]:
    drawn = chance.random()
    nap = f"sleep {chance.choice([0, 0.02, 0.1, 0.3, 0.6])}"
    if drawn < 0.45:
        return "cmd", [guarded(nap)], {}
    if drawn < 0.55:
        # Children, one in a process group of its own.  A limit of a type binds only those who have it.
        return (
            "cmd",
            [guarded(f"(sleep 0.1; :) & timeout 60 {nap}; wait")],
            {"type_limit": 3, "resource_type": "group"},
        )
    if drawn < 0.65:
        # Fails until it has succeeded to make a directory: the attempts that count are those that ran.
        body = f'{nap}; [ -e "$SITE/once.$SOLAR_TASK_NAME" ] || {{ touch "$SITE/once.$SOLAR_TASK_NAME"; exit 7; }}'
        return "cmd", [guarded(body)], {"retry": 3, "retry_delay": chance.choice([0, 0.05, 0.3])}
    if drawn < 0.7:
        return "cmd", [guarded(_slow_once())], {"retry": 50, "timelimit": 1.0}
    if drawn < 0.75:
        return "cmd", [guarded(_slow_once())], {"retry": 50, "timeout": 2.0}
    if drawn < 0.85:
        return "sleep", [chance.choice([0, 0.05, 0.2])], {}
    return chance.choice(["noop", "echo"]), [], {}


def _slow_once() -> str:
    """Hangs the first time, and is quick when it is tried again."""
    return '[ -e "$SITE/slow.$SOLAR_TASK_NAME" ] || { touch "$SITE/slow.$SOLAR_TASK_NAME"; sleep 60; }'
