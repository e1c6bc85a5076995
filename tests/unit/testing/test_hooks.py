"""The construct hooks that ship pass the kit."""

from __future__ import annotations

from solar_orch.testing import HookConformance


class TestTasksHook(HookConformance):
    name = "solar"
    worker = "tasks"


class TestSchedulerHook(HookConformance):
    name = "solar"
    worker = "scheduler"


class TestSystemLogHook(HookConformance):
    name = "solar"
    worker = "system_log"
