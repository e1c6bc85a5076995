"""The conformance kit: what authors of parts test their parts with, see ``docs/testing.rst``.

Importing it imports neither pytest nor gevent; each name is loaded when it is asked for.
"""

from __future__ import annotations

import importlib
import sys

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
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = f"{__name__}.{PLACES[name]}"
    if module not in sys.modules and "pytest" in sys.modules:
        # So that what a kit asserts is explained like the asserts of a test module.
        sys.modules["pytest"].register_assert_rewrite(module)
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *PLACES])
