"""Plot and tables for docs/performance.rst."""

from __future__ import annotations

from pathlib import Path

from benchmarks import tables
from benchmarks.results import Results

#: What the page includes.
PAGES = Path(__file__).parents[2] / "docs" / "performance"

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
    plot(results, PAGES / "rates.svg")


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


def _draw(results: Results, workload: str, axis: object) -> None:
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
    axis.barh(names, medians, xerr=errors, color=colours, log=True)  # type: ignore[attr-defined]
    axis.invert_yaxis()  # type: ignore[attr-defined]
    axis.set_title(f"{workload}, tasks/s")  # type: ignore[attr-defined]
    for number, median in enumerate(medians):
        axis.text(median, number, f" {median:,.0f}", va="center", fontsize=8)  # type: ignore[attr-defined]
