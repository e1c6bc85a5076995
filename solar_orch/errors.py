"""Every error that solar_orch raises on purpose.

All derive from :class:`SolarError`.  Each carries what it is about in
fields, formats itself as text that a person can act on, and knows the exit
code with which a command that meets it ends.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class ExitCode(enum.IntEnum):
    """What the commands exit with."""

    OK = 0
    #: Something failed: a task is in ERROR, an executor died, a database is gone.
    FAILURE = 1
    #: Wrong usage, configuration, plug-in, plan or uid.
    USAGE = 2
    #: ``solar-worker``: the lock of an address is held by another process.
    ADDRESS_IN_USE = 3
    #: ``solar-orch -w``: the wait ran out.
    WAIT_EXPIRED = 3
    #: ``solar-orch run-once``: no worker is up to run the plan.
    NO_WORKER = 4
    #: Ctrl-C during ``solar-orch run``.
    INTERRUPTED = 130


class SolarError(Exception):
    """The root of all errors of this package."""

    exit_code: ExitCode = ExitCode.FAILURE


# -- configuration and plug-ins ------------------------------------------


class ConfigError(SolarError):
    """A configuration that cannot be used.

    :param option: name of the option, or None when no single one is at fault
    :param value: what it was set to, or None when that is not known or must not be shown
    :param source: file or environment variable that set it
    """

    exit_code = ExitCode.USAGE

    def __init__(
        self,
        problem: str,
        *,
        option: str | None = None,
        value: str | None = None,
        source: str | None = None,
    ) -> None:
        self.problem = problem
        self.option = option
        self.value = value
        self.source = source
        where = f" ({source})" if source else ""
        assigned = "" if value is None else f" = {value!r}"
        what = f"option {option}{assigned}: " if option else ""
        super().__init__(f"{what}{problem}{where}")


class PluginError(SolarError):
    """A part that is missing, broken, of the wrong type or found twice.

    :param namespace: the entry-point namespace
    :param name: the entry point's name
    :param package: ``distribution version`` that registers it, or None
    :param cause: what is wrong, one line
    :param available: the names that the namespace does have
    """

    exit_code = ExitCode.USAGE

    def __init__(
        self,
        namespace: str,
        name: str,
        cause: str,
        *,
        package: str | None = None,
        available: Iterable[str] = (),
    ) -> None:
        self.namespace = namespace
        self.name = name
        self.package = package
        self.cause = cause
        self.available = sorted(set(available))
        origin = f" from {package}" if package else ""
        names = ", ".join(self.available) or "none"
        super().__init__(f"{namespace}: {name}{origin}: {cause} (names that could be had: {names})")


class UnknownPart(SolarError):
    """A namespace that nobody reads or registers a part in, or a name that no package registers there.

    :param what: ``namespace`` or ``name``
    :param given: what was asked for
    :param where: the namespace of a name
    :param suggestions: what may have been meant
    :param available: all that there are
    """

    exit_code = ExitCode.USAGE

    def __init__(
        self,
        what: str,
        given: str,
        *,
        where: str | None = None,
        suggestions: Sequence[str] = (),
        available: Sequence[str] = (),
    ) -> None:
        self.what = what
        self.given = given
        self.where = where
        self.suggestions = list(suggestions)
        self.available = list(available)
        meant = f"; did you mean {' or '.join(self.suggestions)}?" if self.suggestions else ""
        there = f" (there are: {', '.join(self.available)})" if self.available and not meant else ""
        within = f" in {where}" if where else ""
        super().__init__(f"there is no {what} {given}{within}{meant}{there}")


class ExaminationFailed(SolarError):
    """The process in which parts are examined did not give an answer.

    :param problem: how it ended
    """

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"the installed parts could not be examined: {problem}")


# -- addresses -------------------------------------------------------------


class AddressError(SolarError):
    """An address that cannot or must not be used."""

    exit_code = ExitCode.USAGE

    def __init__(self, address: str, problem: str) -> None:
        self.address = address
        self.problem = problem
        super().__init__(f"{address}: {problem}")


class AddressInUse(AddressError):
    """Another process holds the lock of this address.

    :param holder: pid of the holder when it could be told
    """

    exit_code = ExitCode.ADDRESS_IN_USE

    def __init__(self, address: str, holder: int | None = None) -> None:
        self.holder = holder
        by = f"process {holder}" if holder else "another process"
        super().__init__(address, f"already served by {by}; stop it, or configure another address")


class NoPeer(SolarError):
    """A call could not be handed over in time because nobody listens.

    :param address: where nobody listens
    :param timeout: seconds that were waited
    """

    def __init__(self, address: str, timeout: float) -> None:
        self.address = address
        self.timeout = timeout
        super().__init__(f"nobody took the call at {address} within {timeout:g} s; is its worker up?")


class NotCarried(SolarError):
    """The arguments of a call cannot be carried by the executor."""

    def __init__(self, method: str, cause: str) -> None:
        self.method = method
        self.cause = cause
        super().__init__(f"the arguments of {method} cannot be sent: {cause}")


# -- calls -----------------------------------------------------------------


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


# -- plans -------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Mistake:
    """One thing that is wrong in a plan file; lines and columns count from 1."""

    line: int
    column: int
    message: str
    #: How many it is: more than one for the last line of many, which says how many more there are.
    number: int = 1


class PlanError(SolarError):
    """A plan file with mistakes, all of which are listed.

    :param source: the file's name
    :param mistakes: in the order of the file
    """

    exit_code = ExitCode.USAGE

    def __init__(self, source: str, mistakes: Sequence[Mistake]) -> None:
        self.source = source
        self.mistakes = sorted(set(mistakes))
        super().__init__("\n".join(f"{source}:{m.line}:{m.column}: {m.message}" for m in self.mistakes))


class PlanUnreadable(SolarError):
    """A plan file that is not there or cannot be read.

    :param source: its path
    """

    exit_code = ExitCode.USAGE

    def __init__(self, source: str, problem: str) -> None:
        self.source = source
        self.problem = problem
        super().__init__(f"{source}: {problem}")


class PlanExists(SolarError):
    """A plan with this uid is in the database already."""

    exit_code = ExitCode.USAGE

    def __init__(self, uid: str) -> None:
        self.uid = uid
        super().__init__(
            f"a plan with the uid {uid} exists already; drop 'uid' from the file to get a new one"
        )


class UnknownPlan(SolarError):
    """There is no plan with this uid."""

    exit_code = ExitCode.USAGE

    def __init__(self, uid: str, similar: Sequence[str] = ()) -> None:
        self.uid = uid
        self.similar = list(similar)
        if uid == "last":
            problem = "there is no plan yet; make one with: solar-orch create PLAN"
        else:
            problem = f"there is no plan with the uid {uid}"
            if similar:
                problem += f"; did you mean {' or '.join(similar)}?"
        super().__init__(problem)


class UnknownTask(SolarError):
    """A plan has no task of this name.

    :param similar: names of its tasks that are like it
    """

    exit_code = ExitCode.USAGE

    def __init__(self, plan_uid: str, name: str, similar: Sequence[str] = ()) -> None:
        self.plan_uid = plan_uid
        self.name = name
        self.similar = list(similar)
        meant = f"; did you mean {' or '.join(similar)}?" if similar else ""
        super().__init__(f"plan {plan_uid} has no task {name}{meant}")


class WrongState(SolarError):
    """The state of a plan, or of one of its tasks, does not allow what is asked for; nothing was changed.

    :param problem: how it stands
    :param remedy: what could be done, or ""
    """

    exit_code = ExitCode.USAGE

    def __init__(self, plan_uid: str, problem: str, remedy: str = "") -> None:
        self.plan_uid = plan_uid
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"plan {plan_uid} {problem}" + (f"; {remedy}" if remedy else ""))


class CannotStart(SolarError):
    """A task that was chosen to run waits for others that are neither done nor chosen; nothing was changed.

    :param name: of the task
    :param waits_for: the names of the others
    """

    exit_code = ExitCode.USAGE

    def __init__(self, name: str, waits_for: Sequence[str]) -> None:
        self.name = name
        self.waits_for = list(waits_for)
        super().__init__(
            f"{name} cannot be started alone: it waits for {some(waits_for)}; choose what comes before it as"
            " well, or let that count as done with: solar-orch noop"
        )


class UnknownItem(SolarError):
    """No changes with these ids are staged.

    :param ids: in order
    """

    exit_code = ExitCode.USAGE

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = list(ids)
        super().__init__(
            f"no change is staged with the id {some(list(map(str, ids)))}; see: solar-orch log staged"
        )


class InvalidChange(SolarError):
    """A change that cannot be staged."""

    exit_code = ExitCode.USAGE


class TransitionError(SolarError):
    """A move that the table of transitions does not allow."""

    def __init__(self, old: str, new: str) -> None:
        self.old = old
        self.new = new
        super().__init__(f"a task cannot go from {old} to {new}")


# -- database ------------------------------------------------------------


class DatabaseRefused(SolarError):
    """What stands at the database URL is not a database of this version; it is left untouched."""

    exit_code = ExitCode.USAGE

    def __init__(self, database: str, problem: str) -> None:
        self.database = database
        self.problem = problem
        super().__init__(f"database {database}: {problem}")


class DatabaseUnavailable(SolarError):
    """The database could not be reached or written for as long as was waited.

    :param in_doubt: whether the change may have been made all the same: its commit was not answered,
        and could not be read back
    """

    def __init__(self, database: str, problem: str, *, in_doubt: bool = False) -> None:
        self.database = database
        self.problem = problem
        self.in_doubt = in_doubt
        doubt = " (whether the last change was made is not known)" if in_doubt else ""
        super().__init__(f"database {database} is not available: {problem}{doubt}")


# -- pictures ----------------------------------------------------------------


class MissingExtra(SolarError):
    """Something needs packages that are installed only where they are asked for.

    :param extra: what to ask for
    :param module: the module that could not be imported
    """

    exit_code = ExitCode.USAGE

    def __init__(self, extra: str, module: str, cause: str) -> None:
        self.extra = extra
        self.module = module
        super().__init__(
            f"this picture needs a package that cannot be loaded ({cause});"
            f" install it with: pip install 'solar-orch[{extra}]'"
        )


class PictureError(SolarError):
    """A picture that cannot be made, or not in this format."""

    exit_code = ExitCode.USAGE


class FileNotWritten(SolarError):
    """A file could not be written; one that was there is as it was.

    :param path: of the file
    """

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        super().__init__(f"{path} cannot be written: {problem}")


# -- new distributions -------------------------------------------------------


class NameRefused(SolarError):
    """A name that a new distribution cannot have.

    :param name: as it was given
    :param problem: what is wrong with it, and what could be done
    """

    exit_code = ExitCode.USAGE

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        self.problem = problem
        super().__init__(f"the name {name!r} cannot be used: {problem}")


class DirectoryRefused(SolarError):
    """A directory that cannot be made as a new one.

    :param path: of the directory
    """

    exit_code = ExitCode.USAGE

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path} {problem}")


# -- as text -----------------------------------------------------------------

#: Names that an error shows of many.
_NAMES_SHOWN = 10


def some(names: Sequence[str]) -> str:
    """The first of these names, and how many more there are."""
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f"{shown} and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else shown


#: Characters of a task's error that are kept: its beginning.
ERRMSG_LIMIT = 16 * 1024


def describe(error: BaseException) -> str:
    """An error as a task's errmsg: SolarErrors speak for themselves, of others the type helps."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception as problem:
        text = f"its text cannot be had ({type(problem).__name__})"
    if not isinstance(error, SolarError) or not text:
        text = f"{name}: {text}" if text else name
    # Neither a database nor a message takes surrogates, which come with names of files that are no UTF-8.
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= ERRMSG_LIMIT else f"{text[:ERRMSG_LIMIT]} ... ({len(text)} characters)"
