"""Templates to the files of a distribution; touches no file but its own templates."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from string import Template

from solar_orch import __version__
from solar_orch.contracts import versions
from solar_orch.scaffold.kinds import Kind
from solar_orch.scaffold.names import Names

#: Ends the name of each template, so that nothing takes it for what it is not yet.
_SUFFIX = ".in"
#: Begins the names of those that are no files, but values in others: ``_about.rst.in`` is ``$about``.
_PARTIAL = "_"
#: Stands in names for that of the package.
_MODULE = "MODULE"
#: Stands in names for the dot before those of hidden files, which builds pass over.
_DOT = "dot_"

#: By the path in the distribution; of partial ones by their names.
Templates = dict[str, Template]


def render(kind: Kind, names: Names, worker: str) -> dict[str, str]:
    """The text of each file of a distribution, by its path in it.

    :param worker: that the part is for
    """
    files: Templates = {}
    partials: Templates = {}
    for layer in kind.layers(worker):
        for path, template in _templates(_root() / layer):
            is_partial = path.name.startswith(_PARTIAL) and not path.name.startswith("__")
            if is_partial:
                partials[path.name.lstrip(_PARTIAL).partition(".")[0]] = template
            else:
                files[_target(path, names)] = template
    values = _values(kind, names, worker)
    values |= {name: template.substitute(values).rstrip("\n") for name, template in partials.items()}
    return {path: template.substitute(values) for path, template in sorted(files.items())}


def _root() -> Traversable:
    return importlib.resources.files("solar_orch.scaffold") / "templates"


def _templates(
    directory: Traversable, inside: PurePosixPath | None = None
) -> Iterator[tuple[PurePosixPath, Template]]:
    """All templates of a directory, with their paths in it, without the suffix."""
    here = inside or PurePosixPath()
    for entry in directory.iterdir():
        if entry.is_dir():
            yield from _templates(entry, here / entry.name)
        elif entry.name.endswith(_SUFFIX):
            yield here / entry.name.removesuffix(_SUFFIX), Template(entry.read_text(encoding="utf-8"))


def _target(path: PurePosixPath, names: Names) -> str:
    parts = [part.replace(_MODULE, names.module) for part in path.parts]
    if parts[-1].startswith(_DOT):
        parts[-1] = "." + parts[-1].removeprefix(_DOT)
    return "/".join(parts)


def _values(kind: Kind, names: Names, worker: str) -> dict[str, str]:
    """What stands for the names in templates."""
    title = names.distribution
    return {
        "name": names.distribution,
        "module": names.module,
        "part": names.part,
        "worker": worker,
        "summary": kind.summary.format(worker=worker),
        "underline": "=" * len(title),
        "entry_points": "\n".join(_entry_points(kind.registers, names, worker)),
        "api": versions.API,
        "version": __version__,
        "python": importlib.metadata.metadata("solar-orch")["Requires-Python"],
    }


def _entry_points(registers: Mapping[str, str], names: Names, worker: str) -> Iterator[str]:
    """The lines of ``[options.entry_points]``."""
    for pattern, target in registers.items():
        namespace = pattern.format(part=names.part, worker=worker)
        # The driver of a worker of one's own is what its option chooses when nobody has set it.
        name = "solar" if pattern == "solar.orchestration.drivers.{part}" else names.part
        yield f"{namespace} =\n    {name} = {names.module}.{target}"
