"""Runs the benchmarks: ``tox -e bench``, or ``tox -e bench -- --only layers,fan --subjects solar,floor``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import publish, tables
from benchmarks.extras import EXTRAS, run_extras
from benchmarks.results import Results, machine
from benchmarks.schedule import Schedule, prepare
from benchmarks.subjects import SUBJECTS
from benchmarks.workloads import WORKLOADS


def main(argv: Sequence[str]) -> int:
    """Measure, print and write what was found.

    :return: 0 unless something was wrong or not durable; what is slow is no error
    """
    options = _options(argv)
    if options.read:
        results = Results.read(options.read)
    else:
        began = time.monotonic()
        results = _measure(options)
        results.machine["minutes"] = f"{(time.monotonic() - began) / 60:.1f}"
        results.write(options.json)
    print(f"\n{tables.everything(results)}")
    publish.plot(results, options.plot)
    if options.docs:
        publish.docs(results)
    problems = results.all_problems()
    for problem in problems:
        print(f"wrong: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _measure(options: argparse.Namespace) -> Results:
    results = Results(machine=machine())
    subjects = prepare([SUBJECTS[name] for name in options.subjects], results)
    # What is installed at the first time is not counted.
    deadline = time.monotonic() + options.minutes * 60
    workloads = [workload for name, workload in WORKLOADS.items() if name in options.only]
    schedule = Schedule(subjects, workloads, options.limit, deadline, results)
    # So that there is one of everything, however much time is left for more.
    schedule.run([1])
    if "solar" in options.subjects:
        run_extras([name for name in EXTRAS if name in options.only], results, options.rounds, options.limit)
    schedule.run(range(2, options.rounds + 1))
    return results


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    measured = [*WORKLOADS, *EXTRAS]
    parser.add_argument("--only", type=_names(measured), default=measured, help=", ".join(measured))
    parser.add_argument("--subjects", type=_names(SUBJECTS), default=list(SUBJECTS), help=", ".join(SUBJECTS))
    parser.add_argument("--rounds", type=int, default=5, help="of the fast subjects; the others have fewer")
    parser.add_argument(
        "--minutes", type=float, default=8.5, help="after which no run of a further round is begun"
    )
    parser.add_argument("--limit", type=float, default=90.0, help="seconds after which a run is given up")
    parser.add_argument(
        "--json", type=Path, default=Path("bench.json"), help="file for all that was measured"
    )
    parser.add_argument("--plot", type=Path, default=Path("bench.svg"), help="file for the plot")
    parser.add_argument("--read", type=Path, help="measure nothing, but show what stands in this JSON file")
    parser.add_argument(
        "--docs", action="store_true", help="write tables, figures and plot of docs/performance.rst"
    )
    return parser.parse_args(argv)


def _names(known: Sequence[str]) -> object:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is not among {', '.join(known)}")
        return names

    return parse


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
