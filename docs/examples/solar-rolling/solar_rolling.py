"""A limit: how many percent of a plan's targets are worked on at once."""

from __future__ import annotations

from collections.abc import Collection, Hashable

from oslo_config import cfg

from solar_orch.contracts.parts import LimitedPlan
from solar_orch.plan.limits import Limited

#: The version of the contracts of solar_orch that this was written for.
solar_orch_api = "1"

#: Plans of which the number of targets is remembered.
_REMEMBERED = 100


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options of group ``[rolling]``."""
    percent = cfg.IntOpt(
        "percent",
        default=25,
        min=1,
        max=100,
        help="How many percent of the targets of a plan have tasks in progress at once; at least one has.",
    )
    return [("rolling", [percent])]


class Rolling:
    """Lets a task start if its target is worked on already, or one more may be.

    A target is worked on while a task of it is in progress.  Tasks without a target always may start.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._percent: int = conf.rolling.percent
        self._known: dict[str, tuple[Collection[Limited], int]] = {}

    def allows(self, plan: LimitedPlan, running: Collection[Limited], candidate: Limited) -> bool:
        """Whether `candidate` may start beside those that are in progress."""
        worked_on = {task.target for task in running if task.target is not None}
        if candidate.target is None or candidate.target in worked_on:
            return True
        return len(worked_on) < max(1, self._targets(plan) * self._percent // 100)

    def group(self, plan: LimitedPlan, candidate: Limited) -> Hashable:
        """Those with one target are treated alike."""
        # So are all targets that are not worked on, but which these are changes while candidates wait, and a
        # refusal of one of theirs would speak for the further tasks of a target that is worked on.
        return candidate.target

    def _targets(self, plan: LimitedPlan) -> int:
        """How many there are; counted once, since this is asked for each task that could start."""
        tasks, number = self._known.get(plan.uid, (None, 0))
        if tasks is not plan.tasks:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            number = len({task.target for task in plan.tasks if task.target is not None})
            self._known[plan.uid] = plan.tasks, number
        return number
