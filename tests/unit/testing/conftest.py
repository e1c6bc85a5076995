"""Tests of others, run in a process of their own, and what became of each."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest


class Failures(dict[str, dict[str, str]]):
    """By the name of a class and of a test of it that has failed, what was said."""

    @property
    def tests(self) -> dict[str, set[str]]:
        """The tests of each class that have failed."""
        return {name: set(tests) for name, tests in self.items()}


def chosen(expected: Mapping[str, set[str]], passing: str, *whole: str) -> list[str]:
    """Arguments that choose, of each class, the tests that are expected to fail and one that passes.

    Whole plans are run by most tests, which takes time.

    :param passing: the name of the one that passes
    :param whole: the classes of which all tests are run
    """
    classes = [
        name if name in whole else f"{name} and ({' or '.join(sorted({*tests, passing}))})"
        for name, tests in expected.items()
    ]
    return ["-k", " or ".join(classes)]


@pytest.fixture
def chosen_tests() -> Callable[..., list[str]]:
    return chosen


@pytest.fixture
def failures_of(packages, tmp_path: Path) -> Callable[..., Failures]:
    """``failures_of(source, entry_points)``: of each class of a test module the tests that fail.

    A test's name leads to what was said.  The module may hold the parts as well: it is called
    ``test_parts``, and registered as a distribution with these entry points.
    """

    def run(source: str, entry_points: Mapping[str, Mapping[str, str]], *args: str) -> Failures:
        home = packages.add("parts", entry_points, modules={"test_parts": source})
        report = tmp_path / "report.xml"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}",
             "--timeout=100", *args, str(home / "test_parts.py")],
            cwd=home,
            env={**os.environ, "PYTHONPATH": str(home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )  # fmt: skip
        assert report.exists(), done.stdout + done.stderr
        found = Failures()
        for case in ElementTree.parse(report).iter("testcase"):
            tests = found.setdefault(case.get("classname", "").rpartition(".")[2], {})
            said = [each for kind in ("failure", "error") for each in case.iter(kind)]
            if said:
                tests[case.get("name", "")] = "\n".join(
                    f"{each.get('message')}\n{each.text}" for each in said
                )
        assert found, textwrap.indent(done.stdout + done.stderr, "  ")
        return found

    return run
