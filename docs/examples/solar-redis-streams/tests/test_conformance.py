"""The executor keeps the contract, over a real server."""

from __future__ import annotations

import itertools
from typing import ClassVar

import pytest

from solar_orch.testing import ExecutorConformance

_streams = map("kit-{}".format, itertools.count())


class TestRedis(ExecutorConformance):
    name = "redis"
    options: ClassVar = {"redis_streams.block": 0.5, "redis_streams.claim_after": 0.5}

    @pytest.fixture
    def address(self, shared_server) -> str:
        return shared_server.address(next(_streams))
