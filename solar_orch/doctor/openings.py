"""What is open in this process that a part may not open when it is imported, so that a runner can fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from solar_orch import held


def opened_by(function: Callable[[], Any]) -> tuple[Any, list[str]]:
    """Call a function: what it returns, and what it has opened or started and left, for people.

    :raises BaseException: whatever it raises
    """
    threads, sockets, greenlets = set(threading.enumerate()), _sockets(), set(held.greenlets())
    processes = set(held.descendants(os.getpid()))
    value = function()
    threads_now = threading.enumerate()
    started = [f"the thread {thread.name}" for thread in threads_now if thread not in threads]
    started += [
        f"the process {held.program(pid)}" for pid in held.descendants(os.getpid()) if pid not in processes
    ]
    # When gevent has patched, threads are greenlets.
    of_threads = {thread.ident for thread in threads_now}
    greenlets_now = {greenlet for greenlet in held.greenlets() if id(greenlet) not in of_threads}
    started += _counted("greenlet", len(greenlets_now - greenlets))
    started += _counted("socket", len(_sockets() - sockets))
    return value, started


def _counted(what: str, number: int) -> list[str]:
    if not number:
        return []
    return [f"a {what}" if number == 1 else f"{number} {what}s"]


def _sockets() -> set[str]:
    return {target for target in held.descriptors().values() if target.startswith("socket:")}
