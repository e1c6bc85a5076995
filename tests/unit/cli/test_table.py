"""Tables in a pipe."""

from __future__ import annotations

import pytest

from solar_orch.cli.table import print_table


def test_columns_are_aligned_and_empty_ones_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("a", "", "1.00 s"), ("longer", "", "12.5 s"), ("短い", "", "")]
    print_table(("Task", "Target", "Time"), rows, right=("Time",))
    assert capsys.readouterr().out.splitlines() == [
        "Task      Time",
        "a       1.00 s",
        "longer  12.5 s",
        "短い",
    ]


def test_a_table_without_rows_has_its_titles(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("Task", "Time"), [])
    assert capsys.readouterr().out == "Task  Time\n"


def test_nothing_is_broken_or_shortened(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("Task", "Error"), [("t" * 300, "several words " * 50 + "end")])
    _, line = capsys.readouterr().out.splitlines()
    assert line == "t" * 300 + "  " + "several words " * 50 + "end"
