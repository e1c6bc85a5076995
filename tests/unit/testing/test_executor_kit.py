"""The conformance kit for executors finds what is broken, and nothing else."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from broken import BROKEN, Broken

from solar_orch.testing import ExecutorConformance

HERE = Path(__file__).parent
NAMESPACE = "solar.orchestration.executors"

#: That are tried at once.
PROCESSES = 3

#: Of each broken executor, one test for each file of the kit that it is tried by.
_TRIAL = """
from broken import BROKEN

for broken in BROKEN:
    if broken.name in {names!r}:
        globals()[f"Test{{broken.name}}"] = type(
            f"Test{{broken.name}}", (broken.kit,), {{"name": broken.name, "deadline": {deadline}}}
        )
"""


def _failures(chosen: list[Broken], directory: Path, home: Path, deadline: float) -> dict[str, set[str]]:
    """Which tests of the kit each broken executor fails, in a few processes beside each other.

    :param home: of the distribution that registers them
    :param deadline: seconds after which what a test waits for will not come
    """
    found: dict[str, set[str]] = {}
    directory.mkdir()
    # They wait most of the time.
    with ThreadPoolExecutor(PROCESSES) as pool:
        shares = [chosen[first::PROCESSES] for first in range(PROCESSES)]
        trials = [
            pool.submit(_try, share, directory / str(first), home, deadline)
            for first, share in enumerate(shares)
            if share
        ]
        for trial in trials:
            found |= trial.result()
    return found


def _try(chosen: list[Broken], directory: Path, home: Path, deadline: float) -> dict[str, set[str]]:
    """The same, in one pytest."""
    directory.mkdir()
    trial = directory / "test_trial.py"
    trial.write_text(_TRIAL.format(names={broken.name for broken in chosen}, deadline=deadline))
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
    found: dict[str, set[str]] = {broken.name: set() for broken in chosen}
    cases = list(ElementTree.parse(report).iter("testcase"))
    for case in cases:
        assert case.find("error") is None, done.stdout
        name = case.attrib["classname"].rpartition("Test")[2]
        if case.find("failure") is not None:
            found[name].add(case.attrib["name"].partition("[")[0])
    assert {case.attrib["classname"].rpartition("Test")[2] for case in cases} == found.keys()
    return found


@pytest.mark.timeout(400)
@pytest.mark.parametrize("part", range(2))
def test_each_broken_executor_fails_what_is_meant_for_it(part: int, tmp_path: Path, packages):
    chosen = BROKEN[part::2]
    home = packages.add("broken-executors", {NAMESPACE: {broken.name: broken.target for broken in chosen}})
    found = _failures(chosen, tmp_path / "soon", home, 1.5)
    # On a busy machine something that does come may come late.
    odd = [broken for broken in chosen if found[broken.name] != set(broken.fails)]
    if odd:
        found |= _failures(odd, tmp_path / "patient", home, 8.0)
    assert {name: sorted(tests) for name, tests in found.items()} == {
        broken.name: sorted(broken.fails) for broken in chosen
    }


def test_there_is_no_test_in_the_kit_that_nothing_fails():
    tests = {name for name, _ in inspect.getmembers(ExecutorConformance) if name.startswith("test_")}
    assert tests - set().union(*(broken.fails for broken in BROKEN)) == {"test_what_it_declares_is_known"}
