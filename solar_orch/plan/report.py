"""What became of a plan: the report of it as plain data, and as lines that a person reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from solar_orch.states import PlanStatus, State


# Not frozen: they are made by the hundred thousand, and that would take three times as long.
@dataclass(slots=True)
class Outcome:
    """One task and what has become of it so far; times are Unix seconds."""

    position: int
    name: str
    type: str
    target: str | None
    status: State
    errmsg: str | None
    #: Number of its dispatches so far.
    attempt: int
    start_time: float | None
    end_time: float | None
    #: None also where it was not asked for.
    output: str | None = None
    #: Whether its failure counts as visited, and as no failure of the plan.
    ignored: bool = False

    @property
    def has_failed(self) -> bool:
        """Whether it is in ERROR, and that counts."""
        return self.status is State.ERROR and not self.ignored

    @property
    def duration(self) -> float | None:
        """Seconds from its start to its end; None if one of them is missing."""
        if self.start_time is None or self.end_time is None:
            return None
        return max(0.0, self.end_time - self.start_time)


# -- judging -------------------------------------------------------------------


def count(outcomes: Iterable[Outcome]) -> dict[State, int]:
    """Number of the tasks in each state; all states are there."""
    counts = dict.fromkeys(State, 0)
    for outcome in outcomes:
        counts[outcome.status] += 1
    return counts


def total_time(outcomes: Iterable[Outcome]) -> float:
    """Seconds from the first start to the last end; 0 if nothing has ended."""
    timed = [(o.start_time, o.end_time) for o in outcomes]
    starts = [start for start, _ in timed if start is not None]
    ends = [end for _, end in timed if end is not None]
    return max(0.0, max(ends) - min(starts)) if starts and ends else 0.0


def total_delta(outcomes: Iterable[Outcome]) -> float:
    """The sum of the durations of the tasks, in seconds."""
    return sum(outcome.duration or 0.0 for outcome in outcomes)


# -- as data -------------------------------------------------------------------


def as_dict(uid: str, name: str, status: PlanStatus, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The report as it is printed in JSON.

    :param outcomes: of all tasks, in topological order
    """
    return {**head(uid, name, status, outcomes), "tasks": [_task(outcome) for outcome in outcomes]}


def head(uid: str, name: str, status: PlanStatus, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What :func:`as_dict` returns, less the tasks."""
    return {
        "uid": uid,
        "name": name,
        "status": str(status),
        "counts": {str(state): number for state, number in count(outcomes).items()},
        "total_time": round(total_time(outcomes), 6),
        "total_delta": round(total_delta(outcomes), 6),
    }


def _task(outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "type": outcome.type,
        "target": outcome.target,
        "status": str(outcome.status),
        "ignored": outcome.ignored,
        "errmsg": outcome.errmsg,
        "attempt": outcome.attempt,
        "start_time": outcome.start_time,
        "end_time": outcome.end_time,
        "output": outcome.output,
    }


_quoted = json.encoder.encode_basestring_ascii


def task_as_json(outcome: Outcome) -> str:
    """One task as :mod:`json` would write its part of :func:`as_dict`, in a quarter of the time."""
    return (
        f'{{"name": {_quoted(outcome.name)}, "type": {_quoted(outcome.type)},'
        f' "target": {_text(outcome.target)}, "status": "{outcome.status}",'
        f' "ignored": {"true" if outcome.ignored else "false"},'
        f' "errmsg": {_text(outcome.errmsg)}, "attempt": {outcome.attempt},'
        f' "start_time": {_time(outcome.start_time)}, "end_time": {_time(outcome.end_time)},'
        f' "output": {_text(outcome.output)}}}'
    )


def _text(text: str | None) -> str:
    return "null" if text is None else str(_quoted(text))


def _time(time: float | None) -> str:
    return "null" if time is None else repr(time)


# -- as text -------------------------------------------------------------------

#: The titles of what :func:`cells` returns.
TITLES = ("State", "Task", "Target", "Attempt", "Time", "Error")


def cells(outcome: Outcome, now: float) -> tuple[str, str, str, str, str, str]:
    """One line of the report, each cell without line breaks and control characters.

    :param now: Unix seconds, for the time of what is still running
    """
    duration = outcome.duration
    if outcome.status is State.INPROGRESS and outcome.start_time is not None:
        duration = max(0.0, now - outcome.start_time)
    return (
        str(outcome.status),
        shown(outcome.name),
        shown(outcome.target or ""),
        str(outcome.attempt) if outcome.attempt else "",
        "" if duration is None else seconds(duration),
        _error(outcome),
    )


def _error(outcome: Outcome) -> str:
    error = first_line(outcome.errmsg or "")
    return f"ignored: {error}" if outcome.ignored and error else error


def headline(uid: str, name: str, status: PlanStatus) -> str:
    """The line above the tasks."""
    return f"plan {uid}: {status}" if uid.startswith(f"{name}:") else f"plan {uid} ({name}): {status}"


def summary(outcomes: Sequence[Outcome]) -> str:
    """The line below the tasks."""
    parts = [f"{len(outcomes)} task{'' if len(outcomes) == 1 else 's'}: {tally(count(outcomes))}"]
    if any(outcome.duration is not None for outcome in outcomes):
        parts.append(f"{seconds(total_time(outcomes))} from first start to last end")
        parts.append(f"{seconds(total_delta(outcomes))} of work")
    return "; ".join(parts)


def tally(counts: Mapping[State, int]) -> str:
    """``3 SUCCESS, 1 ERROR``: the states that there are, the settled ones first."""
    return ", ".join(f"{counts[state]} {state}" for state in _TOLD if counts[state]) or "nothing"


_TOLD = (
    State.SUCCESS,
    State.NOOP,
    State.ERROR,
    State.SKIPPED,
    State.ERROR_RETRY,
    State.INPROGRESS,
    State.PENDING,
)


def seconds(number: float) -> str:
    """A duration: ``0.12 s``, ``12.3 s``, ``2m 05s``, ``1h 02m`` or ``3d 04h``."""
    if number < 9.995:
        return f"{number:.2f} s"
    if number < 99.95:
        return f"{number:.1f} s"
    minutes, rest = divmod(round(number), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours:02}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {rest:02}s"


def first_line(text: str) -> str:
    """The first line that is not empty, made fit to be shown."""
    for line in text.splitlines():
        if line.strip():
            return shown(line.strip())
    return ""


def shown(text: str) -> str:
    """`text` in which what would move the cursor, change colours or cannot be written is replaced."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else " " if char.isspace() else "\ufffd" for char in text)
