"""What is wrong with a part: what, where, and what could be done."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Kind(enum.StrEnum):
    """The ways in which something can be wrong."""

    #: The target of the entry point is no ``module`` or ``module:attribute``.
    MALFORMED = "malformed-target"
    #: It cannot be imported.
    IMPORT = "import"
    SYNTAX = "syntax"
    #: The module has no such attribute.
    ATTRIBUTE = "attribute"
    #: Importing it ended the process.
    CRASH = "crash"
    #: Importing it does not come to an end.
    HANG = "hang"
    #: Importing it writes to stdout.
    OUTPUT = "output"
    #: Importing it starts a thread, a greenlet or a process, or opens a socket.
    OPENS = "opens"
    #: It was made for another major version of the contracts.
    VERSION = "version"
    #: It does not keep the contract of its namespace.
    CONTRACT = "contract"
    #: Its ``list_opts`` cannot be used.
    OPTIONS = "options"
    #: One of its options has a value that does not parse.
    VALUE = "value"
    #: Plans cannot name it.
    TASK_TYPE = "task-type"
    #: Several packages register the same name.
    DUPLICATE = "duplicate"
    #: No host reads its namespace.
    UNREAD = "unread-namespace"
    #: Another part of the same worker is missing.
    PEER = "missing-peer"
    #: An option selects what is not installed.
    SELECTION = "selection"
    #: Found only when the host as a whole was built.
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Place:
    """A line in a file."""

    file: str
    line: int | None = None
    #: What stands there.
    source: str | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    kind: Kind
    namespace: str
    name: str
    #: ``distribution version``; None where no package is at fault.
    package: str | None
    #: Whether a host as it is configured would load the part.
    selected: bool
    problem: str
    #: What could be done.
    remedy: str
    place: Place | None = None

    def as_dict(self) -> dict[str, Any]:
        """For programs: flat, with the keys that the documentation names."""
        return {
            "kind": str(self.kind),
            "namespace": self.namespace,
            "name": self.name,
            "package": self.package,
            "selected": self.selected,
            "problem": self.problem,
            "file": self.place.file if self.place else None,
            "line": self.place.line if self.place else None,
            "source": self.place.source if self.place else None,
            "remedy": self.remedy,
        }

    @classmethod
    def from_dict(cls, item: Mapping[str, Any]) -> Finding:
        """The reverse of :meth:`as_dict`."""
        fields = dict(item)
        file, line, source = (fields.pop(key) for key in ("file", "line", "source"))
        place = None if file is None else Place(file, line, source)
        return cls(**{**fields, "kind": Kind(fields["kind"])}, place=place)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What came of looking at everything."""

    findings: list[Finding]
    #: How many parts were looked at, and of how many packages.
    parts: int
    packages: int
    #: Why the host cannot be built as it is configured; None if it can.
    host: str | None

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings and self.host is None

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "healthy": self.healthy,
            "parts": self.parts,
            "packages": self.packages,
            "host": self.host,
            "findings": [finding.as_dict() for finding in self.findings],
        }

    @classmethod
    def from_dict(cls, item: Mapping[str, Any]) -> Diagnosis:
        """The reverse of :meth:`as_dict`."""
        findings = [Finding.from_dict(each) for each in item["findings"]]
        return cls(findings, item["parts"], item["packages"], item["host"])
