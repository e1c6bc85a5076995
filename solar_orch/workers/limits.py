"""Limits of other packages, as they count for one plan, and kept from doing harm."""

from __future__ import annotations

import logging
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from solar_orch.plan.limits import Limited

if TYPE_CHECKING:
    from solar_orch.contracts.parts import Limit

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """What limits are told of a plan; a :class:`solar_orch.contracts.parts.LimitedPlan`."""

    uid: str
    tasks: Sequence[Limited]


class PlanLimit:
    """One limit for one plan; a :class:`solar_orch.plan.limits.Rule`.

    What the limit raises counts as a refusal; the first time it is logged.
    """

    def __init__(self, name: str, limit: Limit, plan: Plan) -> None:
        self.name = name
        self._limit = limit
        self._plan = plan
        self._has_failed = False

    def allows(self, running: Collection[Limited], candidate: Limited) -> bool:
        """Whether the limit lets `candidate` start."""
        try:
            return bool(self._limit.allows(self._plan, running, candidate))
        except Exception as error:
            self._note_failure(candidate, error)
            return False

    def group(self, candidate: Limited) -> Hashable:
        """The limit's group of `candidate`; one of its own if it makes no groups."""
        group = getattr(self._limit, "group", None)
        if group is None:
            return candidate.position
        try:
            found: Hashable = group(self._plan, candidate)
            hash(found)
        except Exception as error:
            self._note_failure(candidate, error)
            return candidate.position
        return found

    def _note_failure(self, candidate: Limited, error: Exception) -> None:
        if not self._has_failed:
            self._has_failed = True
            LOG.error(
                "%s: the limit %s failed on %s, and lets tasks start one by one at best",
                self._plan.uid,
                self.name,
                candidate.name,
                exc_info=error,
            )


def made_for(uid: str, tasks: Sequence[Limited], limits: Mapping[str, Limit]) -> list[PlanLimit]:
    """Limits, by their names, as they count for one plan."""
    plan = Plan(uid, tasks)
    return [PlanLimit(name, limit, plan) for name, limit in limits.items()]
