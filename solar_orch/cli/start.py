"""``run-once`` and the like: a plan is wanted, told of, and perhaps waited for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from solar_orch.cli.display import report_plan
from solar_orch.cli.messages import say
from solar_orch.config import GROUP
from solar_orch.errors import ExitCode

if TYPE_CHECKING:
    from solar_orch.cli.arguments import App

#: Seconds between looks for workers while waiting.
_LOOK = 1.0


def follow_start(app: App, uid: str, wait: float | None) -> ExitCode:
    """See that there are workers for a plan that is wanted, and wait for its end if that is asked for.

    :param uid: its own, not ``last``
    :param wait: seconds to wait for the end of the plan, whose report is then printed; None not to wait
    :return: the exit code
    :raises UnknownPlan: if there is no such plan
    """
    missing = app.orchestrator.missing_workers()
    if missing:
        return _no_worker(uid, missing)
    if wait is None:
        return ExitCode.OK
    watch = _Watch(app)
    over = app.orchestrator.wait(uid, wait, watch.look)
    code = report_plan(app, uid)
    if over:
        return code
    if watch.gone:
        return _no_worker(uid, watch.missing)
    say(f"{uid} is not over after {wait:g} s; it goes on")
    return ExitCode.WAIT_EXPIRED


class _Watch:
    """Sees during a wait whether the workers have gone for good."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._lease: float = app.conf[GROUP].lease
        self._next_look = 0.0
        self._seen = time.monotonic()
        #: The workers that were not up at the last look.
        self.missing: list[str] = []
        #: Whether that has been so for a lease, in which they could have been started again.
        self.gone = False

    def look(self) -> bool:
        """Look for the workers; whether they are gone."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK
            self.missing = self._app.orchestrator.missing_workers()
            if not self.missing:
                self._seen = now
            self.gone = now - self._seen > self._lease
        return self.gone


def _no_worker(uid: str, missing: list[str]) -> ExitCode:
    workers = " and no ".join(f"{name} worker" for name in missing)
    say(f"no {workers} is up: {uid} starts when one is (solar-worker)")
    return ExitCode.NO_WORKER
