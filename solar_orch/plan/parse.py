"""From the text of a plan file to a :class:`~solar_orch.plan.model.Plan`, or to all its mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from solar_orch.errors import PlanError
from solar_orch.plan import advice, reader
from solar_orch.plan.checker import Checker
from solar_orch.plan.checks import CONTROLS
from solar_orch.plan.complaints import MAX_MISTAKES, Complaints, bounded, placed
from solar_orch.plan.edges import MAX_CYCLES
from solar_orch.plan.findings import Finding, Severity
from solar_orch.plan.model import Plan
from solar_orch.plan.reader import BROKEN

__all__ = ["CONTROLS", "MAX_CYCLES", "MAX_MISTAKES", "examine", "parse"]

_NONE: Mapping[str, str] = MappingProxyType({})


def parse(text: str | bytes, source: str = "<plan>", variables: Mapping[str, str] = _NONE) -> Plan:
    """Read and check a plan.  Pure: no I/O.

    :param text: YAML or JSON; bytes are UTF-8
    :param source: the file's name, for messages
    :param variables: what ``${NAME}`` stands for; goes before the plan's own ``vars``
    :raises PlanError: with every mistake that could be found, in the order of the file
    """
    complaints = Complaints()
    checker = _checked(text, variables, complaints)
    if checker is not None:
        return checker.plan()
    raise PlanError(source, bounded(*placed(text, complaints)))


def examine(text: str | bytes, variables: Mapping[str, str] = _NONE) -> list[Finding]:
    """All mistakes of a plan file, in its order; and if there are none, what is odd about it.  Pure.

    :param text: as :func:`parse` takes it
    :param variables: as :func:`parse` takes them
    """
    complaints = Complaints()
    checker = _checked(text, variables, complaints)
    severity, noun = Severity.ERROR, "mistakes"
    if checker is not None:
        severity, noun = Severity.WARNING, "warnings"
        advice.advise(checker, complaints)
    if checker is not None and not complaints.kept:
        return []
    told = bounded(*placed(text, complaints), noun)
    return [Finding(found.line, found.column, severity, found.message, found.number) for found in told]


def _checked(text: str | bytes, variables: Mapping[str, str], complaints: Complaints) -> Checker | None:
    """What a plan can be had from; None if there are mistakes."""
    document = reader.read(text)
    checker = Checker(complaints, variables)
    if document.whole and document.value is not BROKEN:
        checker.check(document.value)
        if not document.mistakes:
            checker.variables.complain_of_unknown()
    return None if document.mistakes or complaints.kept else checker
