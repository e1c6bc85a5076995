"""Task types pass the kit, and broken ones fail the very tests that are meant for them."""

from __future__ import annotations

import pytest

from solar_orch import plugins
from solar_orch.testing import Call, TaskTypeConformance

GREETINGS = """
from solar_orch.errors import TaskError
from solar_orch.workers.task_types import output, run_command
import gevent

def greet(ctxt, who, *, times=1):
    if not who:
        raise TaskError("nobody is there")
    output(ctxt).write(b"greeting\\n")
    return {"said": [f"hello {who}"] * times}

def linger(ctxt, seconds, child=False):
    if child:
        return run_command(ctxt, ["sleep", str(seconds)])
    gevent.sleep(seconds)
    return None
"""


@pytest.fixture(autouse=True)
def greetings(packages):
    packages.add(
        "greetings",
        {plugins.TASK_TYPES: {"greet": "greetings:greet", "linger": "greetings:linger"}},
        modules={"greetings": GREETINGS},
    )


class TestGreet(TaskTypeConformance):
    name = "greet"
    working = (
        Call(["you"], result={"said": ["hello you"]}),
        Call(["you"], {"times": 2}, result={"said": ["hello you", "hello you"]}),
    )
    failing = (Call([""], error="nobody is there"),)


class TestLinger(TaskTypeConformance):
    name = "linger"
    working = (Call([0]),)
    lasting = Call([600])


class TestLingerInAProcess(TaskTypeConformance):
    name = "linger"
    working = (Call([0], {"child": True}),)
    lasting = Call([600], {"child": True})
