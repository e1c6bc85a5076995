"""All subjects, in the order in which they take their turns."""

from __future__ import annotations

from benchmarks.subjects.base import Subject, Unavailable
from benchmarks.subjects.floor import FLOOR, FLOOR_100
from benchmarks.subjects.solar import ONE_PROCESS, THREE_PROCESSES

SUBJECTS: dict[str, Subject] = {
    subject.name: subject for subject in (ONE_PROCESS, FLOOR, THREE_PROCESSES, FLOOR_100)
}

__all__ = ["SUBJECTS", "Subject", "Unavailable"]
