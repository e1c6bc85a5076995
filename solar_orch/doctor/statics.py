"""What is wrong with what is registered, found without importing any of it."""

from __future__ import annotations

import difflib
import importlib.metadata
import itertools
import os
from collections.abc import Iterator

from solar_orch import plugins
from solar_orch.contracts.table import PREFIX, read_by_hosts
from solar_orch.doctor import places
from solar_orch.doctor.findings import Finding, Kind
from solar_orch.doctor.registry import Namespace, Part, Registry, alike, registered_at
from solar_orch.host import unmatched

#: How alike a namespace beside ours must be to one of ours to count as misspelt.
_NEARLY = 0.9


def examine(registry: Registry) -> Iterator[Finding]:
    """Look at names, namespaces, and what the configuration selects."""
    for namespace in registry.namespaces:
        yield from _duplicates(namespace)
        yield from _unselectable(namespace, registry)
        if not namespace.read:
            yield from _unread(namespace, registry)
    yield from _unmatched(registry)
    yield from _misspelt(registry)


def finding(part: Part, kind: Kind, problem: str, remedy: str) -> Finding:
    """What is wrong with how a part is registered."""
    entry = part.entry
    place = registered_at(entry)
    return Finding(kind, entry.namespace, entry.name, entry.package, part.selected, problem, remedy, place)


def _duplicates(namespace: Namespace) -> Iterator[Finding]:
    for name, group in itertools.groupby(namespace.parts, lambda part: part.entry.name):
        parts = list(group)
        if len(parts) < 2:
            continue
        where = " and ".join(f"{part.entry.package} ({part.entry.target})" for part in parts)
        packages = list(dict.fromkeys(part.entry.distribution or part.entry.package for part in parts))
        one = f"one of {' and '.join(packages)}" if len(packages) > 1 else packages[0]
        yield Finding(
            Kind.DUPLICATE,
            namespace.name,
            name,
            ", ".join(dict.fromkeys(part.entry.package for part in parts)),
            parts[0].selected,
            f"the name is registered {len(parts)} times, by {where}",
            f"uninstall {one}, or have it register another name",
            registered_at(parts[-1].entry),
        )


def _unselectable(namespace: Namespace, registry: Registry) -> Iterator[Finding]:
    """Of options that choose what is not installed."""
    contract = namespace.contract
    if contract is None or contract.option is None or not namespace.read:
        return
    names = sorted({part.entry.name for part in namespace.parts})
    for name in namespace.chosen:
        # The extension of a foreign worker may well need no driver.
        if name in names or (not names and contract.worker is not None and name == "solar"):
            continue
        meant = alike(name, names)
        there = " or ".join(meant or names)
        source = registry.set_by(contract.option)
        yield Finding(
            Kind.SELECTION,
            namespace.name,
            name,
            None,
            True,
            f"no installed package registers this name, which the option {contract.option} asks for"
            + (f" ({source})" if source else ""),
            "install the package that has it"
            + (f", or have {contract.option} name {there}" if there else f", or unset {contract.option}"),
            places.of_line(source, rf"^\s*{contract.option}\s*[=:]")
            if os.path.isfile(source or "")
            else None,
        )


def _unread(namespace: Namespace, registry: Registry) -> Iterator[Finding]:
    contract = namespace.contract
    for part in namespace.parts:
        if contract is not None and contract.worker is not None:
            meant = alike(contract.worker, registry.workers)
            problem = f"it is for a worker {contract.worker}, and no package has an extension of this name"
            remedy = f"install the package that brings the worker {contract.worker}"
        else:
            known = [name.removeprefix(PREFIX) for name in read_by_hosts(registry.workers)]
            meant = alike(namespace.name.removeprefix(PREFIX), known)
            problem = "no host reads this namespace, so that nothing will ever load the part"
            remedy = "register it in one that a host reads (solar-orch plugins list)"
        if meant:
            remedy = f"{remedy}, or did {part.entry.package} mean {' or '.join(meant)}?"
        yield finding(part, Kind.UNREAD, problem, remedy)


def _unmatched(registry: Registry) -> Iterator[Finding]:
    """Of workers that lack a part."""
    parts = {(part.entry.namespace, part.entry.name): part for part in registry.parts}
    for error in unmatched(registry.workers):
        part = parts[error.namespace, error.name]
        if error.namespace == plugins.EXTENSIONS:
            remedy = f"have {part.entry.package} register it under this name too"
        else:
            meant = alike(error.name, registry.workers)
            remedy = f"have {part.entry.package} register an extension {error.name}" + (
                f", or did it mean {' or '.join(meant)}?" if meant else ""
            )
        yield finding(part, Kind.PEER, error.cause, remedy)


def _misspelt(registry: Registry) -> Iterator[Finding]:
    """Of namespaces beside ours whose names are nearly those of ours."""
    known = read_by_hosts(registry.workers)
    groups = {group for dist in importlib.metadata.distributions() for group in dist.entry_points.groups}
    for group in sorted(groups):
        if group.startswith(PREFIX) or not group.startswith("solar"):
            continue
        meant = difflib.get_close_matches(group, known, n=1, cutoff=_NEARLY)
        for entry in plugins.entries(group) if meant else ():
            part = Part(entry, selected=False, option=None, duplicated=False, read=False)
            yield finding(
                part,
                Kind.UNREAD,
                "no host reads this namespace, so that nothing will ever load the part",
                f"did {entry.package} mean {meant[0]}?",
            )
