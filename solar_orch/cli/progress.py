"""A running plan as it is shown on stderr: live in a terminal, else a line for each task that ends."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Protocol

from solar_orch.api.follow import ENDS, Ended, Follower
from solar_orch.plan import pace, report
from solar_orch.states import State

if TYPE_CHECKING:
    from solar_orch.cli.live import LiveProgress

#: A plan goes on though nobody sees it any more.
WHOEVER_LOOKS = contextlib.suppress(OSError)

_LOG_FORMAT = "%(levelname)s %(name)s: %(message)s"


class Progress(Protocol):
    """Shows one plan; used as a context manager, within which logging goes to :meth:`say`."""

    @property
    def tells(self) -> Collection[State]:
        """The states of which :meth:`show` has to be given the ends."""

    def show(self, follower: Follower, ended: Sequence[Ended]) -> None:
        """Show how the plan stands after a look."""

    def say(self, message: str) -> None:
        """Show a line of its own."""


def make_progress() -> LiveProgress | PlainProgress:
    """What fits where stderr and stdout lead to."""
    if not (sys.stderr.isatty() and sys.stdout.isatty()):
        return PlainProgress()
    from solar_orch.cli.live import live_progress

    return live_progress() or PlainProgress()


def line(ended: Ended) -> str:
    """What became of one attempt."""
    outcome = ended.outcome
    parts = [f"{ended.state:<7}", report.shown(ended.name)]
    if outcome is not None and outcome.duration is not None:
        parts.append(report.seconds(outcome.duration))
    if outcome is not None and outcome.errmsg:
        parts.append(report.first_line(outcome.errmsg))
    return "  ".join(parts)


def estimate(follower: Follower) -> str:
    """How long the rest of the plan will take; empty if that cannot be told."""
    left = follower.left()
    # Tasks that wait for one that has failed will not run.
    return "" if left is None else pace.said(left, at_most=bool(follower.counts[State.ERROR]))


class PlainProgress:
    """Lines."""

    tells = ENDS

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, follower: Follower, ended: Sequence[Ended]) -> None:
        for one in ended:
            self.say(line(one))

    def say(self, message: str) -> None:
        with WHOEVER_LOOKS:
            # What its encoding lacks it writes as an escape.
            sys.stderr.write(f"{message}\n")
            sys.stderr.flush()


class ProgressHandler(logging.Handler):
    """Logging that does not disturb what is shown."""

    def __init__(self, progress: Progress, level: int) -> None:
        super().__init__(level)
        self._progress = progress
        self.setFormatter(logging.Formatter(_LOG_FORMAT))

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record."""
        try:
            self._progress.say(self.format(record))
        except Exception:
            self.handleError(record)
