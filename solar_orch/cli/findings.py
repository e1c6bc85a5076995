"""What is found in plan files, with the lines in which it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from solar_orch.cli.messages import say
from solar_orch.cli.planfile import read_text, source_of
from solar_orch.cli.table import width_of, write_line
from solar_orch.collector import collecting_nothing
from solar_orch.errors import PlanUnreadable
from solar_orch.plan.findings import Severity
from solar_orch.plan.places import lines_of

if TYPE_CHECKING:
    from solar_orch.plan.findings import Finding

#: Characters of a line that are shown; with what stands before them they fit a terminal of 80 columns.
_LONGEST_SHOWN = 76
_INDENT = "  "


@dataclass(frozen=True, slots=True)
class Examined:
    """A plan file and what was found in it."""

    source: str
    findings: list[Finding]
    lines: list[str] = field(default_factory=list)
    #: Why it could not be read; None if it could.
    problem: str | None = None

    def count(self, severity: Severity) -> int:
        """How many findings are as bad as this; a file that cannot be read is an error."""
        unreadable = severity is Severity.ERROR and self.problem is not None
        return sum(each.number for each in self.findings if each.severity is severity) + unreadable


def examine(path: str, variables: Mapping[str, str]) -> Examined:
    """Look a plan file over; ``-`` stands for stdin."""
    from solar_orch.api.checking import Checking

    source = source_of(path)
    try:
        text = read_text(path)
    except PlanUnreadable as error:
        return Examined(source, [], problem=error.problem)
    with collecting_nothing():
        found = Checking.validate(text, variables)
    return Examined(source, found, lines_of(text) if found else [])


def print_examined(examined: Examined) -> None:
    """Write what was found, and where, to stdout."""
    if examined.problem is not None:
        write_line(f"{examined.source}: {examined.problem}")
    for finding in examined.findings:
        warning = "warning: " if finding.severity is Severity.WARNING else ""
        write_line(f"{examined.source}:{finding.line}:{finding.column}: {warning}{finding.message}")
        for line in _excerpt(examined.lines, finding):
            write_line(_INDENT + line)


def summarize(examined: Examined) -> None:
    """Write on stderr how many errors and warnings a file has."""
    counts = Counter({severity: examined.count(severity) for severity in Severity})
    told = [f"{n} {word}{'' if n == 1 else 's'}" for word, n in counts.items() if n]
    say(f"{examined.source}: {' and '.join(told) or 'nothing wrong'}")


def as_list(examined: Sequence[Examined]) -> list[dict[str, Any]]:
    """All findings for programs; of a file that cannot be read there is one without a place."""
    found: list[dict[str, Any]] = []
    for file in examined:
        if file.problem is not None:
            found.append(_item(file.source, None, None, Severity.ERROR, file.problem))
        for each in file.findings:
            found.append(_item(file.source, each.line, each.column, each.severity, each.message))
    return found


def _item(
    file: str, line: int | None, column: int | None, severity: Severity, message: str
) -> dict[str, Any]:
    return {"file": file, "line": line, "column": column, "severity": str(severity), "message": message}


def _excerpt(lines: Sequence[str], finding: Finding) -> Iterator[str]:
    """The line, or what fits of it, and a caret below the place; nothing where there is no such place."""
    line = lines[finding.line - 1] if finding.line <= len(lines) else ""
    at = finding.column - 1
    if not line.strip() or at > len(line):
        return
    start = max(0, min(at - _LONGEST_SHOWN // 2, len(line) - _LONGEST_SHOWN))
    shown = "".join(char if char.isprintable() else " " for char in line[start : start + _LONGEST_SHOWN])
    yield shown.rstrip()
    yield " " * width_of(shown[: at - start]) + "^"
