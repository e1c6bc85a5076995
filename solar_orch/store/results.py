"""What earlier tasks of a plan have come to, for those that depend on it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from solar_orch.states import State
from solar_orch.store import raw
from solar_orch.store.database import Database

_RESULTS = """
    SELECT json_group_array(json_array(tasks.name, json(tasks.result)))
    FROM json_each(?2) AS item
    CROSS JOIN tasks ON tasks.plan_id = ?1 AND tasks.name = item.value
    WHERE tasks.result IS NOT NULL
"""
_CONDITIONS = """
    SELECT json_group_array(json_array(tasks.position, tasks.condition))
    FROM json_each(?2) AS item
    CROSS JOIN tasks ON tasks.plan_id = ?1 AND tasks.position = item.value
    WHERE tasks.condition IS NOT NULL
"""
_PREDECESSORS = """
    SELECT json_group_array(json_array(parents.name, parents.status))
    FROM plans
    JOIN tasks ON tasks.plan_id = plans.id AND tasks.name = ?2
    JOIN edges ON edges.plan_id = plans.id AND edges.child = tasks.position
    JOIN tasks AS parents ON parents.plan_id = plans.id AND parents.position = edges.parent
    WHERE plans.uid = ?1
"""


class Results:
    """All methods block on the database and raise what ``Database`` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, plan_id: int, names: Iterable[str]) -> dict[str, Any]:
        """The results of these tasks, by name; those that have none are left out."""
        wanted = raw.array(sorted(set(names)))
        return dict(json.loads(self._database.ask(_RESULTS, (plan_id, wanted))))

    def conditions(self, plan_id: int, positions: Iterable[int]) -> dict[int, str]:
        """The conditions of these tasks, by position; those that have none are left out."""
        found = self._database.ask(_CONDITIONS, (plan_id, raw.array(positions)))
        return dict(json.loads(found))

    def predecessors(self, plan_uid: str, name: str) -> dict[str, State]:
        """The states of the tasks right before this one, by name."""
        found = self._database.ask(_PREDECESSORS, (plan_uid, name))
        return {before: State(status) for before, status in json.loads(found)}
