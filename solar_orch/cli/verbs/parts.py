"""The parts that are installed: what there is, what is wrong with it, and how one begins."""

from __future__ import annotations

import click

from solar_orch.cli.verbs.new_part import new


@click.group()
def plugins() -> None:
    """See which parts are installed, find what is wrong with them, and begin one.

    \b
    Example:
      solar-orch plugins list
    """


plugins.add_command(new)

COMMANDS: tuple[click.Command, ...] = (plugins,)
