"""The drivers and the workers that ship pass the kit."""

from __future__ import annotations

from pathlib import Path

import pytest

from solar_orch import plugins
from solar_orch.testing import Call, ExtensionConformance, TasksDriverConformance, WorkerConformance, task

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"

PLAIN = """
import gevent
from solar_orch.workers.base import Worker

class Plain(Worker):
    name = "tasks"
    drain_order = 0
    def work(self, ctxt, what): return what
    def wait(self, ctxt): gevent.sleep(3600)
"""


class TestTasksDriver(TasksDriverConformance):
    name = "solar"


class TestDriverOfTheDocumentation(TasksDriverConformance):
    name = "ours"
    plan = (task("a", "countdown", 2, kwargs={"pause": 0}),)

    @pytest.fixture(autouse=True)
    def ours(self, packages):
        source = EXAMPLES.joinpath("driver.py").read_text()
        packages.add("ours", {plugins.drivers("tasks"): {"ours": "driver:Tasks"}}, modules={"driver": source})


class TestPlainDriver(TasksDriverConformance):
    """One that derives from nothing but Worker, and has no control to kill."""

    name = "plain"
    plan = (task("a", "work", 1),)
    lasting = task("call", "wait")

    @pytest.fixture(autouse=True)
    def plain(self, packages):
        packages.add("plain", {plugins.drivers("tasks"): {"plain": "plain:Plain"}}, modules={"plain": PLAIN})


class TestSchedulerDriver(WorkerConformance):
    name = "solar"
    worker = "scheduler"
    method = "next"
    call = Call(["no:plan"])


class TestSystemLogDriver(WorkerConformance):
    name = "solar"
    worker = "system_log"


class TestTasks(ExtensionConformance):
    name = "tasks"


class TestScheduler(ExtensionConformance):
    name = "scheduler"
    method = "next"
    call = Call(["no:plan"])


class TestSystemLog(ExtensionConformance):
    name = "system_log"
