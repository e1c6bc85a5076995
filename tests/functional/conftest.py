"""A site for each test, and for what has failed the logs of the workers that ran there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from harness import Site, open_site


@pytest.fixture
def site() -> Iterator[Site]:
    """Private directories, a configuration for them, and processes that are ended after the test."""
    with open_site() as fresh:
        yield fresh


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
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
