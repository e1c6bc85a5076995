"""A running plan in a terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from solar_orch.api.follow import FAILED_LIMIT, Ended, Follower, Running
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
        return Group(bar, *_running(follower.running(), self._console.width, room))


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
        number = follower.counts[State.ERROR]
        for failure in _failed(follower.failed, number, self._console.width, FAILED_LIMIT):
            self._console.print(failure)

    def _picture(self, follower: Follower) -> RenderableType:
        plan, counts = follower.plan, follower.counts
        width, room = self._console.width, max(2, self._console.height - _MARGIN)
        running, failed = follower.running(), follower.failed
        # Each has half of the room, and what the other leaves.
        for_failed = min(counts[State.ERROR], max(room // 2, room - len(running)))
        for_running = max(1, room - for_failed)
        return Group(
            Text(report.headline(plan.uid, plan.name, plan.status), no_wrap=True, overflow="ellipsis"),
            _bar(follower, width),
            Text(report.tally(counts), no_wrap=True, overflow="ellipsis"),
            *_running(running, width, for_running),
            *_failed(failed, counts[State.ERROR], width, for_failed),
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


def _running(running: Sequence[Running], width: int, room: int) -> list[RenderableType]:
    """At most so many lines: those that run longest first, those that nobody has claimed last."""
    now = time.time()
    ordered = sorted(running, key=lambda task: now if task.start_time is None else task.start_time)
    rows = []
    for task in ordered:
        since = "waiting" if task.start_time is None else report.seconds(max(0.0, now - task.start_time))
        rows.append((Text(since, "cyan"), report.shown(task.name), report.shown(task.target or "")))
    shown = rows if len(rows) <= room else rows[: max(1, room - 1)]
    return _lines(shown, len(rows), width)


def _failed(failed: Sequence[Outcome], number: int, width: int, room: int) -> list[RenderableType]:
    """At most so many lines: the latest failures last.

    :param number: of all that have failed
    """
    kept = failed if number <= room else failed[-max(1, room - 1) :]
    rows = [
        (Text("failed", "bold red"), report.shown(task.name), report.cells(task, 0.0)[-1]) for task in kept
    ]
    return _lines(rows, number, width)


def _lines(rows: Sequence[tuple[Text, str, str]], number: int, width: int) -> list[RenderableType]:
    """A line for each row: a mark, a name and more; cut where the terminal ends.

    :param number: of those that there are; if it is larger a line says how many are not shown
    """
    if not rows:
        return []
    marks = max(mark.cell_len for mark, _, _ in rows)
    # A name leaves room for what comes after it.
    names = min(max(cell_len(name) for _, name, _ in rows), width // 2)
    lines: list[RenderableType] = []
    for mark, name, more in rows:
        named = Text(name)
        named.truncate(names, overflow="ellipsis", pad=True)
        mark.pad_left(marks - mark.cell_len)
        lines.append(Text.assemble(mark, "  ", named, "  ", more, no_wrap=True, overflow="ellipsis"))
    left = number - len(rows)
    return [*lines, Text(f"and {left} more", "dim")] if left > 0 else lines
