"""The conformance kit: what authors of parts test their parts with, see ``docs/testing.rst``.

Importing it imports neither pytest nor gevent; each name is loaded when it is asked for.
"""

from __future__ import annotations

import importlib

#: Where each name of the kit stands.
PLACES = {
    "Call": "plans",
    "Ended": "plans",
    "Situation": "plans",
    "task": "plans",
    "ExecutorConformance": "executors",
    "ExtensionConformance": "extensions",
    "HookConformance": "hooks",
    "LimitConformance": "limits",
    "RunnerConformance": "runners",
    "TaskTypeConformance": "task_types",
    "TasksDriverConformance": "drivers",
    "WorkerConformance": "workers",
}


def __getattr__(name: str) -> object:
    if name in PLACES:
        return getattr(importlib.import_module(f"{__name__}.{PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *PLACES])
