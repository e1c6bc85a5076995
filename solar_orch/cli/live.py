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
from solar_orch.cli.progress import WHOEVER_LOOKS, estimate, line
from solar_orch.plan import report
from solar_orch.plan.report import Outcome
from solar_orch.states import State

#: Rows of tasks that are shown at most, and what is left free of the terminal's height for the rest.
_MOST_ROWS = 10
_MARGIN = 4


def live_progress() -> LiveProgress | None:
    """For ``run``, on stderr; None if the terminal cannot show it."""
    console = Console(stderr=True, highlight=False)
    return None if console.is_dumb_terminal else LiveProgress(console)


def live_watch() -> LiveWatch | None:
    """For ``report --watch``, on stdout; None if the terminal cannot show it."""
    console = Console(highlight=False)
    return None if console.is_dumb_terminal else LiveWatch(console)


class LiveProgress:
    """A bar and the tasks that are running; failures stay above them."""

    tells = frozenset({State.ERROR, State.ERROR_RETRY})

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
        failed = follower.counts[State.ERROR]
        bar = _bar(
            follower,
            self._console.width,
            Text(report.seconds(time.monotonic() - self._begun)),
            Text(f"{failed} failed" if failed else "", "bold red"),
        )
        room = max(1, min(_MOST_ROWS, self._console.height - _MARGIN))
        return Group(bar, *_running(follower.running(), room))


class LiveWatch:
    """How the plan stands, the tasks that are running, and those that have failed."""

    tells = frozenset({State.ERROR})

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> LiveWatch:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, follower: Follower, ended: Sequence[Ended]) -> None:
        """Draw it anew."""
        self._live.update(self._picture(follower), refresh=True)

    def conclude(self, follower: Follower) -> None:
        """Show what is to stay when the picture is gone: the failures."""
        for row in _failed(follower.failed, follower.counts[State.ERROR], len(follower.failed)):
            self._console.print(row)

    def _picture(self, follower: Follower) -> RenderableType:
        plan, counts = follower.plan, follower.counts
        room = max(2, self._console.height - _MARGIN)
        failed = follower.failed
        # Each has half of the room, and what the other leaves.
        running = follower.running()
        for_failed = min(len(failed) + 1, max(room // 2, room - len(running)))
        for_running = max(1, room - for_failed) if failed else room
        return Group(
            Text(report.headline(plan.uid, plan.name, plan.status), no_wrap=True, overflow="ellipsis"),
            _bar(follower, self._console.width),
            Text(report.tally(counts), no_wrap=True, overflow="ellipsis"),
            *_running(running, for_running),
            *_failed(failed, counts[State.ERROR], for_failed),
        )


def _bar(follower: Follower, width: int, *more: Text) -> RenderableType:
    """How many of the tasks are settled, and how long the others will take."""
    bar = Table.grid(padding=(0, 2, 0, 0))
    for column in range(3 + len(more)):
        bar.add_column(no_wrap=True, overflow="ellipsis" if column else "fold")
    bar.add_row(
        ProgressBar(total=follower.total, completed=follower.settled, width=max(10, min(30, width // 3))),
        f"{follower.settled}/{follower.total}",
        *more,
        estimate(follower),
    )
    return bar


def _running(running: Sequence[Running], room: int) -> list[RenderableType]:
    """At most so many rows: those that run longest first, those that nobody has claimed last."""
    now = time.time()
    ordered = sorted(running, key=lambda task: now if task.start_time is None else task.start_time)
    rows = []
    for task in ordered:
        since = "waiting" if task.start_time is None else report.seconds(max(0.0, now - task.start_time))
        rows.append((Text(since, "cyan"), report.shown(task.name), report.shown(task.target or "")))
    return _rows(rows, len(rows), room)


def _failed(failed: Sequence[Outcome], number: int, room: int) -> list[RenderableType]:
    """At most so many rows, and one for the others: the latest failures last.

    :param number: of all that have failed
    """
    kept = failed[-room:] if len(failed) <= room else failed[len(failed) - room + 1 :]
    rows = [
        (Text("failed", "bold red"), report.shown(task.name), report.cells(task, 0.0)[-1]) for task in kept
    ]
    return _rows(rows, number, max(room, 1))


def _rows(rows: Sequence[tuple[Text, str, str]], number: int, room: int) -> list[RenderableType]:
    shown = rows if number <= room else rows[: max(1, room - 1)]
    if not shown:
        return []
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True, overflow="ellipsis")
    for mark, name, rest in shown:
        table.add_row(mark, Text(name), Text(rest))
    more = number - len(shown)
    return [table, Text(f"and {more} more", "dim")] if more > 0 else [table]
