"""Who runs what, and when: the subjects take turns, so that whatever disturbs the machine hits all alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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


def run_all(
    subjects: Sequence[Subject], workloads: Sequence[Workload], rounds: int, limit: float, results: Results
) -> None:
    """Run each workload with each subject; print each run as it is done."""
    late: set[tuple[str, str]] = set()
    for turn, subject, workload in _turns(subjects, workloads, rounds):
        # What is far too slow would only be so again.
        if (subject.name, workload.name) not in late:
            run = subject.run(workload, turn, limit)
            results.runs.append(run)
            _say(run)
            if run.late:
                late.add((subject.name, workload.name))


def _turns(
    subjects: Sequence[Subject], workloads: Sequence[Workload], rounds: int
) -> Iterator[tuple[int, Subject, Workload]]:
    for turn in range(1, rounds + 1):
        for workload in workloads:
            for subject in subjects:
                size = subject.size_of(workload)
                if size is not None and turn <= min(subject.rounds, workload.rounds):
                    yield turn, subject, size


def _say(run: Run) -> None:
    said = run.problem or f"{run.rate:,.0f} tasks/s, {run.seconds:.2f} s, {run.memory:,.0f} MiB"
    print(f"round {run.round}  {run.title}  {run.subject}: {said}", flush=True)
