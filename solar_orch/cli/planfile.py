"""Plan files."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, BinaryIO

from solar_orch.collector import collecting_nothing
from solar_orch.errors import PlanUnreadable

if TYPE_CHECKING:
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
