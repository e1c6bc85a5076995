"""What is found when a plan file is looked over."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.StrEnum):
    """How bad it is."""

    #: The plan is refused.
    ERROR = "error"
    #: The plan is taken, but may not be what was meant.
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong or odd in a plan file; lines and columns count from 1."""

    line: int
    column: int
    severity: Severity
    message: str
    #: How many it is, see :class:`~solar_orch.errors.Mistake`.
    number: int = 1
