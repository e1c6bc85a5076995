"""A distribution with a part of one's own, begun from a template."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.cli.arguments import App

#: The names of ``solar_orch.scaffold.kinds``, which ``--help`` shall not import.
KINDS = ("task-type", "driver", "hook", "executor", "runner", "limit", "worker")
#: The workers whose hooks there are templates for.
HOOKED = ("tasks", "scheduler", "system_log")


@click.command(short_help="Begin a distribution with a part of your own.")
@click.argument("name")
@click.option(
    "--kind", "kind_name", type=click.Choice(KINDS), required=True, help="What kind of part it is to be."
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The directory to be made; NAME in the current one if not given.",
)
@click.option(
    "--worker",
    type=click.Choice(HOOKED),
    help="The worker that a hook is for; tasks if not given.",
)
@click.pass_obj
def new(app: App, name: str, kind_name: str, directory: Path | None, worker: str | None) -> None:
    """Write a distribution that can be installed, with a part and its tests.

    The part works as it is written, and its tests pass: change it step by
    step into yours.  NAME is that of the distribution; the names of its
    package and of the part follow from it.  An error leaves nothing behind.

    \b
    Example:
      solar-orch plugins new acme-ports --kind task-type
      solar-orch plugins new acme-audit --kind hook --worker scheduler
    """
    if worker is not None and kind_name != "hook":
        raise click.UsageError("--worker is for --kind hook")
    from solar_orch.scaffold.kinds import DEFAULT_WORKER, KINDS
    from solar_orch.scaffold.making import make

    made = directory or Path(name)
    names = make(KINDS[kind_name], name, made, worker or DEFAULT_WORKER, _configuration(app))
    click.echo(f"{made}: a distribution {names.distribution}, with {kind_name} {names.part}; next:")
    for line in (
        f"cd {shlex.quote(str(made))}",
        "pip install -e '.[test]'",
        "pytest",
        "solar-orch plugins list",
        *KINDS[kind_name].example,
    ):
        click.echo(f"  {line}")


def _configuration(app: App) -> cfg.ConfigOpts | None:
    """What is configured, if that can be read: a part can be begun where nothing is configured yet."""
    from solar_orch.errors import ConfigError

    try:
        return app.conf
    except ConfigError:
        return None
