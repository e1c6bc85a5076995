"""Workers, events, output and the system log, as they are looked at."""

from __future__ import annotations

import json
from typing import Any

import click

from solar_orch.cli.arguments import App, format_option, task_argument, uid_argument
from solar_orch.cli.completion import complete_task
from solar_orch.cli.messages import say


@click.command(short_help="Print which workers are up, and who leads which plan.")
@format_option
@click.pass_obj
def workers(app: App, format_: str) -> None:
    """Print which workers are up, with the age of their beat and the number of tasks that they run.

    A worker that has gone without a word is 'silent': its beat is older than
    a lease.  Below stands which scheduler leads which plan, and since when.

    \b
    Example:
      solar-orch workers
    """
    from solar_orch.cli import listings

    found, leases = app.orchestrator.workers(), app.orchestrator.leases()
    if format_ == "json":
        listings.print_workers_json(found, leases)
    else:
        listings.print_workers(found, leases)


@click.command(short_help="Print every transition of a plan's tasks.")
@uid_argument
@click.option(
    "--task", metavar="NAME", shell_complete=complete_task, help="Only those of the task of this name."
)
@format_option
@click.pass_obj
def events(app: App, uid: str, task: str | None, format_: str) -> None:
    """Print every transition of a plan's tasks: when, by whom and why; the oldest first.

    \b
    Example:
      solar-orch events last
      solar-orch events last --task web1.restart --format json
    """
    from solar_orch.cli import listings

    found = app.orchestrator.events(uid, task)
    if format_ == "json":
        listings.print_events_json(found)
    else:
        listings.print_events(found)


@click.command(short_help="Print what a task has written.")
@uid_argument
@task_argument
@click.option("--follow", is_flag=True, help="Go on until the attempt ends, waiting for it to begin.")
@click.pass_obj
def output(app: App, uid: str, task: str, follow: bool) -> None:
    """Print what the latest attempt of a task has written, also while it runs.

    Only so much is kept as the option 'output_limit' says: where the middle
    had to be left out, a line says so.

    \b
    Example:
      solar-orch output last web1.install
      solar-orch output last web1.install --follow
    """
    from solar_orch.cli.listings import print_output

    def note(text: str) -> None:
        say(text)

    if follow:
        print_output(app.orchestrator.follow_output(uid, task, note=note))
    else:
        print_output([app.orchestrator.output(uid, task, note=note)])


# -- the system log ----------------------------------------------------------------


@click.group(short_help="The system log: changes that are staged, and those made.")
def log() -> None:
    """Stage changes, and print those that are staged and those that were made.

    A change of a resource by an action is carried out by the task that is
    named RESOURCE.ACTION: when that succeeds, the change goes from 'staged'
    to the history; when it fails, it stays there with its error.

    \b
    Example:
      solar-orch log stage web1 restart --diff '{"port": 8080}'
      solar-orch log staged
    """


@log.command()
@format_option
@click.pass_obj
def staged(app: App, format_: str) -> None:
    """Print the changes that are still to be made, the oldest first.

    \b
    Example:
      solar-orch log staged --format json
    """
    _print_items(app.orchestrator.staged(), format_, "no change is staged")


@log.command()
@format_option
@click.pass_obj
def history(app: App, format_: str) -> None:
    """Print the changes that were made, the oldest first.

    \b
    Example:
      solar-orch log history
    """
    _print_items(app.orchestrator.history(), format_, "no staged change was made yet")


@log.command()
@click.argument("resource", metavar="RESOURCE")
@click.argument("action", metavar="ACTION")
@click.option("--diff", metavar="JSON", help="What changes; any JSON value.")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="Kept with it; may be given several times.")
@click.pass_obj
def stage(app: App, resource: str, action: str, diff: str | None, tags: tuple[str, ...]) -> None:
    """Stage a change, which the task RESOURCE.ACTION carries out, and print its id.

    \b
    Example:
      solar-orch log stage web1 restart --diff '{"port": 8080}' --tag night
    """
    click.echo(app.orchestrator.stage(resource, action, None if diff is None else _json(diff), tags))


@log.command()
@click.argument("ids", metavar="ID", nargs=-1, type=click.IntRange(min=1, max=2**63 - 1))
@click.option("--all", "every", is_flag=True, help="All that are staged.")
@click.pass_obj
def discard(app: App, ids: tuple[int, ...], every: bool) -> None:
    """Remove staged changes by their ids, and print the ids of what was removed.

    If one of them is not staged nothing is removed.  What was made stays in
    the history.

    \b
    Example:
      solar-orch log discard 3 4
      solar-orch log discard --all
    """
    if bool(ids) == every:
        raise click.UsageError("give either the ids of what is to be removed, or --all")
    for id_ in app.orchestrator.discard(None if every else ids):
        click.echo(id_)


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"this is no JSON: {error}", param_hint="--diff") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _print_items(items: list[dict[str, Any]], format_: str, none: str) -> None:
    from solar_orch.cli import display, listings

    if format_ == "json":
        display.print_json(items)
    elif items:
        listings.print_items(items)
    else:
        say(none)


COMMANDS: tuple[click.Command, ...] = (workers, events, output, log)
