"""A new distribution, from its name to its files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from solar_orch.scaffold import names, rendering, writing
from solar_orch.scaffold.kinds import Kind
from solar_orch.scaffold.names import Names

if TYPE_CHECKING:
    from oslo_config import cfg


def make(kind: Kind, name: str, directory: Path, worker: str, conf: cfg.ConfigOpts | None = None) -> Names:
    """Write an installable distribution with one part of this kind.

    :param name: of the distribution
    :param directory: is made, with all that belongs to it, or not at all
    :param worker: that the part is for
    :param conf: of the place where the part will be used; only names that are taken there depend on it
    :return: what things in it are called
    :raises NameRefused: if the name cannot be used
    :raises DirectoryRefused, FileNotWritten: if the directory cannot be made
    """
    derived = names.derive(name)
    names.refuse_clashes(derived, kind, worker, conf)
    writing.write(directory, rendering.render(kind, derived, worker))
    return derived
