"""Workers, events, output and the system log as they are printed on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from solar_orch.cli.display import STYLES, members, print_json_stream
from solar_orch.cli.messages import say
from solar_orch.cli.table import print_table, write_line
from solar_orch.plan.report import first_line, seconds, shown
from solar_orch.states import State

if TYPE_CHECKING:
    from solar_orch.api.viewing import WorkerLook
    from solar_orch.store.events import EventRow
    from solar_orch.store.leases import Held

#: Rows of a table of which the columns are aligned together, where there may be very many.
_PART = 1000


# -- workers -----------------------------------------------------------------------


def print_workers(workers: Sequence[WorkerLook], leases: Sequence[Held]) -> None:
    """Write for people which workers are up, and which scheduler leads which plan."""
    if not workers:
        say("no worker is up; start one with: solar-worker")
    else:
        print_table(
            ("Worker", "State", "Host", "Pid", "Since", "Beat", "Load", "Address"),
            (
                (
                    worker.name,
                    _state(worker),
                    shown(worker.host),
                    str(worker.pid),
                    _local(worker.since, "minutes"),
                    f"{seconds(worker.age)} ago",
                    str(worker.load) if worker.name == "tasks" else "",
                    shown(worker.address),
                )
                for worker in workers
            ),
            right=("Pid", "Beat", "Load"),
            below="Address",
            style=lambda column, cell: {"up": "green", "silent": "bold red"}[cell] if column == 1 else "",
        )
    if leases:
        write_line("")
        print_table(
            ("Plan", "Led by", "Since"),
            ((lease.uid, by(lease.owner), _local(lease.since, "minutes")) for lease in leases),
        )


def print_workers_json(workers: Sequence[WorkerLook], leases: Sequence[Held]) -> None:
    """Write the same for programs."""
    sys.stdout.write(
        members(
            {},
            workers=[
                json.dumps(
                    {
                        "name": worker.name,
                        "state": _state(worker),
                        "host": worker.host,
                        "pid": worker.pid,
                        "address": worker.address,
                        "since": worker.since,
                        "age": round(worker.age, 3),
                        "load": worker.load,
                        "instance": worker.instance,
                    }
                )
                for worker in workers
            ],
            leases=[
                json.dumps({"plan_uid": lease.uid, "instance": lease.owner, "since": lease.since})
                for lease in leases
            ],
        )
    )
    sys.stdout.flush()


def _state(worker: WorkerLook) -> str:
    return "up" if worker.up else "silent"


# -- events ------------------------------------------------------------------------


def print_events(events: Iterator[EventRow]) -> None:
    """Write events for people, a part at a time."""
    first = True
    while part := list(islice(events, _PART)):
        print_table(
            ("When", "Task", "#", "From", "To", "By"),
            (
                (
                    _local(event.at, "milliseconds"),
                    shown(event.task),
                    str(event.attempt),
                    str(event.old),
                    str(event.new),
                    _by_and_why(event),
                )
                for event in part
            ),
            right=("#",),
            below="By",
            style=lambda column, cell: STYLES.get(State(cell), "") if column in (3, 4) else "",
            headed=first,
        )
        first = False
    if first:
        say("nothing has happened yet")


def print_events_json(events: Iterable[EventRow]) -> None:
    """Write events for programs, as they are read."""
    print_json_stream(
        {
            "at": event.at,
            "task": event.task,
            "attempt": event.attempt,
            "old": str(event.old),
            "new": str(event.new),
            "by": event.by,
            "message": event.message,
        }
        for event in events
    )


def _by_and_why(event: EventRow) -> str:
    why = first_line(event.message or "")
    return f"{by(event.by)}: {why}" if why else by(event.by)


def by(instance: str) -> str:
    """``host:pid`` of an instance; what is none is left as it is."""
    host, *rest = instance.rsplit(":", 3)
    return f"{host}:{rest[1]}" if len(rest) == 3 else instance


# -- output ------------------------------------------------------------------------


def print_output(pieces: Iterable[str]) -> None:
    """Write what a task has written, piece by piece as it comes."""
    for piece in pieces:
        # As bytes: it is UTF-8, whatever the terminal is.
        click.echo(piece.encode(), nl=False)


# -- the system log ----------------------------------------------------------------


def print_items(items: Sequence[dict[str, Any]]) -> None:
    """Write changes for people."""
    print_table(
        ("ID", "Changed", "Resource", "Action", "State", "Tags", "Plan", "Diff"),
        (
            (
                str(item["id"]),
                _local(item["changed_at"], "minutes"),
                item["resource"],
                item["action"],
                item["state"],
                " ".join(item["tags"]),
                item["plan_uid"] or "",
                _diff_and_error(item),
            )
            for item in items
        ),
        right=("ID",),
        below="Diff",
        style=lambda column, cell: (
            {"error": "bold red", "success": "green"}.get(cell, "") if column == 4 else ""
        ),
    )


def _diff_and_error(item: dict[str, Any]) -> str:
    diff = "" if item["diff"] is None else json.dumps(item["diff"], ensure_ascii=False)
    error = first_line(item["errmsg"] or "")
    return "; ".join(shown(part) for part in (diff, f"error: {error}" if error else "") if part)


def _local(at: float, timespec: str) -> str:
    """Unix seconds as ISO 8601 in local time."""
    return datetime.fromtimestamp(at).isoformat("T" if timespec == "milliseconds" else " ", timespec)
