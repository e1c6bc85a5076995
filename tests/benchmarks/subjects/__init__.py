"""All subjects, in the order in which they take their turns."""

from __future__ import annotations

from benchmarks.subjects.base import Subject, Unavailable
from benchmarks.subjects.celery import CELERY
from benchmarks.subjects.dask import DASK
from benchmarks.subjects.dbos import DBOS
from benchmarks.subjects.floor import BATCHED, CONTRACT, FLOOR
from benchmarks.subjects.solar import ONE_PROCESS, THREE_PROCESSES
from benchmarks.subjects.taskflow import TASKFLOW

_ALL = (ONE_PROCESS, FLOOR, THREE_PROCESSES, CONTRACT, BATCHED, DASK, DBOS, CELERY, TASKFLOW)

SUBJECTS: dict[str, Subject] = {subject.name: subject for subject in _ALL}

__all__ = ["SUBJECTS", "Subject", "Unavailable"]
