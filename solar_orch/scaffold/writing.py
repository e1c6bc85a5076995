"""A directory of files that is there as a whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from solar_orch.errors import DirectoryRefused, FileNotWritten


def write(directory: Path, files: Mapping[str, str]) -> None:
    """Write files into a directory that is made for them.

    :param files: their texts, by paths in it
    :raises DirectoryRefused: if something has its name already, or its parent is no directory
    :raises FileNotWritten: if it cannot be written; nothing is left behind then
    """
    refuse_existing(directory)
    try:
        # Beside it, so that it can be renamed.
        with tempfile.TemporaryDirectory(prefix=f".{directory.name}-", dir=directory.parent) as temporary:
            made = Path(temporary) / directory.name
            for path, text in files.items():
                target = made / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
            os.rename(made, directory)
    except OSError as error:
        raise FileNotWritten(str(directory), error.strerror or str(error)) from error


def refuse_existing(directory: Path) -> None:
    """See that a directory can be made.  Writes nothing.

    :raises DirectoryRefused: if something has its name already, or its parent is no directory
    """
    if os.path.lexists(directory):
        raise DirectoryRefused(str(directory), "is there already; give another one with --directory")
    if not directory.parent.is_dir():
        raise DirectoryRefused(str(directory), f"cannot be made: {directory.parent} is no directory")
