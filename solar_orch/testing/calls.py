"""The calls that run in a host, and where they stand."""

from __future__ import annotations

import traceback
import weakref
from typing import Any

import gevent

from solar_orch.workers.base import Worker
from solar_orch.workers.calls import Ctxt


class RunningCalls:
    """The calls of one worker that have begun and not ended, by plan and task.

    Keeps no greenlet alive: an executor uses one again only if nobody refers to it.

    :param worker: that has been made and does not run yet
    """

    def __init__(self, worker: Worker) -> None:
        self._greenlets: dict[tuple[str, str], Any] = {}
        # Of controls the context names the very task that they are about.
        for name in worker.task_types():
            worker.methods[name].before(self._begin)
            worker.methods[name].after(self._end)

    def has(self, plan_uid: str, name: str) -> bool:
        """Whether the call of this task has begun and not ended."""
        return (plan_uid, name) in self._greenlets

    def of_current_greenlet(self) -> str | None:
        """The name of the task whose call runs in the calling greenlet; None if it is another greenlet."""
        current = gevent.getcurrent()
        for (_, name), greenlet in list(self._greenlets.items()):
            if greenlet() is current:
                return name
        return None

    def where(self) -> str:
        """Where each of them waits: the lines of code, innermost last."""
        found = []
        for (_, name), reference in sorted(self._greenlets.items()):
            greenlet = reference()
            frame = getattr(greenlet, "gr_frame", None)
            if frame is not None:
                stack = "".join(traceback.format_list(traceback.extract_stack(frame)[-6:]))
                found.append(f"task {name} waits here:\n{stack.rstrip()}")
        return "\n".join(found) or "no task runs"

    def _begin(self, ctxt: Ctxt) -> None:
        if "plan_uid" in ctxt and "task_name" in ctxt:
            self._greenlets[ctxt["plan_uid"], ctxt["task_name"]] = weakref.ref(gevent.getcurrent())

    def _end(self, ctxt: Ctxt) -> None:
        self._greenlets.pop((ctxt.get("plan_uid", ""), ctxt.get("task_name", "")), None)
