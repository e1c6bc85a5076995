"""What is open in this process that a part may not open when it is imported, so that a runner can fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

_DESCRIPTORS = "/proc/self/fd"


def opened_by(function: Callable[[], Any]) -> tuple[Any, list[str]]:
    """Call a function: what it returns, and what it has opened and left open, for people.

    :raises BaseException: whatever it raises
    """
    threads, sockets = set(threading.enumerate()), _sockets()
    value = function()
    started = [f"the thread {thread.name}" for thread in threading.enumerate() if thread not in threads]
    number = len(_sockets() - sockets)
    if number:
        started.append("a socket" if number == 1 else f"{number} sockets")
    return value, started


def _sockets() -> set[str]:
    found = set()
    for descriptor in os.listdir(_DESCRIPTORS):
        try:
            target = os.readlink(f"{_DESCRIPTORS}/{descriptor}")
        except FileNotFoundError:  # that by which they are listed
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found
