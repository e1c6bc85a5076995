"""What is said to people beside the answer: on stderr, so that stdout holds nothing else."""

from __future__ import annotations

import shutil
import sys
import textwrap

import click


def say(text: str) -> None:
    """Write a sentence or two to stderr, broken between words where that is a terminal."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        text = textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
    click.echo(text, err=True)
