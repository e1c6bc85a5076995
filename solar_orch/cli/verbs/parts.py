"""The parts that are installed: what there is, what is wrong with it, and how one begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from solar_orch.cli.arguments import format_option
from solar_orch.cli.completion import complete_namespace, complete_part
from solar_orch.cli.verbs.new_part import new
from solar_orch.errors import ExitCode

if TYPE_CHECKING:
    from solar_orch.cli.arguments import App

#: Seconds; a day.
_LONGEST = 86_400


@click.group()
def plugins() -> None:
    """See which parts are installed, find what is wrong with them, and begin one.

    \b
    Example:
      solar-orch plugins list
    """


def _timeout(_: click.Context, __: click.Parameter, seconds: float) -> float:
    if not 0 < seconds <= _LONGEST:
        raise click.BadParameter(f"must be more than 0 and at most {_LONGEST}")
    return seconds


_timeout_option = click.option(
    "--timeout",
    type=float,
    callback=_timeout,
    default=20.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds that the import of one part may take.",
)


@plugins.command("list", short_help="List what is registered.")
@click.option(
    "--namespace",
    metavar="NAMESPACE",
    shell_complete=complete_namespace,
    help="Only this namespace; 'solar.orchestration.' may be left out.",
)
@format_option
@click.pass_obj
def list_(app: App, namespace: str | None, format_: str) -> None:
    """List all namespaces and the parts that are registered in them.

    What a host would load as it is configured has a '*'.  No part is imported.

    \b
    Example:
      solar-orch plugins list
      solar-orch plugins list --namespace executors --format json
    """
    from solar_orch.doctor.registry import Registry

    registry = Registry(app.conf)
    namespaces = registry.namespaces if namespace is None else [registry.namespace(namespace)]
    if format_ == "json":
        from solar_orch.cli.display import print_json

        print_json([part.as_dict() for each in namespaces for part in each.parts])
        return
    from solar_orch.cli.partlists import print_namespaces

    print_namespaces(namespaces)


@plugins.command(short_help="Tell what a part is like.")
@click.argument("namespace", metavar="NAMESPACE", shell_complete=complete_namespace)
@click.argument("name", metavar="NAME", shell_complete=complete_part)
@_timeout_option
@format_option
@click.pass_context
def show(ctx: click.Context, namespace: str, name: str, timeout: float, format_: str) -> None:
    """Tell what a part is like: its package, contract and options, and what is wrong with it.

    The part is imported, in a process of its own.  'solar.orchestration.' may
    be left out of the namespace.  Values of secret options are not shown.

    \b
    Exit codes:
      0  nothing is wrong with it
      1  something is
      2  there is no such part
    \b
    Example:
      solar-orch plugins show executors zerorpc
      solar-orch plugins show drivers.tasks solar --format json
    """
    from solar_orch.doctor import bench

    described = bench.describe(ctx.obj.options, namespace, name, timeout)
    if format_ == "json":
        from solar_orch.cli.display import print_json

        print_json(described)
    else:
        from solar_orch.cli.partlists import print_description

        for part in described:
            print_description(part)
    if any(part["findings"] for part in described):
        ctx.exit(ExitCode.FAILURE)


@plugins.command(short_help="Find what is wrong with what is installed.")
@_timeout_option
@format_option
@click.pass_context
def doctor(ctx: click.Context, timeout: float, format_: str) -> None:
    """Find what is wrong with the parts that are installed, and say what could be done.

    Each part is imported in a process of its own, and so may do whatever it
    likes.  At the end the host is built as it is configured, which opens nothing.

    \b
    Exit codes:
      0  nothing is wrong
      1  something is
    \b
    Example:
      solar-orch plugins doctor
      solar-orch plugins doctor --timeout 60 --format json
    """
    from solar_orch.doctor import bench

    diagnosis = bench.examine(ctx.obj.options, timeout)
    if format_ == "json":
        from solar_orch.cli.display import print_object

        print_object(diagnosis.as_dict())
    else:
        from solar_orch.cli.diagnosis import print_diagnosis

        print_diagnosis(diagnosis)
    if not diagnosis.healthy:
        ctx.exit(ExitCode.FAILURE)


plugins.add_command(new)

COMMANDS: tuple[click.Command, ...] = (plugins,)
