"""What is wrong with installed parts, as it is printed on stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from solar_orch.cli.table import write_line, write_paragraph

if TYPE_CHECKING:
    from solar_orch.doctor.findings import Diagnosis, Finding

_INDENT = "  "
_FURTHER = "    "


def print_diagnosis(diagnosis: Diagnosis) -> None:
    """Write what was found, by namespace, and whether a host can be made of what is installed."""
    namespace = None
    for finding in diagnosis.findings:
        if finding.namespace != namespace:
            namespace = finding.namespace
            write_paragraph(namespace, style="bold")
        _print_finding(finding)
    write_paragraph(_summary(diagnosis))
    if diagnosis.host is None:
        write_paragraph("The host can be built as it is configured.")
    else:
        write_paragraph(f"The host cannot be built as it is configured: {diagnosis.host}")


def _print_finding(finding: Finding) -> None:
    origin = f" from {finding.package}" if finding.package else ""
    write_paragraph(f"{finding.name}{origin}{'' if finding.selected else ' (not loaded)'}", _INDENT)
    write_paragraph(finding.problem, _FURTHER)
    if finding.place is not None:
        # In one piece, so that it can be clicked on and copied.
        write_line(f"{_FURTHER}{finding.place}")
        if finding.place.source:
            write_line(f"{_FURTHER}{_FURTHER}{finding.place.source}")
    write_paragraph(finding.remedy, f"{_FURTHER}-> ")


def _summary(diagnosis: Diagnosis) -> str:
    parts, packages = _number(diagnosis.parts, "part"), _number(diagnosis.packages, "package")
    loaded = sum(finding.selected for finding in diagnosis.findings)
    if not diagnosis.findings:
        return f"{parts} of {packages}: nothing wrong"
    wrong = _number(len(diagnosis.findings), "finding")
    return f"{parts} of {packages}: {wrong}, {loaded} of them in what would be loaded"


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
