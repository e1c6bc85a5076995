"""The tasks driver that ships: the task types of plain plans."""

from __future__ import annotations

import functools
import importlib
import inspect
import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import gevent

from solar_orch.errors import CommandFailed, DatabaseUnavailable, Killed, TaskError, Unrunnable
from solar_orch.plan.verdict import TIMED_OUT
from solar_orch.workers import orphans, process
from solar_orch.workers.base import Worker
from solar_orch.workers.calls import Ctxt, Ledger, cancellation
from solar_orch.workers.subscription import Method

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.executors.base import Client

LOG = logging.getLogger(__name__)


class Tasks(Worker):
    """Task types ``echo``, ``sleep``, ``error``, ``noop``, ``cmd`` and ``solar_resource``.

    A driver with further types derives from it and adds methods.  Arguments
    that do not fit a type's signature end the task with an error that shows
    it, without a further attempt.
    """

    name: ClassVar[str] = "tasks"
    controls: ClassVar[frozenset[str]] = frozenset({"ping", "kill"})
    drain_order: ClassVar[int] = 0
    answers_unknown = True

    def __init__(self, conf: cfg.ConfigOpts, clients: Mapping[str, Client]) -> None:
        super().__init__(conf, clients)
        for type_ in self.task_types():
            method = self.methods[type_]
            method.function = _fitted(type_, method.function)

    def noop(self, ctxt: Ctxt, /, *args: Any, **kwargs: Any) -> None:
        """Do nothing, whatever it is given."""

    def echo(self, ctxt: Ctxt, /, *args: Any, **kwargs: Any) -> Any:
        """Give the arguments back, and write them to the output as one line.

        :return: a single argument itself; several as a list; with keyword
            arguments a dict of ``args`` and ``kwargs``
        """
        words = [str(arg) for arg in args] + [f"{name}={value}" for name, value in kwargs.items()]
        self.output(ctxt).write((" ".join(words) + "\n").encode("utf-8", "replace"))
        if kwargs:
            return {"args": list(args), "kwargs": kwargs}
        return args[0] if len(args) == 1 else list(args)

    def sleep(self, ctxt: Ctxt, /, seconds: float) -> None:
        """Wait; a number that is finite and not negative."""
        gevent.sleep(_seconds(seconds))

    def error(self, ctxt: Ctxt, /, message: str = "failed on request") -> None:
        """Fail.

        :raises TaskError: always, with `message`
        """
        raise TaskError(str(message))

    def cmd(
        self,
        ctxt: Ctxt,
        /,
        command: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stdin: str | bytes | None = None,
    ) -> str | None:
        """Run a command in a session and process group of its own, as ``solar_orch.workers.process.run``.

        It finds ``SOLAR_PLAN_UID``, ``SOLAR_TASK_NAME`` and ``SOLAR_ATTEMPT``
        in its environment.

        :param command: a text is run by ``/bin/sh -c``, a list as it is; numbers in a list are
            written as text
        :param env: variables in addition to those of the worker
        :param cwd: directory to run in; that of the worker when None
        :param stdin: what the command reads; nothing when None
        :return: its last line on stdout that is not empty, ``""`` if there is none; None if that line
            is longer than ``process.STDOUT_TAIL`` bytes
        :raises CommandFailed: if its exit code is not 0
        :raises TaskError: if it cannot be run
        """
        ended = process.run(
            _command(command),
            output=self.output(ctxt),
            env={**os.environ, **_variables(env), **_task_variables(ctxt)},
            cwd=_directory(cwd),
            stdin=_stdin(stdin),
            guard=self.process_guard,
            key=ctxt.get("task_id", ""),
            attempt=ctxt.get("attempt", 0),
        )
        if ended.code != 0:
            raise CommandFailed(ended.code, ended.stderr.lines())
        result = ended.stdout.last_line()
        if result is None:
            LOG.warning("%s: the last line of stdout is longer than %d bytes: the task has no result",
                        ctxt.get("task_id", "-"), ended.stdout.limit)  # fmt: skip
        return result

    def solar_resource(self, ctxt: Ctxt, /, name: str, action: str) -> Any:
        """Run an action of a resource of Solar core.

        :raises Unrunnable: if Solar core cannot be imported
        """
        _must_be_text("solar_resource: name", name)
        _must_be_text("solar_resource: action", action)
        resource, actions = _solar_core()
        return actions.resource_action(resource.load(name), action)

    def kill(
        self,
        ctxt: Ctxt,
        task_id: str | None = None,
        attempt: int | None = None,
        reason: str | None = None,
    ) -> bool:
        """Control: end the running call of a task; does not wait for its end.

        :param task_id: that of `ctxt` when None
        :param attempt: only this attempt; None means whichever runs here
        :param reason: becomes the task's error
        :return: whether such a call runs here
        :raises TaskError: if neither `ctxt` nor `task_id` names a task
        """
        wanted = task_id or ctxt.get("task_id")
        if not wanted:
            raise TaskError("kill: no task is named")
        _must_be_text("kill: task_id", wanted)
        if attempt is not None and type(attempt) is not int:
            raise Unrunnable(f"kill: attempt must be a number, not {attempt!r}")
        if reason is not None:
            _must_be_text("kill: reason", reason)
        # That a task has timed out has been recorded by who tells of it.
        if self.ledger is not None and reason != TIMED_OUT:
            self._record_kill(self.ledger, wanted, attempt, reason or str(Killed()))
        if self.executor is None:
            return False
        return self.executor.kill(wanted, attempt, cancellation(reason, ctxt))

    def _record_kill(self, ledger: Ledger, task_id: str, attempt: int | None, reason: str) -> None:
        try:
            ledger.record_kill(task_id, attempt, reason)
        except DatabaseUnavailable as error:
            LOG.warning("%s: the kill is not recorded, and is tried all the same: %s", task_id, error)


