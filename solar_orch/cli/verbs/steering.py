"""Plans steered: begun anew, gone on with, stopped, cut down and deleted."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from solar_orch.cli.arguments import App, age, format_option, uid_argument, wait_option
from solar_orch.cli.completion import complete_task
from solar_orch.cli.messages import say
from solar_orch.states import PlanStatus

if TYPE_CHECKING:
    from solar_orch.store.steered import Steered

_wait_option = wait_option("Wait so long for the end of the plan and print its report.")


@click.command(short_help="Run a plan all over again.")
@uid_argument
@_wait_option
@click.pass_context
def restart(ctx: click.Context, uid: str, wait: float | None) -> None:
    """Run a plan all over again: all of its tasks, whatever has become of them.

    The plan must not be running.

    \b
    Example:
      solar-orch restart last -w 60
    """
    _go(ctx, ctx.obj.orchestrator.restart(uid), wait)


@click.command(short_help="Go on with what is SKIPPED of a plan.")
@uid_argument
@_wait_option
@click.pass_context
def resume(ctx: click.Context, uid: str, wait: float | None) -> None:
    """Go on with a plan that was stopped, or has ended: what is SKIPPED runs.

    \b
    Example:
      solar-orch resume last -w 60
    """
    _go(ctx, ctx.obj.orchestrator.resume(uid), wait)


@click.command(short_help="Run again what is in ERROR.")
@uid_argument
@click.option(
    "-t",
    "--task",
    metavar="NAME",
    shell_complete=complete_task,
    help="Only this task, and what hangs below it.",
)
@_wait_option
@click.pass_context
def retry(ctx: click.Context, uid: str, task: str | None, wait: float | None) -> None:
    """Run the tasks in ERROR again, and all that hangs below them.

    The plan may be running.

    \b
    Example:
      solar-orch retry last -w 60
      solar-orch retry last --task web1.configure
    """
    _go(ctx, ctx.obj.orchestrator.retry(uid, task), wait)


@click.command(short_help="Let a plan look as if it had never run.")
@uid_argument
@click.pass_obj
def reset(app: App, uid: str) -> None:
    """Let all tasks of a plan be PENDING, as if it had never run.

    The plan must not be running.

    \b
    Example:
      solar-orch reset last
    """
    steered = app.orchestrator.reset(uid)
    _say(steered, "PENDING again")


@click.command(short_help="Start nothing more of a plan.")
@uid_argument
@click.pass_obj
def stop(app: App, uid: str) -> None:
    """Start nothing more of a plan; what is running goes on to its end.

    What had not begun is SKIPPED, and 'resume' goes on with it.

    \b
    Example:
      solar-orch stop last
    """
    steered = app.orchestrator.stop(uid)
    _say(steered, "SKIPPED now")


@click.command(short_help="Stop a plan and kill what is running.")
@uid_argument
@click.option(
    "-t",
    "--task",
    metavar="NAME",
    shell_complete=complete_task,
    help="Kill only this task; the plan goes on.",
)
@click.pass_obj
def cancel(app: App, uid: str, task: str | None) -> None:
    """Stop a plan and kill its tasks that are running; they end in ERROR.

    Comes back when the wish is written down, not when they are dead.

    \b
    Example:
      solar-orch cancel last
      solar-orch cancel last --task web1.configure
    """
    cancelled = app.orchestrator.cancel(uid, task)
    if task is None:
        _say(cancelled, "SKIPPED now")
    for killed in cancelled.to_kill:
        say(f"{cancelled.uid}: {killed.name} is being killed")


@click.command(short_help="Let tasks count as done.")
@uid_argument
@click.option(
    "-t",
    "--task",
    "tasks",
    metavar="NAME",
    shell_complete=complete_task,
    multiple=True,
    required=True,
    help="The task; may be repeated.",
)
@click.pass_obj
def noop(app: App, uid: str, tasks: tuple[str, ...]) -> None:
    """Let tasks count as done without running them.

    All of those that are named, or none if one of them is running or done.
    The plan may be running.

    \b
    Example:
      solar-orch noop last -t web1.configure -t web1.restart
    """
    _say(app.orchestrator.noop(uid, tasks), "NOOP now")


@click.command("filter", short_help="Choose which part of a plan is to run.")
@uid_argument
@click.option(
    "--start",
    metavar="NAME",
    shell_complete=complete_task,
    multiple=True,
    help="Run all paths from this task on; may be repeated.",
)
@click.option(
    "--end",
    metavar="NAME",
    shell_complete=complete_task,
    multiple=True,
    help="Run this task and all that it waits for; may be repeated.",
)
@click.option(
    "-t",
    "--task",
    "tasks",
    metavar="NAME",
    shell_complete=complete_task,
    multiple=True,
    help="Run this single task; may be repeated.",
)
@click.option(
    "--target",
    "targets",
    metavar="TARGET",
    multiple=True,
    help="Of these run only what is for this target; may be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Write nothing, only print.")
@format_option
@click.pass_obj
def filter_(
    app: App,
    uid: str,
    start: tuple[str, ...],
    end: tuple[str, ...],
    tasks: tuple[str, ...],
    targets: tuple[str, ...],
    dry_run: bool,
    format_: str,
) -> None:
    """Choose which tasks of a plan are to run, and print those that will not: they are SKIPPED.

    With both --start and --end what lies between them is chosen, --task adds
    to that.  Without any option all tasks are chosen again.  The plan must
    not be running.

    \b
    Example:
      solar-orch filter last --end web1.restart --dry-run
      solar-orch filter last --start db.setup --end web1.restart
    """
    filtered = app.orchestrator.filter(
        uid, start=start, end=end, tasks=tasks, targets=targets, dry_run=dry_run
    )
    if format_ == "json":
        from solar_orch.cli.display import print_object

        print_object({"uid": filtered.uid, "runs": filtered.runs, "skipped": filtered.skipped})
    elif filtered.skipped:
        click.echo("\n".join(filtered.skipped))
    skipped = _number(len(filtered.skipped), "would be" if dry_run else None)
    say(f"{filtered.uid}: {skipped} SKIPPED, {len(filtered.runs)} will run")


@click.command(short_help="Delete a plan.")
@uid_argument
@click.option("-y", "--yes", is_flag=True, help="Do not ask, also in a terminal.")
@click.pass_obj
def delete(app: App, uid: str, yes: bool) -> None:
    """Delete a plan that is not running, with its tasks and events.

    The history of the system log stays.

    \b
    Example:
      solar-orch delete last --yes
    """
    # What is asked for must be what is deleted, though `last` may come to mean another.
    uid = app.orchestrator.get(uid).uid
    if not yes and sys.stdin.isatty():
        click.confirm(f"Delete the plan {uid}?", abort=True, err=True)
    app.orchestrator.delete(uid)
    say(f"{uid} is deleted")


@click.command(short_help="Delete old plans.")
@click.option(
    "--older-than",
    type=age,
    metavar="AGE",
    required=True,
    help="Those of which nothing has happened for so long: 45m, 12h, 30d or 8w.",
)
@click.option(
    "--status",
    "statuses",
    type=click.Choice([str(status) for status in PlanStatus if status is not PlanStatus.RUNNING]),
    multiple=True,
    help="Only those with this status; may be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Delete nothing, only print.")
@format_option
@click.pass_obj
def prune(app: App, older_than: float, statuses: tuple[str, ...], dry_run: bool, format_: str) -> None:
    """Delete the plans that are not running and of which nothing has happened for long; print their uids.

    \b
    Example:
      solar-orch prune --older-than 30d --dry-run
      solar-orch prune --older-than 12h --status finished
    """
    wanted = [PlanStatus(status) for status in statuses]
    deleted = app.orchestrator.prune(older_than, wanted, dry_run=dry_run)
    if format_ == "json":
        from solar_orch.cli.display import print_json

        print_json(list(deleted))
        return
    for uid in deleted:
        click.echo(uid)


def _go(ctx: click.Context, steered: Steered, wait: float | None) -> None:
    from solar_orch.cli.start import follow_start

    _say(steered, "PENDING again")
    ctx.exit(follow_start(ctx.obj, steered.uid, wait))


def _say(steered: Steered, what: str) -> None:
    say(f"{steered.uid}: {_number(steered.changed)} {what}")


def _number(tasks: int, verb: str | None = None) -> str:
    """``1 task is``, ``2 tasks are`` or the like."""
    one = tasks == 1
    return f"{tasks} task{'' if one else 's'} {verb or ('is' if one else 'are')}"


COMMANDS: tuple[click.Command, ...] = (
    restart,
    resume,
    retry,
    reset,
    stop,
    cancel,
    noop,
    filter_,
    delete,
    prune,
)
