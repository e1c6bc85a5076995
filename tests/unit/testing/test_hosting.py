"""The fixture ``solar``: a host in the process of the tests."""

from __future__ import annotations

import pytest

from solar_orch.testing import task
from solar_orch.testing.hosting import Solar


def test_a_plan_runs_to_its_end(solar: Solar):
    ended = solar.run(
        task("a", "cmd", "echo hello"),
        task("b", "echo", "{tasks.a}", after=["a"]),
        task("c", "error", "on purpose"),
        task("d", "noop", after=["c"]),
    )
    assert ended.status == "failed"
    assert ended.states == {"a": "SUCCESS", "b": "SUCCESS", "c": "ERROR", "d": "PENDING"}
    assert ended["c"]["errmsg"] == "on purpose"
    assert ended.results["a"] == "hello"
    with pytest.raises(KeyError):
        ended["e"]
