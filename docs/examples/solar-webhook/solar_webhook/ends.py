"""The ends of plans: found in the database, where they stand whoever else is told of them or not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from solar_orch.errors import UnknownPlan
from solar_orch.states import PlanStatus, State
from solar_orch.store import Store

#: The statuses of plans that have ended, by their names.
STATUSES = {str(status): status for status in (PlanStatus.FINISHED, PlanStatus.FAILED, PlanStatus.STOPPED)}

#: How many failed tasks are named.
_NAMED = 20
#: Characters of a task's error that are told.
_ERROR = 500


@dataclass(frozen=True)
class End:
    """One end of one plan: a plan that is tried again ends again."""

    #: The same however often it is told.
    id: str
    body: bytes


def end_of(store: Store, uid: str, wanted: Collection[str]) -> End | None:
    """The end of a plan; None if it has none that is wanted.

    Blocks on the database.

    :param wanted: the statuses of which is told
    :raises StillRuns: if it has not ended yet
    :raises DatabaseUnavailable: if the database cannot be read
    """
    try:
        plan = store.plans.get(uid)
        if plan.status is PlanStatus.RUNNING or store.plans.in_progress(plan.id):
            raise StillRuns
        if str(plan.status) not in wanted:
            return None
        event = store.plans.last_event(plan.id)
        plan, outcomes = store.plans.outcomes(uid, output=False)
    except UnknownPlan:  # deleted meanwhile
        return None
    failed = [task for task in outcomes if task.status is State.ERROR]
    data = {
        "uid": plan.uid,
        "name": plan.name,
        "status": str(plan.status),
        "tasks": dict(Counter(str(task.status) for task in outcomes)),
        "failed": [{"name": task.name, "error": (task.errmsg or "")[:_ERROR]} for task in failed[:_NAMED]],
    }
    return End(f"plan_{plan.id}_{event}", _body(str(plan.status), data))


class StillRuns(Exception):  # noqa: N818 - it is no error
    """Raised where a plan was to have ended."""


def _body(status: str, data: dict[str, Any]) -> bytes:
    told = {
        "type": f"plan.{status}",
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": data,
    }
    return json.dumps(told).encode()
