"""Everything that was measured, and how it is kept."""

from __future__ import annotations

import dataclasses
import json
import platform
import sqlite3
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measure import Run, Spread
from benchmarks.subjects import Subject

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class About:
    """A subject, as tables name it."""

    title: str
    durable: str
    versions: str = ""
    #: Why it was not run, if that is so.
    missing: str = ""


@dataclass
class Results:
    """What one call of the bench has found."""

    machine: dict[str, str] = field(default_factory=dict)
    subjects: dict[str, About] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    #: Figures that only solar_orch has, by their names in figures.py.
    figures: dict[str, list[float]] = field(default_factory=dict)
    #: What was wrong beside the runs.
    problems: list[str] = field(default_factory=list)

    def know(self, subject: Subject, versions: str = "", missing: str = "") -> None:
        self.subjects[subject.name] = About(subject.title, subject.durable, versions, missing)

    def note(self, figure: str, value: float) -> None:
        self.figures.setdefault(figure, []).append(value)

    def figure(self, name: str) -> Spread | None:
        return Spread.of(self.figures.get(name, []))

    def done(self, workload: str, subject: str) -> list[Run]:
        """The runs that came to their ends."""
        return [run for run in self.of(workload, subject) if not run.problem]

    def of(self, workload: str, subject: str) -> list[Run]:
        return [run for run in self.runs if (run.workload, run.subject) == (workload, subject)]

    def rate(self, workload: str, subject: str) -> Spread | None:
        return Spread.of([run.rate for run in self.done(workload, subject)])

    def memory(self, workload: str, subject: str) -> Spread | None:
        return Spread.of([run.memory for run in self.done(workload, subject)])

    def time_per_task(self, workload: str, subject: str) -> float | None:
        rate = self.rate(workload, subject)
        return None if rate is None else 1 / rate.median

    def all_problems(self) -> list[str]:
        """What was wrong; not that something took too long."""
        return self.problems + [
            f"{run.subject}, {run.title}, round {run.round}: {run.problem}"
            for run in self.runs
            if run.problem and not run.late
        ]

    # -- kept ------------------------------------------------------------------

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Results:
        kept: dict[str, Any] = json.loads(path.read_text())
        kept["subjects"] = {name: About(**about) for name, about in kept["subjects"].items()}
        kept["runs"] = [Run(**run) for run in kept["runs"]]
        return cls(**kept)


def machine() -> dict[str, str]:
    """Where and on what this is measured."""
    return {
        "when": time.strftime("%Y-%m-%d %H:%M", time.gmtime()) + " UTC",
        "commit": _git("describe", "--always", "--dirty"),
        "cores": f"{psutil.cpu_count()} x {_processor()}",
        "memory": f"{psutil.virtual_memory().total / 1024**3:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": sqlite3.sqlite_version,
        "load before": f"{psutil.getloadavg()[0]:.2f}",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _git(*args: str) -> str:
    done = subprocess.run(["git", *args], cwd=_ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
