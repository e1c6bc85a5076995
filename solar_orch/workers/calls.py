"""What accompanies every call: its context, and the ways in which it is ended from outside."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NotRequired, Protocol, TypedDict

from solar_orch.errors import ExecutionTimeout, Killed
from solar_orch.plan.verdict import TIMED_OUT

TASK_SEPARATOR = "~"


class Ctxt(TypedDict, total=False):
    """The first argument of every method of a worker.

    A plain dict on the wire; calls that are not about a task carry less of it.
    """

    #: ``plan_uid~task_name``
    task_id: str
    task_name: str
    plan_uid: str
    #: That of the plan in the database: another one may have had its uid before, and been deleted.
    plan_id: NotRequired[int]
    #: Counts a task's dispatches, from 1.
    attempt: int
    #: Seconds that the task may run, or None.
    timelimit: float | None
    #: Seconds from dispatch until a result must be there, or None.
    timeout: float | None
    #: Host or group that the task is for; counts for ``target_limit``.
    target: NotRequired[str | None]
    #: What commands of the plan find in their environment, and where they run.
    env: NotRequired[dict[str, str]]
    cwd: NotRequired[str]
    #: The secrets to be filled in; where there are any, all arguments, `env` and `cwd` are templates.
    secrets: NotRequired[list[str]]


def task_id(plan_uid: str, task_name: str) -> str:
    """The id under which a task is known across plans."""
    return f"{plan_uid}{TASK_SEPARATOR}{task_name}"


class Cancelled(BaseException):
    """Thrown into a running call to end it.

    Not an ``Exception``, so that a task's own ``except Exception`` lets it pass.

    :param error: what the call ends with; :class:`~solar_orch.errors.Interrupted`
        when its attempt is to be handed back instead
    """

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(str(error))


def cancellation(reason: str | None, ctxt: Ctxt) -> Exception:
    """The error with which a running call is killed for a reason that was recorded or sent.

    :param ctxt: tells the ``timeout`` when that is the reason
    """
    if reason == TIMED_OUT:
        return ExecutionTimeout(ctxt.get("timeout") or 0.0, "timeout")
    return Killed(reason) if reason else Killed()


#: Given by an executor: the context in which a call can be killed, and its time limit runs.
Interruptible = Callable[[Ctxt], AbstractContextManager[object]]


class Ledger(Protocol):
    """Decides whether a call is made, and makes its outcome durable before anyone is told.

    A construct hook may give a worker one (``worker.ledger``); calls of the
    worker's controls pass it by.
    """

    def admit(self, ctxt: Ctxt) -> None:
        """Called before everything else; may block on I/O.

        :raises Exception: whatever it raises, the call is not made and no
            subscriber is told
        """

    def settle(self, ctxt: Ctxt, result: Any, error: BaseException | None) -> bool:
        """Called once for each admitted call, after it ended; may block on I/O.

        :param error: None when the call returned `result`
        :return: False if the outcome does not count (it came late, or was
            handed back); then no ``on_success`` or ``on_error`` subscriber is told
        """

    def record_kill(self, task_id: str, attempt: int | None, reason: str) -> None:
        """Called when a task is to be killed, before that is tried; may block on I/O.

        :param attempt: None means whichever is in progress
        :param reason: becomes the task's error
        """


class Stopping(Protocol):
    """Handed to background functions: set when they are to return."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> bool:
        """Block the calling greenlet for `timeout` seconds or until set; True if set."""


#: What ``Worker.background`` takes.
Background = Callable[[Stopping], None]
