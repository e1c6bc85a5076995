"""Tables of what was measured: for a terminal, and for the documentation."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.figures import BARS, FIGURES
from benchmarks.measure import Run, Spread
from benchmarks.results import Results
from benchmarks.workloads import WORKLOADS

Rows = list[list[str]]

#: Subjects against which all are held.
_OTHERS = ("floor", "contract", "dask")


def rates(results: Results) -> Rows:
    """Each workload and subject: tasks in a second, against the floor and Dask, and memory."""
    rows = [
        [
            "Workload",
            "Subject",
            "Tasks/s",
            "(least-most)",
            "Rounds",
            *(f"/ {other}" for other in _OTHERS),
            "Peak, MiB",
        ]
    ]
    for workload in WORKLOADS:
        for subject, about in results.subjects.items():
            if runs := results.of(workload, subject):
                rows.append([runs[0].title, about.title, *_rate_cells(results, runs)])
    return rows


def _rate_cells(results: Results, runs: Sequence[Run]) -> list[str]:
    workload, subject = runs[0].workload, runs[0].subject
    rate, memory = results.rate(workload, subject), results.memory(workload, subject)
    if rate is None or memory is None:
        return [
            f"not done: {_shortened(runs[-1].problem or '')}",
            "",
            str(len(runs)),
            *([""] * len(_OTHERS)),
            "",
        ]
    return [
        f"{rate.median:,.0f}",
        f"{rate.least:,.0f}-{rate.most:,.0f}",
        str(len(rate.values)),
        *(_ratio(rate, results.rate(workload, other)) for other in _OTHERS),
        f"{memory.median:,.0f}",
    ]


def _ratio(rate: Spread, other: Spread | None) -> str:
    return _number(rate.median / other.median) if other else ""


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def figures(results: Results) -> Rows:
    """What only solar_orch has."""
    rows = [["What", "Median", "(least-most)", "Times"]]
    for name, (title, unit) in FIGURES.items():
        if found := results.figure(name):
            spread = f"{_number(found.least)}-{_number(found.most)}"
            rows.append([title, f"{_number(found.median)} {unit}".rstrip(), spread, str(len(found.values))])
    return rows


def bars(results: Results) -> Rows:
    """What was to be reached, and what was."""
    rows = [["Bar", "Bound", "Measured", ""]]
    for bar in BARS:
        value, verdict = bar.verdict(results)
        bound = f"{'>=' if bar.at_least else '<='} {bar.bound:.4g}"
        rows.append([bar.title, bound, "" if value is None else _number(value), verdict])
    return rows


def subjects(results: Results) -> Rows:
    """Who took part."""
    rows = [["Name", "Subject", "What survives a crash", "Versions"]]
    for name, about in results.subjects.items():
        rows.append(
            [name, about.title, about.durable, about.versions or f"not run: {_shortened(about.missing)}"]
        )
    return rows


def machine(results: Results) -> Rows:
    return [["Machine", ""], *([name, value] for name, value in results.machine.items())]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def as_text(rows: Rows) -> str:
    """For a terminal; a column is as wide as its widest cell."""
    plain = [[cell.replace("``", "") for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*plain, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in plain]
    return "\n".join(line.rstrip() for line in [lines[0], "-" * max(map(len, lines)), *lines[1:]])


def as_rst(rows: Rows, title: str) -> str:
    """For the documentation."""
    if len(rows) == 1:
        return f"{title}: not measured.\n"
    lines = [f".. list-table:: {title}", "   :header-rows: 1", ""]
    for row in rows:
        first, *others = row
        lines += [f"   * - {first}", *(f"     - {cell}".rstrip() for cell in others)]
    return "\n".join([*lines, ""])


def everything(results: Results) -> str:
    """All tables for a terminal."""
    tables = [
        table(results) for table in (machine, subjects, rates, figures, bars) if len(table(results)) > 1
    ]
    return "\n\n".join(as_text(table) for table in tables)
