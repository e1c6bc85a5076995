"""What a command says and exits with when it fails; the same wherever the group is mounted."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from solar_orch.cli.messages import say
from solar_orch.errors import ExitCode, PlanError, SolarError

#: What a shell shows for a program whose reader has gone, as in ``solar-orch list | head -1``.
BROKEN_PIPE = 141


class OrchGroup(click.Group):
    """A group whose commands may raise any :class:`SolarError`: it is said on stderr, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.

        :raises click.exceptions.Exit: with the exit code of the error that the command ended with
        """
        if sys.stdout is None:
            say(f"{ctx.command_path}: error: stdout is closed")
            raise click.exceptions.Exit(ExitCode.FAILURE)
        try:
            return super().invoke(ctx)
        except SolarError as error:
            text = message(error, ctx.command_path)
            # Where a plan is wrong is for editors as well, which take it line by line.
            if isinstance(error, PlanError):
                click.echo(text, err=True)
            else:
                say(text)
            raise click.exceptions.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            click.echo(err=True)
            raise click.exceptions.Exit(ExitCode.INTERRUPTED) from error
        except BrokenPipeError as error:
            _forget_output()
            raise click.exceptions.Exit(BROKEN_PIPE) from error
        except OSError as error:
            _forget_output()
            say(f"{ctx.command_path}: error: {error.filename or 'stdout'}: {error.strerror or error}")
            raise click.exceptions.Exit(ExitCode.FAILURE) from error


def message(error: SolarError, program: str) -> str:
    """What is said on stderr; the mistakes of a plan stand alone, so that editors find them."""
    if isinstance(error, PlanError):
        number = sum(mistake.number for mistake in error.mistakes)
        return f"{error}\n{number} mistake{'' if number == 1 else 's'}; nothing was written"
    text = " ".join(str(error).split())
    return f"{program}: error: {text}"


def _forget_output() -> None:
    """Let what could not be written go, or the interpreter would complain of it when it ends."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError, AttributeError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
