"""Plot and tables for docs/performance.rst."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import tables
from benchmarks.results import Results

#: What the page includes.
PAGES = Path(__file__).parents[2] / "docs" / "performance"

#: The load above which figures say little.
_BUSY = 0.7

_SHOWN = ("chain", "fan", "layers")


def docs(results: Results) -> None:
    """Write everything that the page includes."""
    PAGES.mkdir(exist_ok=True)
    results.write(PAGES / "figures.json")
    for name, title, table in (
        ("machine", "Where this was measured", tables.machine),
        ("subjects", "What was measured", tables.subjects),
        ("rates", "Tasks in a second", tables.rates),
        ("figures", "Other figures of solar_orch", tables.figures),
        ("bars", "What is asked for", tables.bars),
    ):
        (PAGES / f"{name}.inc").write_text(tables.as_rst(table(results), title))
    _warn_of_load(results)
    plot(results, PAGES / "rates.svg")


def _warn_of_load(results: Results) -> None:
    """Say so on the page if others were at work on the machine before the first run."""
    load = results.machine["load before"]
    if float(load) > _BUSY:
        page = PAGES / "machine.inc"
        page.write_text(
            page.read_text() + f"\n.. warning:: The machine was busy with other things (load {load}): "
            "all rates are too low, and only those of one row's neighbours can be compared.\n"
        )


def plot(results: Results, path: Path) -> None:
    """Draw the rates of all subjects in the workloads that most of them can run."""
    try:
        import matplotlib as mpl
    except ImportError:
        print(f"no matplotlib here, so no {path}; tox -e bench has it")
        return
    mpl.use("svg")
    # Else each run would give another file for the same figures.
    mpl.rcParams["svg.hashsalt"] = "solar_orch"
    from matplotlib import pyplot

    shown = [workload for workload in _SHOWN if any(run.workload == workload for run in results.runs)]
    figure, axes = pyplot.subplots(
        1, max(len(shown), 1), figsize=(3.4 * max(len(shown), 1), 4), squeeze=False
    )
    for axis, workload in zip(axes[0], shown, strict=False):
        _draw(results, workload, axis)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _draw(results: Results, workload: str, axis: Any) -> None:
    found = [
        (subject, rate)
        for subject in results.subjects
        if (rate := results.rate(workload, subject)) is not None
    ]
    if not found:
        return
    names = [subject for subject, _ in found]
    medians = [rate.median for _, rate in found]
    errors = [
        [rate.median - rate.least for _, rate in found],
        [rate.most - rate.median for _, rate in found],
    ]
    colours = ["#c2552d" if name.startswith("solar") else "#7a8793" for name in names]
    axis.barh(names, medians, xerr=errors, color=colours, log=True)
    axis.invert_yaxis()
    # From one on, so that lengths can be compared; with room for the figures beside the bars.
    axis.set_xlim(1, max(medians) * 8)
    axis.set_title(f"{workload}, tasks/s")
    for number, median in enumerate(medians):
        axis.text(median, number, f" {median:,.0f}", va="center", fontsize=8)
