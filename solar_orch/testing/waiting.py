"""Waiting for what greenlets of this process are to bring about."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import gevent

T = TypeVar("T")

#: Seconds between looks, from the first to the last.
_PAUSES = (0.002, 0.05)


def wait_until(condition: Callable[[], T], what: str | Callable[[], str], seconds: float) -> T:
    """Let greenlets run until `condition()` is true; what it gave then.

    :param what: what is waited for, for the message
    :raises AssertionError: if it does not become true within `seconds`
    """
    __tracebackhide__ = True
    deadline = time.monotonic() + seconds
    pause = _PAUSES[0]
    while not (found := condition()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {seconds:g} s: {what() if callable(what) else what}")
        gevent.sleep(pause)
        pause = min(pause * 1.3, _PAUSES[1])
    return found
