"""``solar-orch``: plans are run, made, started, watched and shown.

The commands themselves stand in ``verbs``; importing this file imports none of what they need.
"""

from __future__ import annotations

import os

import click

from solar_orch import __version__
from solar_orch.cli.arguments import App
from solar_orch.cli.translation import OrchGroup
from solar_orch.cli.verbs import checking, making, parts, picturing, steering, viewing

_EPILOG = """\b
Exit codes of run, report, and what takes -w:
  0    no task is in ERROR
  1    some task is in ERROR
  2    wrong usage, unknown uid, invalid plan, or not now
  3    the wait ran out
  4    no worker is up
  130  interrupted
"""


@click.group(cls=OrchGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config-file", "config_files", multiple=True, metavar="PATH", help="A configuration file.")
@click.option(
    "--config-dir", "config_dirs", multiple=True, metavar="DIR", help="A directory of *.conf files."
)
@click.version_option(__version__, prog_name="solar-orch")
@click.pass_context
def orch(ctx: click.Context, config_files: tuple[str, ...], config_dirs: tuple[str, ...]) -> None:
    """Run deployment plans that survive a crash of anything.

    Wherever a UID is asked for, 'last' stands for the plan that was made last.

    \b
    Example:
      solar-orch run plan.yaml
    """
    if os.environ.get("SOLAR_FAULTS"):
        from solar_orch import faults

        faults.arm(os.environ[faults.VARIABLE])
    ctx.obj = App(config_files, config_dirs)
    ctx.call_on_close(ctx.obj.close)


for _subject in (making, checking, steering, viewing, picturing, parts):
    for _command in _subject.COMMANDS:
        orch.add_command(_command)
