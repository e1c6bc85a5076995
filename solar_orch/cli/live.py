"""A running plan in a terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from solar_orch.api.follow import Ended, Follower, Running
from solar_orch.cli.display import STYLES
from solar_orch.cli.progress import WHOEVER_LOOKS, line
from solar_orch.plan import report
from solar_orch.states import SETTLED, State


def live_progress() -> LiveProgress | None:
    """None if the terminal cannot show it."""
    console = Console(stderr=True, highlight=False)
    return None if console.is_dumb_terminal else LiveProgress(console)


class LiveProgress:
    """A bar and the tasks that are running; failures stay above them."""

    tells = frozenset({State.ERROR, State.ERROR_RETRY})

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
        with WHOEVER_LOOKS:
            self._live.stop()

    def show(self, follower: Follower, ended: Sequence[Ended]) -> None:
        with WHOEVER_LOOKS:
            for one in ended:
                self._console.print(Text(line(one), STYLES[one.state]), soft_wrap=True)
            self._live.update(self._picture(follower), refresh=True)

    def say(self, message: str) -> None:
        with WHOEVER_LOOKS:
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
