"""The conformance kit for executors finds what is broken, and nothing else."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

import pytest
from broken_executors import BROKEN, Broken

from solar_orch.testing import ExecutorConformance

HERE = Path(__file__).parent
NAMESPACE = "solar.orchestration.executors"

#: Of each broken executor, one test for each file of the kit that it is tried by.
_TRIAL = """
from broken_executors import BROKEN

for broken in BROKEN:
    if broken.name in {names!r}:
        globals()[f"Test{{broken.name}}"] = type(
            f"Test{{broken.name}}", (broken.kit,), {{"name": broken.name, "deadline": 1.0}}
        )
"""


def _failures(chosen: list[Broken], directory: Path, packages) -> dict[str, set[str]]:
    """Which tests of the kit each broken executor fails, in a pytest of its own."""
    home = packages.add(
        "broken-executors",
        {NAMESPACE: {broken.name: f"broken_executors:{broken.name}" for broken in chosen}},
    )
    trial = directory / "test_trial.py"
    trial.write_text(_TRIAL.format(names={broken.name for broken in chosen}))
    report = directory / "report.xml"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "60", "--tb", "no",
         f"--junit-xml={report}", str(trial)],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(home), str(HERE)])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    found: dict[str, set[str]] = defaultdict(set)
    cases = list(ElementTree.parse(report).iter("testcase"))
    assert {case.attrib["classname"].rpartition("Test")[2] for case in cases} == {b.name for b in chosen}
    for case in cases:
        assert case.find("error") is None, done.stdout
        if case.find("failure") is not None:
            found[case.attrib["classname"].rpartition("Test")[2]].add(case.attrib["name"].partition("[")[0])
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(2))
def test_each_broken_executor_fails_what_is_meant_for_it(part: int, tmp_path: Path, packages):
    chosen = BROKEN[part::2]
    found = _failures(chosen, tmp_path, packages)
    assert {name: sorted(tests) for name, tests in found.items()} == {
        broken.name: sorted(broken.fails) for broken in chosen
    }


def test_there_is_no_test_in_the_kit_that_nothing_fails():
    tests = {name for name, _ in inspect.getmembers(ExecutorConformance) if name.startswith("test_")}
    assert tests - set().union(*(broken.fails for broken in BROKEN)) == {"test_what_it_declares_is_known"}
