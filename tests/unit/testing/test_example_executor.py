"""The executor of the documentation keeps the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from solar_orch.testing import ExecutorConformance

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"


class TestSocketExecutor(ExecutorConformance):
    name = "socket"

    @pytest.fixture(autouse=True)
    def installed(self, packages, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(str(EXAMPLES))
        packages.add("our-sockets", {"solar.orchestration.executors": {"socket": "socket_executor"}})
