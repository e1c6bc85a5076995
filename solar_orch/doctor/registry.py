"""What is registered, and what of it the configuration selects; imports no part."""

from __future__ import annotations

import difflib
import functools
import importlib.metadata
import os
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from solar_orch import plugins
from solar_orch.config import GROUP
from solar_orch.contracts.table import PREFIX, Contract, contract_of, read_by_hosts
from solar_orch.doctor import places
from solar_orch.doctor.findings import Place
from solar_orch.errors import UnknownPart

if TYPE_CHECKING:
    from oslo_config import cfg

#: How alike a name must be to one that there is to be taken for it.
_ALIKE = 0.6


@dataclass(frozen=True, slots=True)
class Part:
    """A registered part and what the configuration makes of it."""

    entry: plugins.Entry
    #: Whether a host as it is configured loads it.
    selected: bool
    #: The option that chooses it; None if all parts of its namespace are loaded, or none is.
    option: str | None
    #: Whether its name is registered more than once.
    duplicated: bool
    #: Whether any host reads its namespace.
    read: bool

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "namespace": self.entry.namespace,
            "name": self.entry.name,
            "package": self.entry.distribution,
            "version": self.entry.version,
            "target": self.entry.target,
            "selected": self.selected,
            "option": self.option,
            "read": self.read,
            "duplicated": self.duplicated,
        }


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace and all that is registered in it."""

    name: str
    #: None if it is one that no host reads.
    contract: Contract | None
    #: Whether a host with the installed workers reads it.
    read: bool
    #: What the option says that chooses among the parts; empty where all of them are loaded.
    chosen: Sequence[str]
    #: By name; those that are registered several times stand side by side.
    parts: Sequence[Part]


class Registry:
    """Everything that is registered below ``solar.orchestration``.

    :param conf: which says what of it is selected
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        #: Of the installed workers, sorted.
        self.workers = plugins.names(plugins.EXTENSIONS)
        self._read = set(read_by_hosts(self.workers))

    @functools.cached_property
    def namespaces(self) -> list[Namespace]:
        """All that a host reads, or in which a package registers a part, by name."""
        with plugins.session():
            return [self._namespace(name) for name in sorted({*self._read, *plugins.namespaces()})]

    @property
    def parts(self) -> list[Part]:
        """All parts, by namespace and name."""
        return [part for namespace in self.namespaces for part in namespace.parts]

    def namespace(self, given: str) -> Namespace:
        """The one of this name, whose prefix ``solar.orchestration.`` may be left out.

        :raises UnknownPart: if there is none
        """
        known = {namespace.name: namespace for namespace in self.namespaces}
        for name in (given, PREFIX + given):
            if name in known:
                return known[name]
        short = [name.removeprefix(PREFIX) for name in known]
        raise UnknownPart(
            "namespace", given, suggestions=alike(given.removeprefix(PREFIX), short), available=short
        )

    def find(self, namespace: str, name: str) -> list[Part]:
        """The parts of this name, more than one if it is registered more than once.

        :raises UnknownPart: if there is none
        """
        within = self.namespace(namespace)
        found = [part for part in within.parts if part.entry.name == name]
        if not found:
            names = list(dict.fromkeys(part.entry.name for part in within.parts))
            raise UnknownPart(
                "name", name, where=within.name, suggestions=alike(name, names), available=names
            )
        return found

    def _namespace(self, name: str) -> Namespace:
        contract, read = contract_of(name), name in self._read
        option = contract.option if contract and read else None
        chosen = self.chosen(option) if option else []
        entries = plugins.entries(name)
        counts = Counter(entry.name for entry in entries)
        parts = [
            Part(
                entry,
                selected=read and (option is None or entry.name in chosen),
                option=option,
                duplicated=counts[entry.name] > 1,
                read=read,
            )
            for entry in entries
        ]
        return Namespace(name, contract, read, chosen, parts)

    def chosen(self, option: str) -> list[str]:
        """The names that an option selects."""
        if option not in self._conf[GROUP]:
            from solar_orch.extensions import option_of  # brings the store; only foreign workers need it

            option_of(self._conf, option, default="solar")
        value = self._conf[GROUP][option]
        return list(value) if isinstance(value, list) else [cast(str, value)]

    def set_by(self, option: str) -> str | None:
        """The file or the environment variable in which an option is set; None if it has its default."""
        found = self._conf.get_location(option, GROUP)
        return found.detail if found is not None and found.location.is_user_controlled else None


def alike(given: str, known: Collection[str]) -> list[str]:
    """Those of `known` that may have been meant, the most likely first."""
    return difflib.get_close_matches(given, known, n=3, cutoff=_ALIKE)


def registered_at(entry: plugins.Entry) -> Place | None:
    """The line that registers an entry point, in the metadata of its package; None if that is not known."""
    if entry.distribution is None:
        return None
    try:
        dist = importlib.metadata.distribution(entry.distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in dist.files or ():
        if file.name == "entry_points.txt":
            path = os.path.normpath(str(file.locate()))
            return places.of_line(path, rf"^\s*{re.escape(entry.name)}\s*=\s*{re.escape(entry.target)}\s*$")
    return None
