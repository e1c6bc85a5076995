"""Plans drawn."""

from __future__ import annotations

import time
from collections.abc import Mapping

import click

from solar_orch.cli.arguments import App, format_option, uid_argument, variables_option
from solar_orch.cli.completion import complete_plan
from solar_orch.cli.messages import say


@click.command(short_help="Draw the graph of a plan.")
@click.argument("plan", metavar="UID|PLAN", shell_complete=complete_plan)
@click.option("-o", "--output", metavar="FILE", help="Draw it into this file: .svg, .png or .dot.")
@variables_option
@click.pass_obj
def dg(app: App, plan: str, output: str | None, variables: Mapping[str, str]) -> None:
    """Draw the graph of a plan, less the edges that others imply, with the states of its tasks.

    The plan is given by its uid, or as a plan file ('-' for stdin), which
    need not have been created.  Without -o the graph is written to stdout in
    DOT, the language of Graphviz.  For .svg and .png files
    'solar-orch[pictures]' has to be installed.

    \b
    Example:
      solar-orch dg last -o plan.svg
      solar-orch dg rollout.yaml
    """
    from solar_orch.cli.planfile import plan_or_uid

    source = plan_or_uid(app, plan, variables)
    if output is not None:
        app.orchestrator.draw_graph(source, output)
        return
    from solar_orch.pictures import dot

    for line in dot.lines(app.orchestrator.picture(source)):
        # As bytes: DOT is UTF-8, whatever the terminal is.
        click.echo(line.encode(), nl=False)


@click.command(short_help="Show when the tasks of a plan ran.")
@uid_argument
@click.option("-o", "--output", metavar="FILE.svg", help="Draw it into this file.")
@format_option
@click.pass_obj
def timeline(app: App, uid: str, output: str | None, format_: str) -> None:
    """Show when the tasks of a plan ran: a bar for each attempt, from its start to its end.

    In a file made with -o the attempts of many tasks share rows, those of
    each target for themselves.

    \b
    Example:
      solar-orch timeline last
      solar-orch timeline last -o timeline.svg
    """
    if output is not None:
        app.orchestrator.draw_timeline(uid, output)
        return
    plan, attempts = app.orchestrator.timeline(uid)
    if format_ == "json":
        from solar_orch.cli.display import print_json
        from solar_orch.plan.timeline import as_dict

        print_json(list(map(as_dict, attempts)))
        return
    from solar_orch.cli.gantt import print_timeline

    print_timeline(plan, attempts, time.time())
    if not attempts:
        say("nothing of the plan has been started yet")


COMMANDS: tuple[click.Command, ...] = (dg, timeline)
