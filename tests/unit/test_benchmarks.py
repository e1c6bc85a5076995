"""The benchmarks measure what they say, and show what they have measured."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from benchmarks import tables
from benchmarks.figures import BARS, FIGURES
from benchmarks.measure import Run
from benchmarks.results import About, Results
from benchmarks.workloads import CHAIN, FAN, LARGE, LAYERS, MANY, WORKLOADS, as_json, as_yaml

from solar_orch.plan.parse import parse


@pytest.mark.parametrize(
    ("workload", "tasks", "edges"),
    [
        (CHAIN, 1000, 999),
        (FAN, 10_000, 0),
        (LAYERS, 10_000, 9 * 3000),
        (MANY, 2000, 200 * 16),
        (LARGE, 100_000, 99 * 3000),
    ],
)
def test_workloads_are_as_large_as_they_say(workload, tasks, edges):
    assert workload.size == tasks
    assert sum(len(above) for parents in workload.graphs for above in parents) == edges
    assert all(
        above < number for parents in workload.graphs for number, all_ in enumerate(parents) for above in all_
    )


def test_each_layer_waits_for_three_of_the_one_above():
    [parents] = LAYERS.graphs
    for number, above in enumerate(parents[1000:], 1000):
        assert len(set(above)) == 3
        assert {parent // 1000 for parent in above} == {number // 1000 - 1}


def test_both_kinds_of_files_hold_the_same_plan():
    [parents] = WORKLOADS["small"].graphs
    assert parse(as_yaml(parents)) == parse(as_json(parents))
    assert [len(task.after) for task in parse(as_json(parents)).tasks] == [len(above) for above in parents]


def _run(workload: str, subject: str, seconds: float, problem: str | None = None, late: bool = False) -> Run:
    return Run(workload, f"{workload} of 1,000", subject, 1, 1000, seconds, 50.0, problem, late)


def test_bars_hold_against_medians_and_what_is_missing_is_said():
    results = Results(subjects={name: About(name, "all") for name in ("solar", "dask", "floor")})
    results.runs += [_run("layers", "solar", seconds) for seconds in (1.0, 2.0, 4.0)]
    results.runs += [_run("layers", "dask", 8.1), _run("layers", "floor", 1.0)]
    verdicts = {bar.title: bar.verdict(results) for bar in BARS}
    assert verdicts["layers, one process / Dask"] == (pytest.approx(4.05), "pass")
    assert verdicts["layers, one process / floor"] == (pytest.approx(0.5), "FAIL")
    assert verdicts["fan, one process / floor"] == (None, "not measured")


def test_what_was_wrong_is_a_problem_and_what_was_slow_is_none():
    results = Results(subjects={"solar": About("solar", "all")})
    results.runs += [
        _run("fan", "solar", 90.0, "900 of 1000 tasks ended", late=True),
        _run("chain", "solar", 1.0, "999 outcomes in the log instead of 1000"),
    ]
    assert results.all_problems() == [
        "solar, chain of 1,000, round 1: 999 outcomes in the log instead of 1000"
    ]
    shown = tables.as_text(tables.rates(results))
    assert "not done: 900 of 1000 tasks ended" in shown
    assert "not done: 999 outcomes" in shown


def test_results_are_read_as_they_were_written(tmp_path: Path):
    results = Results({"cores": "2"}, {"solar": About("solar", "all")}, [_run("fan", "solar", 1.0)])
    for name in FIGURES:
        results.note(name, 1.5)
    results.write(tmp_path / "bench.json")
    assert Results.read(tmp_path / "bench.json") == results
    assert len(tables.figures(results)) == 1 + len(FIGURES)


def test_all_that_is_run_by_one_call_can_be_imported():
    for name in ("__main__", "extras", "lateness", "restart", "commands", "publish"):
        importlib.import_module(f"benchmarks.{name}")
