"""A running plan as it is shown on stderr: live in a terminal, else a line for each task that ends."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Sequence
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from solar_orch.cli.display import STYLES
from solar_orch.cli.follow import Ended, Follower, Running
from solar_orch.plan import report
from solar_orch.states import SETTLED, State

#: A plan goes on though nobody sees it any more.
_WHOEVER_LOOKS = contextlib.suppress(OSError)

_LOG_FORMAT = "%(levelname)s %(name)s: %(message)s"


class Progress(Protocol):
    """Shows one plan; used as a context manager, within which logging goes to :meth:`say`."""

    def show(self, follower: Follower, ended: Sequence[Ended]) -> None:
        """Show how the plan stands after a look."""

    def say(self, message: str) -> None:
        """Show a line of its own."""


def make_progress() -> LiveProgress | PlainProgress:
    """What fits where stderr and stdout lead to."""
    live = sys.stderr.isatty() and sys.stdout.isatty()
    console = Console(stderr=True, highlight=False)
    return LiveProgress(console) if live and not console.is_dumb_terminal else PlainProgress()


def _line(ended: Ended) -> str:
    outcome = ended.outcome
    parts = [f"{ended.state:<7}", report.shown(ended.name)]
    if outcome is not None and outcome.duration is not None:
        parts.append(report.seconds(outcome.duration))
    if outcome is not None and outcome.errmsg:
        parts.append(report.first_line(outcome.errmsg))
    return "  ".join(parts)


class PlainProgress:
    """Lines."""

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, follower: Follower, ended: Sequence[Ended]) -> None:
        for one in ended:
            self.say(_line(one))

    def say(self, message: str) -> None:
        with _WHOEVER_LOOKS:
            # What its encoding lacks it writes as an escape.
            sys.stderr.write(f"{message}\n")
            sys.stderr.flush()


class LiveProgress:
    """A bar and the tasks that are running; failures stay above them."""

    #: Rows below the bar, and what is left free of the terminal's height.
    _MOST_RUNNING = 10
    _MARGIN = 4

    def __init__(self, console: Console) -> None:
        self._console = console
        # Drawn from the loop that looks: a thread of its own would compete with the workers.
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._begun = time.monotonic()

    def __enter__(self) -> LiveProgress:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        with _WHOEVER_LOOKS:
            self._live.stop()

    def show(self, follower: Follower, ended: Sequence[Ended]) -> None:
        with _WHOEVER_LOOKS:
            for one in ended:
                if one.state in (State.ERROR, State.ERROR_RETRY):
                    self._console.print(Text(_line(one), STYLES[one.state]), soft_wrap=True)
            self._live.update(self._picture(follower), refresh=True)

    def say(self, message: str) -> None:
        with _WHOEVER_LOOKS:
            self._console.print(Text(message), soft_wrap=True)

    def _picture(self, follower: Follower) -> RenderableType:
        counts = follower.counts
        total = sum(counts.values())
        settled = sum(counts[state] for state in SETTLED)
        bar = Table.grid(padding=(0, 2, 0, 0))
        bar.add_row(
            ProgressBar(total=total, completed=settled, width=max(10, min(30, self._console.width // 3))),
            f"{settled}/{total}",
            report.seconds(time.monotonic() - self._begun),
            Text(f"{counts[State.ERROR]} failed", "bold red") if counts[State.ERROR] else "",
        )
        return Group(bar, *self._running(follower.running()))

    def _running(self, running: Sequence[Running]) -> list[RenderableType]:
        room = max(1, min(self._MOST_RUNNING, self._console.height - self._MARGIN))
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, justify="right")
        table.add_column(no_wrap=True, overflow="ellipsis")
        table.add_column(no_wrap=True, overflow="ellipsis")
        now = time.time()
        for task in running[:room]:
            since = "waiting" if task.start_time is None else report.seconds(max(0.0, now - task.start_time))
            name, target = report.shown(task.name), report.shown(task.target or "")
            table.add_row(Text(since, "cyan"), Text(name), Text(target))
        more = len(running) - room
        return [table, Text(f"and {more} more", "dim")] if more > 0 else [table]


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
