"""Plans drawn."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from solar_orch.cli.arguments import App, variables_option
from solar_orch.cli.completion import complete_plan
from solar_orch.errors import PlanUnreadable, UnknownPlan

if TYPE_CHECKING:
    from solar_orch.plan.model import Plan


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
    source = _source(app, plan, variables)
    if output is not None:
        app.orchestrator.draw_graph(source, output)
        return
    from solar_orch.pictures import dot

    for line in dot.lines(app.orchestrator.picture(source)):
        # As bytes: DOT is UTF-8, whatever the terminal is.
        click.echo(line.encode(), nl=False)


def _source(app: App, argument: str, variables: Mapping[str, str]) -> Plan | str:
    """The plan in a file, or the uid of a plan.

    :raises PlanUnreadable: if there is neither
    :raises PlanError: if the file has mistakes
    """
    if argument == "-" or os.path.lexists(argument):
        from solar_orch.cli.planfile import read_plan

        return read_plan(argument, variables)
    try:
        return app.orchestrator.get(argument).uid
    except UnknownPlan as error:
        raise PlanUnreadable(argument, f"there is no such file, and {error}") from error


COMMANDS: tuple[click.Command, ...] = (dg,)
