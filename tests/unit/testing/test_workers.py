"""The drivers and the workers that ship pass the kit."""

from __future__ import annotations

from solar_orch.testing import Call, ExtensionConformance, TasksDriverConformance, WorkerConformance


class TestTasksDriver(TasksDriverConformance):
    name = "solar"


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
