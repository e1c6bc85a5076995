"""Subjects that are a program of their own, in an environment of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.environments import Environment
from benchmarks.measure import Peaks, Run
from benchmarks.workloads import Workload

_PROGRAMS = Path(__file__).parents[1] / "programs"

#: Seconds that a program gets beyond the limit for what is not measured: its start and its end.
_GRACE = 30.0


@dataclass
class Program:
    """Runs ``programs/run_*.py`` once for each workload."""

    name: str
    title: str
    durable: str
    script: str
    rounds: int = 1
    #: Of the program; None for that of the bench.
    environment: Environment | None = None
    #: Workload to the size in which it is run (plans, depth, width), where that is another; None for not at all.
    sizes: Mapping[str, tuple[int, int, int] | None] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def prepare(self) -> str:
        if self.environment is None:
            return f"Python {sys.version.split()[0]}"
        self.environment.make()
        return self.environment.versions()

    def size_of(self, workload: Workload) -> Workload | None:
        size = self.sizes.get(workload.name, (workload.plans, workload.depth, workload.width))
        return size and workload.scaled(*size)

    def run(self, workload: Workload, turn: int, limit: float) -> Run:
        with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as directory:
            given = {"plans": workload.graphs, "directory": directory, "options": dict(self.options)}
            path = Path(directory) / "request.json"
            path.write_text(json.dumps(given))
            answered, memory = self._ask(path, limit)
        problem = answered.get("problem")
        if problem is None and answered["ended"] != workload.size:
            problem = f"{answered['ended']} of {workload.size} tasks ended"
        seconds, late = answered.get("seconds", limit), answered.get("late", False)
        return Run(
            workload.name, workload.title, self.name, turn, workload.size, seconds, memory, problem, late
        )

    def _ask(self, request: Path, limit: float) -> tuple[dict[str, Any], float]:
        python = self.environment.python if self.environment else sys.executable
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        output = request.with_name("output")
        with output.open("wb") as file, Peaks().watching() as peaks:
            process = subprocess.Popen(
                [str(python), str(_PROGRAMS / self.script), str(request)],
                cwd=request.parent,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            peaks.watch(process.pid)
            try:
                late = not _ends(process, limit + _GRACE, peaks)
            finally:
                _kill_session(process)
        if late:
            return {"problem": f"not over in {limit:g} s", "late": True}, peaks.total
        return _answer(output.read_text(errors="replace"), process.returncode), peaks.total


def _ends(process: subprocess.Popen[bytes], seconds: float, peaks: Peaks) -> bool:
    """Whether it ends in time.  It is short-lived, so that its peak is looked for often."""
    deadline = time.monotonic() + seconds
    pause = 0.01
    while process.poll() is None:
        if time.monotonic() > deadline:
            return False
        peaks.look()
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)
    return True


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill what it has started and left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _answer(output: str, code: int) -> dict[str, Any]:
    """The line in which a program answers, which may stand between what its libraries say."""
    for line in reversed(output.splitlines()):
        if line.startswith('{"seconds"'):
            answered: dict[str, Any] = json.loads(line)
            return answered
    return {"problem": f"it ended with {code}: {output.strip()[-600:]}"}
