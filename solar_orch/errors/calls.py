"""Errors of calls and tasks."""

from __future__ import annotations

from collections.abc import Iterable

from solar_orch.errors.root import SolarError


class Rejected(SolarError):
    """Raised by a ``before`` subscriber: the call is not to be made."""


class TaskError(SolarError):
    """A task did not succeed.  ``str()`` of it becomes the task's errmsg."""

    #: False when a further attempt is pointless or unwanted, whatever ``retry`` says.
    retriable = True


class UnknownTaskType(TaskError):
    """The tasks worker has no type of this name."""

    retriable = False

    def __init__(self, type_: str, available: Iterable[str]) -> None:
        self.type = type_
        self.available = sorted(available)
        super().__init__(f"unknown task type {type_!r}; there are: {', '.join(self.available)}")


class Unrunnable(TaskError):
    """A task that cannot succeed however often it is tried, because of how it is written or set up."""

    retriable = False


class CommandFailed(TaskError):
    """A command ended with a code other than 0, or by a signal.

    :param code: exit code; negative for the number of the signal
    :param stderr_tail: the last lines that it wrote to stderr
    :param is_cut: whether that begins in the midst of a line
    """

    def __init__(self, code: int, stderr_tail: str, *, is_cut: bool = False) -> None:
        self.code = code
        self.stderr_tail = stderr_tail
        self.is_cut = is_cut
        how = f"exit code {code}" if code >= 0 else f"ended by signal {-code}"
        super().__init__(f"{how}: {stderr_tail.strip()}" if stderr_tail.strip() else how)


class HostUnreachable(TaskError):
    """A command could not be run on another host, or was cut off from here; it may have run there.

    :param host: as the task names it
    :param problem: what is wrong, and what could be done
    :param said: what the program that was to reach it has said, or ""
    """

    def __init__(self, host: str, problem: str, said: str = "") -> None:
        self.host = host
        self.problem = problem
        self.said = said
        super().__init__(f"{host}: {problem}" + (f"; it says: {said}" if said else ""))


class EndUnknown(TaskError):
    """A command on another host was to be ended, and that host has not told that it is.

    :param host: as the task names it
    :param cause: why it was to be ended; counts for a further attempt as it does
    """

    def __init__(self, host: str, cause: Exception) -> None:
        self.host = host
        self.cause = cause
        self.retriable = getattr(cause, "retriable", True)
        super().__init__(f"{cause}; {host} cannot be asked whether its command has ended there")


class ExecutionTimeout(TaskError):
    """A task ran longer than its ``timelimit``, or had no result within its ``timeout``."""

    def __init__(self, seconds: float, what: str = "timelimit") -> None:
        self.seconds = seconds
        self.what = what
        super().__init__(f"ExecutionTimeout: {what} of {seconds:g} s exceeded")


class Killed(TaskError):
    """A task was killed on request."""

    retriable = False

    def __init__(self, reason: str = "killed") -> None:
        self.reason = reason
        super().__init__(reason)


class Interrupted(SolarError):
    """A running call is ended because its worker stops; its attempt is handed back."""
