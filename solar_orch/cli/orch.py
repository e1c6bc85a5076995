"""``solar-orch``: plans are run, made, started, watched and shown.

The commands themselves are thin; importing this file imports none of what they need.
"""

from __future__ import annotations

import os

import click

from solar_orch import __version__
from solar_orch.cli.arguments import App, format_option, uid_argument, wait_option
from solar_orch.cli.translation import OrchGroup
from solar_orch.errors import ExitCode

_EPILOG = """\b
Exit codes of run, run-once and report:
  0    no task is in ERROR
  1    some task is in ERROR
  2    wrong usage, unknown uid or invalid plan
  3    the wait ran out
  4    no worker is up
  130  interrupted
"""


@click.group(cls=OrchGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config-file", "config_files", multiple=True, metavar="PATH", help="A configuration file.")
@click.option(
    "--config-dir", "config_dirs", multiple=True, metavar="DIR", help="A directory of *.conf files."
)
@click.version_option(__version__, prog_name="solar-orch")
@click.pass_context
def orch(ctx: click.Context, config_files: tuple[str, ...], config_dirs: tuple[str, ...]) -> None:
    """Run deployment plans that survive a crash of anything.

    Wherever a UID is asked for, 'last' stands for the plan that was made last.

    \b
    Example:
      solar-orch run plan.yaml
    """
    if os.environ.get("SOLAR_FAULTS"):
        from solar_orch import faults

        faults.arm(os.environ[faults.VARIABLE])
    ctx.obj = App(config_files, config_dirs)
    ctx.call_on_close(ctx.obj.close)


@orch.command(short_help="Run a plan from its file to its end.")
@click.argument("plan", metavar="PLAN")
@click.option("--debug", is_flag=True, help="Log what the workers do.")
@click.pass_context
def run(ctx: click.Context, plan: str, debug: bool) -> None:
    """Run a plan from its file to its end, with workers in this process.

    Shows how it goes on stderr, and the report on stdout.  Ctrl-C lets
    running tasks end and leaves a plan that can be resumed: PLAN may also be
    the uid of a plan, which then goes on.

    \b
    Example:
      solar-orch run rollout.yaml
      solar-orch run last
    """
    from solar_orch.cli.run import run_plan

    ctx.exit(run_plan(ctx.obj, plan, debug=debug))


@orch.command(short_help="Write a plan to the database, print its uid.")
@click.argument("plan", metavar="PLAN")
@click.pass_obj
def create(app: App, plan: str) -> None:
    """Check a plan file ('-' for stdin), write the plan to the database and print its uid.

    It does not run before 'run-once' says so.

    \b
    Example:
      solar-orch create rollout.yaml
    """
    from solar_orch.cli.planfile import read_plan

    click.echo(app.store.plans.create(read_plan(plan)))


@orch.command("run-once")
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
    from solar_orch.cli.start import start_plan

    ctx.exit(start_plan(ctx.obj, uid, wait))


@orch.command()
@uid_argument
@wait_option("Wait so long for the end of the plan, and only then report.")
@format_option
@click.pass_context
def report(ctx: click.Context, uid: str, wait: float | None, format_: str) -> None:
    """Print what has become of a plan and its tasks.

    \b
    Example:
      solar-orch report last -w 30
      solar-orch report last --format json | python -m json.tool
    """
    from solar_orch.cli.display import report_plan

    app: App = ctx.obj
    plan = app.store.plans.get(uid)
    over = True
    if wait is not None:
        from solar_orch.cli.wait import until_over

        over = until_over(app.store, plan.uid, wait)
    code = report_plan(app, plan.uid, format_)
    if not over:
        click.echo(f"the plan is not over after {wait:g} s", err=True)
        ctx.exit(ExitCode.WAIT_EXPIRED)
    ctx.exit(code)


@orch.command(short_help="Print a plan as a plan file.")
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

    for piece in lines(app.store.plans.model(uid)):
        # As bytes: a plan file is UTF-8, whatever the terminal is.
        click.echo(piece.encode(), nl=False)


@orch.command("list")
@format_option
@click.pass_obj
def list_(app: App, format_: str) -> None:
    """Print all plans, the latest first.

    \b
    Example:
      solar-orch list --format json
    """
    from solar_orch.cli import display

    plans = app.store.plans.summaries()
    if format_ == "json":
        display.print_json(display.plans_as_list(plans))
    elif plans:
        display.print_plans(plans)
    else:
        click.echo("there is no plan yet; make one with: solar-orch create PLAN", err=True)
