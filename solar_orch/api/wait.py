"""Waiting for the end of a plan."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from solar_orch.collector import collect_from_now_on
from solar_orch.plan.progress import Progress
from solar_orch.states import PlanStatus

if TYPE_CHECKING:
    from solar_orch.store import Store
    from solar_orch.store.plans import PlanRow

#: Statuses of plans of which nothing more is started.
ENDED = frozenset({PlanStatus.FINISHED, PlanStatus.FAILED, PlanStatus.STOPPED})

#: Seconds between looks: from the first, growing to the last.
_PAUSES = (0.05, 0.25)


def until_over(store: Store, uid: str, seconds: float, give_up: Callable[[], bool] = lambda: False) -> bool:
    """Wait until nothing of the plan runs and nothing more can; blocks on the database and sleeps.

    :param seconds: for which to wait; may be infinite
    :param give_up: asked between looks; the wait ends when it says so
    :return: whether the plan is over
    :raises UnknownPlan: if there is no such plan, or no longer
    """
    collect_from_now_on()
    plan = store.plans.get(uid)
    if has_nothing_to_do(store, plan):
        return True
    deadline = time.monotonic() + seconds if math.isfinite(seconds) else math.inf
    pause = _PAUSES[0]
    # By its own uid, because `last` may come to mean another.
    while not is_over(store, plan.uid):
        left = deadline - time.monotonic()
        if left <= 0 or give_up():
            return False
        time.sleep(min(pause, left))
        pause = min(pause * 1.2, _PAUSES[1])
    return True


def is_over(store: Store, uid: str) -> bool:
    """Whether the plan has been run and nothing of it runs any more.

    :raises UnknownPlan: if there is no such plan
    """
    plan = store.plans.get(uid)
    return plan.status in ENDED and not store.plans.in_progress(plan.id)


def has_nothing_to_do(store: Store, plan: PlanRow) -> bool:
    """Whether a plan was never told to run, and would have nothing to do: a file may say that all is done."""
    if plan.status is not PlanStatus.PENDING:
        return False
    loaded = store.plans.load(plan.id)
    if loaded is None:
        return True
    tasks, edges = loaded.graph.tasks, loaded.graph.edges
    return Progress(tasks, edges, max_inprogress=1, target_limit=1, resend_interval=0, now=0).finished
