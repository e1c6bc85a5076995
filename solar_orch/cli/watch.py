"""``report --watch``: a plan shown on stdout while it runs."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Protocol

from solar_orch.api.follow import ENDS, Ended, Follower
from solar_orch.cli.messages import say
from solar_orch.cli.progress import estimate, line
from solar_orch.cli.table import write_line
from solar_orch.collector import collect_from_now_on
from solar_orch.errors import ExitCode
from solar_orch.plan import report
from solar_orch.states import PlanStatus, State

if TYPE_CHECKING:
    from solar_orch.cli.arguments import App
    from solar_orch.cli.live import LiveWatch

#: Seconds between looks; and, in a pipe, between two lines that say how the plan stands.
_LOOK = 0.2
_SUMMARY = 10.0


class Watch(Protocol):
    """Shows one plan; used as a context manager."""

    @property
    def tells(self) -> Collection[State]:
        """The states of which :meth:`show` has to be given the ends."""

    def show(self, follower: Follower, ended: Sequence[Ended]) -> None:
        """Show how the plan stands after a look."""

    def conclude(self, follower: Follower) -> None:
        """Show what is to stay, after the context has been left."""


def watch_plan(app: App, uid: str, wait: float | None) -> ExitCode:
    """Show a plan until it is over, or so many seconds are.

    :param wait: None for as long as it takes
    :return: the exit code that its tasks stand for, or that the wait ran out
    :raises UnknownPlan: if there is no such plan, or no longer
    """
    collect_from_now_on()
    deadline = math.inf if wait is None else time.monotonic() + wait
    watch = make_watch()
    follower = app.orchestrator.follow(uid, told=watch.tells)
    # As `report -w` has it: of a plan that was never told to run there may be nothing to wait for.
    over = app.orchestrator.is_over(follower.plan.uid)
    if follower.plan.status is PlanStatus.PENDING and not over:
        say(f"{follower.plan.uid} has not been told to run yet: solar-orch run-once {follower.plan.uid}")
    with watch:
        while True:
            watch.show(follower, follower.look())
            over = over or follower.over
            left = deadline - time.monotonic()
            if over or left <= 0:
                break
            time.sleep(min(_LOOK, left))
    watch.conclude(follower)
    plan = follower.plan
    write_line(report.headline(plan.uid, plan.name, plan.status))
    write_line(_standing(follower))
    if not over:
        say(f"the plan is not over after {wait:g} s")
        return ExitCode.WAIT_EXPIRED
    return ExitCode.FAILURE if app.orchestrator.has_failed(plan.uid) else ExitCode.OK


def make_watch() -> LiveWatch | PlainWatch:
    """What fits where stdout leads to."""
    if not sys.stdout.isatty():
        return PlainWatch()
    from solar_orch.cli.live import live_watch

    return live_watch() or PlainWatch()


class PlainWatch:
    """A line for each attempt that ends, and now and then one that says how the plan stands.

    :param now: the monotonic clock
    """

    tells = ENDS

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._said: str | None = None
        self._said_at = -math.inf

    def __enter__(self) -> PlainWatch:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, follower: Follower, ended: Sequence[Ended]) -> None:
        """Write what is new."""
        if self._said is None:
            # Those that had failed before.
            ended = [Ended(task.name, task.status, task) for task in follower.failed]
        for one in ended:
            write_line(line(one))
        standing = _standing(follower)
        if standing != self._said and self._now() - self._said_at >= _SUMMARY:
            self._said, self._said_at = standing, self._now()
            about = estimate(follower)
            write_line(f"-- {follower.plan.status}: {standing}{f'; {about}' if about else ''}")

    def conclude(self, follower: Follower) -> None:
        """All has been said."""


def _standing(follower: Follower) -> str:
    return f"{follower.settled} of {follower.total} tasks settled: {report.tally(follower.counts)}"