# -- arguments -----------------------------------------------------------


def _fitted(type_: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, but arguments that do not fit its signature are an error that reads well."""
    fit = Method(type_, function)
    usage = f"{type_}{_shown(inspect.signature(function))}"

    @functools.wraps(function)
    def call(ctxt: Ctxt, /, *args: Any, **kwargs: Any) -> Any:
        misfit = fit.misfit(ctxt, args, kwargs)
        if misfit is not None:
            raise Unrunnable(f"wrong arguments for task type {misfit}; it takes {usage}")
        return function(ctxt, *args, **kwargs)

    return call


def _shown(signature: inspect.Signature) -> inspect.Signature:
    """What a plan can give: without the context, and without types, which say little in a plan file."""
    _, *given = signature.parameters.values()
    empty = inspect.Parameter.empty
    return inspect.Signature([parameter.replace(annotation=empty) for parameter in given])


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _seconds(value: Any) -> float:
    if not _is_number(value) or not math.isfinite(value) or value < 0:
        raise Unrunnable(f"sleep: seconds must be a number that is not negative, not {value!r}")
    return float(value)


def _must_be_text(what: str, value: object) -> None:
    if not isinstance(value, str):
        raise Unrunnable(f"{what} must be a text, not {value!r}")


def _command(value: Any) -> str | list[str]:
    if isinstance(value, str):
        if not value.strip():
            raise Unrunnable("cmd: the command is empty")
        return _word("command", value)
    if not isinstance(value, (list, tuple)):
        raise Unrunnable(f"cmd: command must be a text or a list of texts, not {value!r}")
    if not value:
        raise Unrunnable("cmd: the command is empty")
    return [_word("an item of command", item) for item in value]


def _variables(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Unrunnable(f"cmd: env must be a mapping of names to texts, not {value!r}")
    for name in value:
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise Unrunnable(f"cmd: env: {name!r} is no name of a variable")
    return {name: _word(f"env: {name}", text) for name, text in value.items()}


def _word(what: str, value: Any) -> str:
    if isinstance(value, str):
        if "\0" in value:
            raise Unrunnable(f"cmd: {what} must not hold a NUL character")
        return value
    if _is_number(value):
        return str(value)
    hint = ' (put it in quotes: "true")' if isinstance(value, bool) else ""
    raise Unrunnable(f"cmd: {what} must be a text or a number, not {value!r}{hint}")


def _directory(value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        raise Unrunnable(f"cmd: cwd must be the path of a directory, not {value!r}")
    return value


def _stdin(value: Any) -> str | bytes | None:
    if value is not None and not isinstance(value, (str, bytes)):
        raise Unrunnable(f"cmd: stdin must be a text, not {value!r}")
    return value


def _task_variables(ctxt: Ctxt) -> dict[str, str]:
    """What lets a command fence its own effects."""
    return {
        orphans.PLAN: ctxt.get("plan_uid", ""),
        orphans.TASK: ctxt.get("task_name", ""),
        orphans.ATTEMPT: str(ctxt.get("attempt", "")),
    }


# -- Solar core ------------------------------------------------------------


def _solar_core() -> tuple[Any, Any]:
    """Its modules ``resource`` and ``actions``; not imported before they are needed, most hosts lack them."""
    try:
        return importlib.import_module("solar.core.resource"), importlib.import_module("solar.core.actions")
    except Exception as error:
        raise Unrunnable(
            f"solar_resource needs Solar core, which cannot be imported ({type(error).__name__}: {error}): "
            "install it beside solar_orch, or register a tasks driver that has solar_resource in "
            "solar.orchestration.drivers.tasks and name it in the option tasks_driver"
        ) from error
