"""The runner that ships passes the kit."""

from __future__ import annotations

from solar_orch.testing import RunnerConformance


class TestGevent(RunnerConformance):
    name = "gevent"
