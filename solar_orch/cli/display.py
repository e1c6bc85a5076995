"""Plans as they are printed on stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from solar_orch.collector import collecting_nothing
from solar_orch.errors import ExitCode
from solar_orch.plan import report
from solar_orch.plan.report import Outcome
from solar_orch.states import State

if TYPE_CHECKING:
    from solar_orch.cli.arguments import App
    from solar_orch.store.plans import PlanRow

STYLES = {
    State.SUCCESS: "green",
    State.NOOP: "dim",
    State.ERROR: "bold red",
    State.ERROR_RETRY: "yellow",
    State.INPROGRESS: "cyan",
    State.SKIPPED: "dim",
}

#: As those of the states that a plan's status stands for.
_STATUS_STYLES = {"finished": "green", "failed": "bold red", "running": "cyan", "stopped": "yellow"}


def report_plan(app: App, uid: str, format_: str = "text") -> ExitCode:
    """Write the report of a plan to stdout.

    :param format_: ``text`` or ``json``
    :return: the exit code that its tasks stand for
    :raises UnknownPlan: if there is no such plan
    """
    as_json = format_ == "json"
    with collecting_nothing():
        plan, outcomes = app.orchestrator.report(uid, output=as_json)
        if as_json:
            head = report.head(plan.uid, plan.name, plan.status, outcomes)
            _write(members(head, tasks=list(map(report.task_as_json, outcomes))))
        else:
            print_report(plan, outcomes)
    failed = any(outcome.has_failed for outcome in outcomes)
    return ExitCode.FAILURE if failed else ExitCode.OK


def print_json(answer: Sequence[Any]) -> None:
    """Write a list for programs: each of its items on a line of its own."""
    _write(f"{_lines(list(map(_json, answer)))}\n")


def print_object(answer: Mapping[str, Any]) -> None:
    """Write an object for programs: each of its members, and each item of those that are lists, on a line."""
    head = {key: value for key, value in answer.items() if not isinstance(value, list)}
    lists = {key: list(map(_json, value)) for key, value in answer.items() if isinstance(value, list)}
    _write(members(head, **lists))


def print_json_stream(answer: Iterable[Any]) -> None:
    """As :func:`print_json`, for a list that is too long to be held: its items are written as they come."""
    before = "[\n"
    for item in answer:
        sys.stdout.write(f"{before}{_json(item)}")
        before = ",\n"
    _write("[]\n" if before == "[\n" else "\n]\n")


def members(head: Mapping[str, Any], **lists: list[str]) -> str:
    """An object: each member, and each item of the lists, which are JSON already, on a line of its own."""
    # json's own indentation takes ten times as long, and breaks tasks into a dozen lines each.
    members = [f"{_json(key)}: {_json(value)}" for key, value in head.items()]
    members += [f"{_json(key)}: {_lines(items)}" for key, items in lists.items()]
    return "{\n" + ",\n".join(members) + "\n}\n"


def _lines(items: list[str]) -> str:
    return "[\n" + ",\n".join(items) + "\n]" if items else "[]"


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


#: Made once, and not for each task.
_json = json.JSONEncoder(allow_nan=False).encode


def print_report(plan: PlanRow, outcomes: Sequence[Outcome]) -> None:
    """Write the report for people."""
    from solar_orch.cli.table import print_table, write_line, write_paragraph

    now = time.time()
    write_line(report.headline(plan.uid, plan.name, plan.status))
    print_table(
        report.TITLES,
        (report.cells(outcome, now) for outcome in outcomes),
        right=("Attempt", "Time"),
        below="Error",
        style=_report_style,
    )
    write_paragraph(report.summary(outcomes))


def _report_style(column: int, cell: str) -> str:
    return STYLES.get(State(cell), "") if column == 0 else ""


def print_plans(plans: Sequence[tuple[PlanRow, dict[State, int]]]) -> None:
    """Write a list of plans for people."""
    from solar_orch.cli.table import print_table

    print_table(
        ("UID", "Name", "Status", "Created", "Tasks", "In state"),
        (
            (
                plan.uid,
                # The uids that are made begin with it.
                "" if plan.uid.startswith(f"{plan.name}:") else plan.name,
                str(plan.status),
                datetime.fromtimestamp(plan.created_at).astimezone().strftime("%Y-%m-%d %H:%M"),
                str(sum(counts.values())),
                report.tally(counts),
            )
            for plan, counts in plans
        ),
        right=("Tasks",),
        style=lambda column, cell: _STATUS_STYLES.get(cell, "") if column == 2 else "",
    )


def plans_as_list(plans: Sequence[tuple[PlanRow, dict[State, int]]]) -> list[dict[str, Any]]:
    """A list of plans for programs."""
    return [
        {
            "uid": plan.uid,
            "name": plan.name,
            "status": str(plan.status),
            "created_at": plan.created_at,
            "counts": {str(state): number for state, number in counts.items()},
        }
        for plan, counts in plans
    ]
