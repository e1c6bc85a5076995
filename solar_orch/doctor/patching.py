"""gevent's patching, as it is in ``solar-worker``, but in a process that was forked for one part."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Callable
from typing import Any, cast
from unittest import mock

from gevent import monkey


def patched(function: Callable[[], Any]) -> Callable[[], Any]:
    """`function`, to be called after gevent has patched, as in ``solar-worker``."""
    registered = _registered()

    def call() -> Any:
        # gevent asks two dozen times who wants to hear of it, and each time all packages would be read.
        with mock.patch.object(importlib.metadata, "entry_points", registered.select):
            monkey.patch_all()
        return function()

    return call


@functools.cache
def _registered() -> importlib.metadata.EntryPoints:
    everything: Any = importlib.metadata.entry_points()  # which typeshed has as of 3.9
    return cast(importlib.metadata.EntryPoints, everything)
