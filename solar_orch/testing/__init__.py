"""For authors of parts: conformance kits, and what their tests need.

All of it wants pytest, which ``solar-orch[testing]`` brings.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

#: The module, below this one, that holds each name; imported when the name is first asked for.
_HOMES = {
    "ExecutorConformance": "executors",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = f"{__name__}.{_HOMES[name]}"
    if module not in sys.modules:
        import pytest

        # So that what a kit asserts is explained like the asserts of a test module.
        pytest.register_assert_rewrite(module)
    return getattr(importlib.import_module(module), name)
