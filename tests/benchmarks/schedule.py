"""Who runs what, and when: the subjects take turns, so that whatever disturbs the machine hits all alike."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from benchmarks.measure import Run
from benchmarks.results import Results
from benchmarks.subjects import Subject, Unavailable
from benchmarks.workloads import Workload


def prepare(subjects: Sequence[Subject], results: Results) -> list[Subject]:
    """Those of the subjects that can be run here; the others are noted as missing."""
    able = []
    for subject in subjects:
        try:
            results.know(subject, versions=subject.prepare())
            able.append(subject)
        except Unavailable as error:
            results.know(subject, missing=str(error))
            print(f"{subject.title} is not run: {error}", flush=True)
    return able


class Schedule:
    """The turns of all subjects in all workloads.

    :param limit: seconds after which one run is given up
    :param deadline: by ``time.monotonic()``; no round but the first begins a run after it
    """

    def __init__(
        self,
        subjects: Sequence[Subject],
        workloads: Sequence[Workload],
        limit: float,
        deadline: float,
        results: Results,
    ) -> None:
        self._subjects = subjects
        self._workloads = workloads
        self._limit = limit
        self._deadline = deadline
        self._results = results
        self._late: set[tuple[str, str]] = set()

    def run(self, rounds: Iterable[int]) -> None:
        """Run each workload with each subject in each of these rounds; print each run as it is done."""
        for turn in rounds:
            for subject, workload in self._turns(turn):
                if turn > 1 and time.monotonic() > self._deadline:
                    print(f"no time is left for more of round {turn}", flush=True)
                    return
                self._run_one(turn, subject, workload)

    def _turns(self, turn: int) -> Iterator[tuple[Subject, Workload]]:
        for workload in self._workloads:
            for subject in self._subjects:
                size = subject.size_of(workload)
                if size is not None and turn <= min(subject.rounds, workload.rounds):
                    yield subject, size

    def _run_one(self, turn: int, subject: Subject, workload: Workload) -> None:
        which = (subject.name, workload.name)
        if which in self._late:
            # What is far too slow would only be so again.
            return
        run = subject.run(workload, turn, self._limit)
        self._results.runs.append(run)
        _say(run)
        if run.late:
            self._late.add(which)


def _say(run: Run) -> None:
    said = run.problem or f"{run.rate:,.0f} tasks/s, {run.seconds:.2f} s, {run.memory:,.0f} MiB"
    print(f"round {run.round}  {run.title}  {run.subject}: {said}", flush=True)
