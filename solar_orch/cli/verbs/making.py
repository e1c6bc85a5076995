"""Plans run, made, started, waited for and shown."""

from __future__ import annotations

from collections.abc import Mapping

import click

from solar_orch.cli.arguments import App, format_option, uid_argument, variables_option, wait_option
from solar_orch.cli.completion import complete_plan, complete_plan_file
from solar_orch.cli.messages import say
from solar_orch.errors import ExitCode
from solar_orch.states import PlanStatus


@click.command(short_help="Run a plan from its file to its end.")
@click.argument("plan", metavar="PLAN", shell_complete=complete_plan)
@variables_option
@click.option("--dry-run", is_flag=True, help="Only print in which order the tasks would run.")
@format_option
@click.option("--debug", is_flag=True, help="Log what the workers do.")
@click.pass_context
def run(
    ctx: click.Context, plan: str, variables: Mapping[str, str], dry_run: bool, format_: str, debug: bool
) -> None:
    """Run a plan from its file to its end, with workers in this process.

    Shows how it goes on stderr, and the report on stdout.  Ctrl-C lets
    running tasks end and leaves a plan that can be resumed: PLAN may also be
    the uid of a plan, which then goes on.

    \b
    Example:
      solar-orch run rollout.yaml --var version=2.4.0
      solar-orch run rollout.yaml --dry-run
      solar-orch run last
    """
    from solar_orch.cli import run as running

    if dry_run:
        running.rehearse_plan(ctx.obj, plan, variables, format_)
    else:
        ctx.exit(running.run_plan(ctx.obj, plan, variables, format_=format_, debug=debug))


@click.command(short_help="Write a plan to the database, print its uid.")
@click.argument("plan", metavar="PLAN", shell_complete=complete_plan_file)
@variables_option
@click.pass_obj
def create(app: App, plan: str, variables: Mapping[str, str]) -> None:
    """Check a plan file ('-' for stdin), write the plan to the database and print its uid.

    It does not run before 'run-once' says so.

    \b
    Example:
      solar-orch create rollout.yaml --var version=2.4.0
    """
    from solar_orch.cli.planfile import read_plan

    click.echo(app.orchestrator.create(read_plan(plan, variables)))


@click.command("run-once")
@uid_argument
@wait_option("Wait so long for the end of the plan and print its report.")
@click.pass_context
def run_once(ctx: click.Context, uid: str, wait: float | None) -> None:
    """Have the workers that are up run a plan.

    That the plan is to run is kept: with no worker up it starts when one is,
    and the exit code is 4.

    \b
    Example:
      solar-orch run-once last -w 30
    """
    from solar_orch.cli.start import follow_start

    ctx.exit(follow_start(ctx.obj, ctx.obj.orchestrator.run_once(uid), wait))


@click.command()
@uid_argument
@wait_option("Wait so long for the end of the plan, and only then report.")
@click.option("--watch", is_flag=True, help="Show how the plan goes until it is over.")
@format_option
@click.pass_context
def report(ctx: click.Context, uid: str, wait: float | None, watch: bool, format_: str) -> None:
    """Print what has become of a plan and its tasks.

    With --watch it is shown how the plan goes, until it is over or the wait
    is: a bar, the tasks that are running and those that have failed, and in
    a pipe a line for each attempt that ends.

    \b
    Example:
      solar-orch report last -w 30
      solar-orch report last --watch
      solar-orch report last --format json | python -m json.tool
    """
    from solar_orch.cli.display import report_plan

    app: App = ctx.obj
    if watch:
        from solar_orch.cli.watch import watch_plan

        if format_ != "text":
            raise click.UsageError("--watch is for people: it has no other format than text")
        ctx.exit(watch_plan(app, uid, wait))
    plan = app.orchestrator.get(uid)
    over = True
    if wait is not None:
        over = app.orchestrator.wait(plan.uid, wait)
    code = report_plan(app, plan.uid, format_)
    if not over:
        say(f"the plan is not over after {wait:g} s")
        ctx.exit(ExitCode.WAIT_EXPIRED)
    ctx.exit(code)


@click.command(short_help="Print a plan as a plan file.")
@uid_argument
@click.pass_obj
def show(app: App, uid: str) -> None:
    """Print a plan as a plan file, with the states of its tasks.

    'create' takes it back once the line with its uid is dropped.

    \b
    Example:
      solar-orch show last > plan.yaml
    """
    from solar_orch.plan.dump import lines

    for piece in lines(app.orchestrator.model(uid)):
        # As bytes: a plan file is UTF-8, whatever the terminal is.
        click.echo(piece.encode(), nl=False)


@click.command("list")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([str(status) for status in PlanStatus]),
    help="Only plans with this status; may be given several times.",
)
@format_option
@click.pass_obj
def list_(app: App, statuses: tuple[str, ...], format_: str) -> None:
    """Print all plans, the latest first.

    \b
    Example:
      solar-orch list --status running --status failed
      solar-orch list --format json
    """
    from solar_orch.cli import display

    plans = app.orchestrator.plans([PlanStatus(status) for status in statuses])
    if format_ == "json":
        display.print_json(display.plans_as_list(plans))
    elif plans:
        display.print_plans(plans)
    elif statuses:
        say(f"there is no plan that is {' or '.join(statuses)}")
    else:
        say("there is no plan yet; make one with: solar-orch create PLAN")


COMMANDS: tuple[click.Command, ...] = (run, create, run_once, report, show, list_)
