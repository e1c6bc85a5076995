"""The command ``mini``, with the commands of ``solar-orch`` below it as ``mini orch``."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click
from oslo_config import cfg

from mini_core import changes, driver
from mini_core.resources import Connection, Resources
from solar_orch import Orchestrator, config
from solar_orch.cli import orch
from solar_orch.errors import SolarError
from solar_orch.states import State


class _Group(click.Group):
    """Shows errors of solar_orch and of resources in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SolarError as error:
            raise click.ClickException(str(error)) from error


class _Site:
    """The configuration, and what is reached by it."""

    def __init__(self) -> None:
        self.conf: cfg.ConfigOpts = config.load(prog="mini")
        for group, options in driver.list_opts():
            self.conf.register_opts(options, group=group)
        self.resources = Resources(self.conf.mini.directory)

    @contextmanager
    def orchestrator(self) -> Iterator[Orchestrator]:
        with Orchestrator(self.conf) as orchestrator:
            yield orchestrator


@click.group(cls=_Group)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Look after resources: say what they are to be like, and have it made so."""
    # For workers that are hosted here, also by `mini orch`; those elsewhere have their own configuration.
    os.environ.setdefault("OS_ORCHESTRATION__TASKS_DRIVER", "mini")
    ctx.obj = None if ctx.invoked_subcommand == "orch" else _Site()


main.add_command(orch)


@main.group(name="resource")
def resource_group() -> None:
    """The resources."""


@resource_group.command(name="list")
@click.pass_obj
def list_resources(site: _Site) -> None:
    """All resources, each after those that it needs."""
    pending = {change.resource: change.action for change in changes.wanted(site.resources)}
    for name, resource in site.resources.all().items():
        state = f"to be changed: {pending[name]}" if name in pending else "as it is to be"
        needs = f" (needs {', '.join(sorted(resource.needs))})" if resource.needs else ""
        click.echo(f"{name}{needs}: {state}")


@resource_group.command()
@click.argument("name")
@click.pass_obj
def show(site: _Site, name: str) -> None:
    """The inputs and actions of a resource."""
    resource, values = site.resources.get(name), site.resources.values(name)
    for key, value in resource.inputs.items():
        origin = f" (from {value.resource}.{value.input})" if isinstance(value, Connection) else ""
        click.echo(f"{key} = {json.dumps(values[key])}{origin}")
    click.echo(f"actions: {', '.join(sorted(resource.actions)) or 'none'}")


@resource_group.command(name="set")
@click.argument("name")
@click.argument("assignments", nargs=-1, required=True, metavar="INPUT=VALUE...")
@click.pass_obj
def set_inputs(site: _Site, name: str, assignments: tuple[str, ...]) -> None:
    """Give inputs of a resource other values: numbers, or else texts.

    A text is a number if that is written so: 7 and 1.5 are, 007 and 1.50 are not.
    """
    values = {}
    for assignment in assignments:
        key, sign, text = assignment.partition("=")
        if not sign:
            raise click.UsageError(f"{assignment!r} is not of the form INPUT=VALUE")
        values[key] = _number(text)
    site.resources.set(name, values)


def _number(text: str) -> int | float | str:
    """The number that a text writes, or else the text.

    What would be written in another way is left as it is: 1.10 is a version, and 007 has its zeros.
    """
    for kind in (int, float):
        with suppress(ValueError):
            number: int | float = kind(text)
            if str(number) == text and (kind is int or math.isfinite(number)):
                return number
    return text


@main.group(name="changes")
def changes_group() -> None:
    """What is to be changed, and was."""


@changes_group.command()
@click.pass_obj
def stage(site: _Site) -> None:
    """Stage what differs from what is wanted."""
    with site.orchestrator() as orchestrator:
        staged = changes.stage(orchestrator, site.resources)
    for change in staged:
        parts = (f"{key}: {json.dumps(old)} -> {json.dumps(new)}" for key, (old, new) in change.diff.items())
        click.echo(f"{change.resource}.{change.action}  {', '.join(parts)}".rstrip())
    if not staged:
        click.echo("all resources are as they are to be")


@changes_group.command()
@click.pass_obj
def process(site: _Site) -> None:
    """Make a plan of what is staged, and print its uid."""
    with site.orchestrator() as orchestrator:
        click.echo(changes.process(orchestrator, site.resources))


@changes_group.command()
@click.pass_obj
def run(site: _Site) -> None:
    """Run the plan that was made last; exits with 1 if a change could not be made."""
    from mini_core import running  # only what runs plans needs gevent

    with site.orchestrator() as orchestrator:
        outcomes = running.run(orchestrator, site.conf, lambda line: click.echo(line, err=True))
    for task in outcomes:
        click.echo(f"{task.status}  {task.name}" + (f"  {task.errmsg}" if task.errmsg else ""))
    if any(task.status is not State.SUCCESS for task in outcomes):
        raise SystemExit(1)


@changes_group.command()
@click.pass_obj
def history(site: _Site) -> None:
    """The changes that were made, and then those that are still to be made."""
    with site.orchestrator() as orchestrator:
        for item in [*orchestrator.history(), *orchestrator.staged()]:
            error = f"  {item['errmsg']}" if item["errmsg"] else ""
            click.echo(
                f"{item['state']}  {item['resource']}.{item['action']}  {json.dumps(item['diff'])}{error}"
            )
