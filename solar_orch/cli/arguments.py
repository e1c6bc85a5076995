"""What the commands take, and what they work with."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import click

from solar_orch.cli.completion import complete_task, complete_uid

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.api.orchestrator import Orchestrator
    from solar_orch.store import Store

F = TypeVar("F", bound=Callable[..., Any])


class App:
    """Configuration, verbs and database of one command line; they come into being when they are asked for.

    :param config_files: of ``--config-file``
    :param config_dirs: of ``--config-dir``
    """

    def __init__(self, config_files: Sequence[str] = (), config_dirs: Sequence[str] = ()) -> None:
        self.options = [
            *(f"--config-file={path}" for path in config_files),
            *(f"--config-dir={path}" for path in config_dirs),
        ]

    @cached_property
    def conf(self) -> cfg.ConfigOpts:
        """The configuration.

        :raises ConfigError: if it cannot be used
        """
        from solar_orch import config

        return config.load(self.options, prog="solar-orch")

    @cached_property
    def orchestrator(self) -> Orchestrator:
        """The verbs.

        :raises ConfigError: if the configuration cannot be used
        """
        from solar_orch.api.orchestrator import Orchestrator

        return Orchestrator(self.conf)

    @property
    def store(self) -> Store:
        """The database.

        :raises ConfigError: if the configuration cannot be used
        """
        return self.orchestrator.store

    def close(self) -> None:
        """Close what was opened."""
        if "orchestrator" in self.__dict__:
            self.orchestrator.close()


def _uid(text: str) -> str:
    """The uid of a plan, or ``last``; whether there is such a plan is found out later."""
    if not text.isprintable():
        raise click.BadParameter(f"{text!r} is no uid")
    return text


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number >= 0:
        raise click.BadParameter(f"{text!r} is no number of seconds")
    return number


#: Seconds of the units in which ages are given.
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def age(text: str) -> float:
    """Seconds from a text as ``30d``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no age; write it as 45m, 12h, 30d or 8w")
    return float(found[1]) * _UNITS[found[2]]


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _variables(_: click.Context, __: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not _VARIABLE.fullmatch(name):
            raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE")
        found[name] = value
    return found


def variables_option(function: F) -> F:
    """``--var NAME=VALUE``, as often as wanted; the last of one name counts."""
    return click.option(
        "--var",
        "variables",
        multiple=True,
        callback=_variables,
        metavar="NAME=VALUE",
        help="A variable of the plan; may be given several times.",
    )(function)


def uid_argument(function: F) -> F:
    """``UID``."""
    return click.argument("uid", type=_uid, metavar="UID", shell_complete=complete_uid)(function)


def task_argument(function: F) -> F:
    """``TASK``, of the plan that ``UID`` names."""
    return click.argument("task", metavar="TASK", shell_complete=complete_task)(function)


def wait_option(what: str) -> Callable[[F], F]:
    """``-w SECONDS``."""
    return click.option("-w", "--wait", type=_seconds, metavar="SECONDS", help=what)


def format_option(function: F) -> F:
    """``--format text|json``."""
    return click.option(
        "--format",
        "format_",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="For people, or for programs.",
    )(function)
