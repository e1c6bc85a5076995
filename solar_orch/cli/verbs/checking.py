"""Plan files looked over before they are run."""

from __future__ import annotations

from collections.abc import Mapping

import click

from solar_orch.cli.arguments import format_option, variables_option
from solar_orch.cli.completion import complete_plan_file
from solar_orch.errors import ExitCode


@click.command(short_help="Tell what is wrong with plan files.")
@click.argument("plans", metavar="PLAN...", nargs=-1, shell_complete=complete_plan_file)
@variables_option
@click.option("--strict", is_flag=True, help="Exit with 2 where there are only warnings, too.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the plan file, and look at none.")
@format_option
@click.pass_context
def validate(
    ctx: click.Context,
    plans: tuple[str, ...],
    variables: Mapping[str, str],
    strict: bool,
    schema: bool,
    format_: str,
) -> None:
    """Tell what is wrong, or odd, with plan files ('-' for stdin).

    All errors of a file are printed with line and column.  One without errors
    is looked over for what may not have been meant, such as tasks that can
    never run; such warnings are no errors.  Nothing is written anywhere.

    \b
    Example:
      solar-orch validate *.yaml
      solar-orch validate --var version=2.4.0 --strict rollout.yaml
      solar-orch validate --schema > plan.schema.json
    """
    if schema == bool(plans):
        raise click.UsageError("give either PLAN... or --schema")
    if schema:
        from solar_orch.api.checking import Checking

        click.echo(Checking.schema(), nl=False)
        return
    from solar_orch.cli import findings
    from solar_orch.cli.display import print_json
    from solar_orch.plan.findings import Severity

    examined = [findings.examine(path, variables) for path in plans]
    if format_ == "json":
        print_json(findings.as_list(examined))
    for file in examined:
        if format_ == "text":
            findings.print_examined(file)
        findings.summarize(file)
    failing = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
    if any(file.count(severity) for file in examined for severity in failing):
        ctx.exit(ExitCode.USAGE)


COMMANDS: tuple[click.Command, ...] = (validate,)
