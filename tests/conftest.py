"""What all tests need, and a site for those that run real processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest
from harness import Site, open_site
from hypothesis import settings

# What hypothesis tries is the same in each run; --hypothesis-profile=default draws anew.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption(
        "--seeds", type=int, default=6, help="how many seeds of kills at random times (nightly: 200)"
    )
    group.addoption(
        "--first-seed", type=int, default=1, help="the first of them; with --seeds 1 it is repeated"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        first = metafunc.config.getoption("--first-seed")
        metafunc.parametrize("seed", range(first, first + metafunc.config.getoption("--seeds")))


def pytest_configure() -> None:
    """Signals that whoever started this run lets be ignored would be ignored in all that the tests start.

    A shell does so with what it runs in the background, a CI system may.
    """
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
        (signal.SIGQUIT, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What was done to the plans that were killed at random, in all."""
    found = [
        dict(report.user_properties)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        and any(name == "kills" for name, _ in report.user_properties)
    ]
    if found:
        totals = {name: round(sum(each[name] for each in found), 1) for name in found[0]}
        terminalreporter.section("kills at random times")
        terminalreporter.line(f"seeds: {len(found)}, " + ", ".join(f"{k}: {v}" for k, v in totals.items()))


@pytest.fixture
def site() -> Iterator[Site]:
    """Private directories, a configuration for them, and processes that are ended after the test."""
    with open_site() as fresh:
        yield fresh


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Show, with a test that failed, the logs of the workers that ran there."""
    result = yield
    if result.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Site):
                result.sections += [
                    (f"{process.output.name} of process {process.pid}", process.log)
                    for process in value.processes
                    if process.output.exists()
                ]
    return result
