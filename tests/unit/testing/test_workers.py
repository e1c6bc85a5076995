"""The drivers and the workers that ship pass the kit."""

from __future__ import annotations

import pytest

from solar_orch import plugins
from solar_orch.testing import Call, ExtensionConformance, TasksDriverConformance, WorkerConformance, task

DERIVED = """
from solar_orch.workers.tasks import Tasks

class Derived(Tasks):
    def greet(self, ctxt, who): return f"hello {who}"
"""

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


class TestDerivedDriver(TasksDriverConformance):
    """One with a further task type."""

    name = "derived"
    plan = (task("a", "noop"), task("b", "greet", "you", after=["a"]))

    @pytest.fixture(autouse=True)
    def derived(self, packages):
        drivers = {"derived": "derived:Derived"}
        packages.add("derived", {plugins.drivers("tasks"): drivers}, modules={"derived": DERIVED})


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
