"""The test that says whether a part can be had at all comes first of its class."""

from __future__ import annotations

import subprocess
import sys

SOURCE = """
from solar_orch.testing import ExecutorConformance, LimitConformance, TaskTypeConformance

class TestType(TaskTypeConformance):
    name = "nothing"

class TestPlain:
    def test_b(self): pass
    def test_a(self): pass

class TestExecutor(ExecutorConformance):
    name = "inline"

class TestLimit(LimitConformance):
    name = "nothing"
"""


def test_the_contract_comes_first_and_all_else_keeps_its_order(tmp_path):
    (tmp_path / "test_mine.py").write_text(SOURCE)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--collect-only",
            "-q",
            "--strict-markers",
            "-p",
            "no:cacheprovider",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    names = [line.split("::")[1:] for line in done.stdout.splitlines() if "::" in line]
    classes = list(dict.fromkeys(name[0] for name in names))
    assert classes == ["TestType", "TestPlain", "TestExecutor", "TestLimit"]
    first = {name: next(test for cls, test in names if cls == name) for name in classes}
    assert first == {
        "TestType": "test_it_is_registered_and_keeps_its_contract",
        "TestPlain": "test_b",
        "TestExecutor": "test_parts_are_of_the_contracts",
        "TestLimit": "test_it_is_registered_and_keeps_its_contract",
    }
