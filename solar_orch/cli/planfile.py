"""Plan files."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, BinaryIO

import click

from solar_orch.collector import collecting_nothing
from solar_orch.errors import PlanUnreadable, UnknownPlan

if TYPE_CHECKING:
    from solar_orch.cli.arguments import App
    from solar_orch.plan.model import Plan


def read_plan(path: str, variables: Mapping[str, str]) -> Plan:
    """The plan in a file; ``-`` stands for stdin.

    :param variables: what ``--var`` gives
    :raises PlanUnreadable: if there is no such file, or it cannot be read
    :raises PlanError: if it has mistakes
    """
    from solar_orch.plan.parse import parse

    text = read_text(path)
    with collecting_nothing():
        return parse(text, source_of(path), variables)


def plan_or_uid(app: App, argument: str, variables: Mapping[str, str]) -> Plan | str:
    """The plan in a file, or the uid of a plan.

    :param variables: what ``--var`` gives
    :raises click.UsageError: if there are variables, and no file
    :raises PlanUnreadable: if there is neither
    :raises PlanError: if the file has mistakes
    """
    if argument == "-" or os.path.lexists(argument):
        return read_plan(argument, variables)
    try:
        uid = app.orchestrator.get(argument).uid
    except UnknownPlan as error:
        raise PlanUnreadable(argument, f"there is no such file, and {error}") from error
    if variables:
        raise click.UsageError(
            f"{uid} is a plan in the database, whose variables have their values; --var is for a plan file"
        )
    return uid


def source_of(path: str) -> str:
    """What the file is called in messages."""
    return "<stdin>" if path == "-" else path


def read_text(path: str) -> bytes:
    """What stands in a plan file, as far as a plan may be long.

    :raises PlanUnreadable: if there is no such file, or it cannot be read
    """
    try:
        return _text(path)
    except (OSError, ValueError) as error:  # ValueError: a path that holds a NUL character
        raise PlanUnreadable(source_of(path), getattr(error, "strerror", None) or str(error)) from error


def _text(path: str) -> bytes:
    if path == "-":
        return _bounded(sys.stdin.buffer)
    with open(path, "rb") as file:
        return _bounded(file)


def _bounded(file: BinaryIO) -> bytes:
    """All of it, or a little more than a plan may have: a device or pipe may never end."""
    from solar_orch.plan.reader import MAX_BYTES

    return file.read(MAX_BYTES + 1)
