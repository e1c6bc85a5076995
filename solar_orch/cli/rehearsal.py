"""The order in which a plan would run, as it is printed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from solar_orch.cli.messages import say
from solar_orch.cli.table import print_table, write_line
from solar_orch.config import GROUP

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.plan.model import Plan
    from solar_orch.plan.waves import Rehearsal, Start


def print_rehearsal(plan: Plan, rehearsal: Rehearsal, conf: cfg.ConfigOpts) -> None:
    """Write it for people."""
    number = sum(map(len, rehearsal.waves))
    write_line(
        f"plan {plan.name}: {_counted(number, 'task')} in {_counted(len(rehearsal.waves), 'wave')},"
        f" at most {conf[GROUP].max_inprogress} at once and {conf[GROUP].target_limit} with one target"
    )
    if rehearsal.waves:
        critical = {task.name for task in rehearsal.critical}
        print_table(
            ("Wave", "Task", "Type", "Target", "Critical", "Held back by", "Condition"),
            (
                _cells(number, start, start.task.name in critical)
                for number, wave in enumerate(rehearsal.waves, 1)
                for start in wave
            ),
            right=("Wave",),
            below="Condition",
        )
        write_line(f"critical path, {_counted(len(rehearsal.critical), 'task')}:")
        for task in rehearsal.critical:
            write_line(f"  {task.name}")
    if rehearsal.never:
        write_line("never run, because of what is before them:")
        for task in rehearsal.never:
            write_line(f"  {task.name}")
    say("nothing was run or written")


def _cells(number: int, start: Start, critical: bool) -> tuple[str, ...]:
    task = start.task
    return (
        str(number),
        task.name,
        task.type,
        task.target or "",
        "*" if critical else "",
        start.held_by or "",
        f"when {task.when}" if task.when else "",
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def print_rehearsal_as_json(plan: Plan, rehearsal: Rehearsal, conf: cfg.ConfigOpts) -> None:
    """Write it for programs."""
    click.echo(json.dumps(as_answer(plan, rehearsal, conf), indent=1))


def as_answer(plan: Plan, rehearsal: Rehearsal, conf: cfg.ConfigOpts) -> dict[str, Any]:
    """It as plain data."""
    return {
        "name": plan.name,
        "max_inprogress": conf[GROUP].max_inprogress,
        "target_limit": conf[GROUP].target_limit,
        "waves": [[_item(start) for start in wave] for wave in rehearsal.waves],
        "critical_path": [task.name for task in rehearsal.critical],
        "never": [task.name for task in rehearsal.never],
    }


def _item(start: Start) -> dict[str, Any]:
    task = start.task
    return {
        "name": task.name,
        "type": task.type,
        "target": task.target,
        "when": task.when,
        "held_back_by": start.held_by,
    }
