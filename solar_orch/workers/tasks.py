"""The tasks driver that ships: the task types of plain plans."""

from __future__ import annotations

import importlib
import logging
import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import gevent

from solar_orch.errors import DatabaseUnavailable, Killed, TaskError, Unrunnable
from solar_orch.plan.verdict import TIMED_OUT, are_enough
from solar_orch.states import VISITED
from solar_orch.workers import commands
from solar_orch.workers.base import Worker
from solar_orch.workers.calls import TASK_SEPARATOR, Ctxt, Ledger, cancellation
from solar_orch.workers.commands import Arguments, result_of, task_variables
from solar_orch.workers.ssh import Ssh
from solar_orch.workers.usage import fitted

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.executors.base import Client

LOG = logging.getLogger(__name__)


class Tasks(Worker):
    """The task types that ship; :meth:`task_types` names them.

    A driver with further types derives from it and adds methods.  Arguments
    that do not fit a type's signature end the task with an error that shows
    it, without a further attempt.
    """

    name: ClassVar[str] = "tasks"
    controls: ClassVar[frozenset[str]] = frozenset({"ping", "kill", "show_output"})
    drain_order: ClassVar[int] = 0
    answers_unknown = True

    def __init__(self, conf: cfg.ConfigOpts, clients: Mapping[str, Client]) -> None:
        super().__init__(conf, clients)
        self._ssh = Ssh(conf, self.process_guard)
        self.background(self._ssh.connections.close_when_stopping)
        for type_ in self.task_types():
            method = self.methods[type_]
            method.function = fitted(type_, method.function)

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

    def fault_tolerance(self, ctxt: Ctxt, /, percent: float) -> dict[str, int]:
        """Succeed if at least so many of the tasks right before this one have.

        It is begun when none of them can go on, though some have failed.
        One that can never start counts as failed, one in NOOP as succeeded.

        :param percent: from 0 to 100
        :return: the numbers of them in all, ``total``, and of those that have ``succeeded``
        :raises TaskError: if there are fewer
        """
        if isinstance(percent, bool) or not isinstance(percent, (int, float)) or not 0 <= percent <= 100:
            raise Unrunnable(f"fault_tolerance: percent must be a number from 0 to 100, not {percent!r}")
        states = self.store.results.predecessors(ctxt["plan_uid"], ctxt["task_name"])
        succeeded = sum(state in VISITED for state in states.values())
        if not are_enough(succeeded, len(states), percent):
            failed = sorted(name for name, state in states.items() if state not in VISITED)
            shown = ", ".join(failed[:10]) + (f" and {len(failed) - 10} more" if len(failed) > 10 else "")
            raise TaskError(
                f"{succeeded} of {len(states)} tasks before it succeeded, which is less than"
                f" {percent:g} %; the others are {shown}"
            )
        return {"total": len(states), "succeeded": succeeded}

    def cmd(
        self,
        ctxt: Ctxt,
        /,
        command: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stdin: str | bytes | None = None,
        parse: str | None = None,
    ) -> Any:
        """Run a command in a session and process group of its own, as ``solar_orch.workers.process.run``.

        It finds ``SOLAR_PLAN_UID``, ``SOLAR_TASK_NAME`` and ``SOLAR_ATTEMPT``
        in its environment.

        :param command: a text is run by ``/bin/sh -c``, a list as it is; numbers in a list are
            written as text
        :param env: variables in addition to those of the worker and of the plan
        :param cwd: directory to run in; that of the plan, or else of the worker, when None
        :param stdin: what the command reads; nothing when None
        :param parse: ``json``: the result is what stdout holds as JSON
        :return: its last line on stdout that is not empty, ``""`` if there is none; None if that line
            is longer than ``process.STDOUT_TAIL`` bytes
        :raises CommandFailed: if its exit code is not 0
        :raises TaskError: if it cannot be run, or stdout is no JSON
        """
        return commands.run(self, "cmd", ctxt, command, env=env, cwd=cwd, stdin=stdin, parse=parse)

    def ssh(
        self,
        ctxt: Ctxt,
        /,
        command: str | Sequence[str],
        *,
        user: str | None = None,
        port: int | None = None,
        key: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stdin: str | bytes | None = None,
        parse: str | None = None,
    ) -> Any:
        """Run a command on the task's target, as ``solar_orch.workers.ssh.Ssh.run``.

        :param command: a text is run by ``/bin/sh -c`` there, the words of a list are quoted for it
        :param user: to log in as; this and the next two as the options have it when None
        :param port: of sshd
        :param key: path of a private key
        :param env: variables in addition to those of the login and of the plan
        :param cwd: directory there; that of the plan, or else of the login, when None
        :return: as of :meth:`cmd`
        :raises CommandFailed: if its exit code is not 0
        :raises HostUnreachable: if it could not be run there, or the connection was lost
        :raises TaskError: if the client cannot be started, or stdout is no JSON
        """
        arguments = Arguments("ssh")
        parse = arguments.parse(parse)
        ended = self._ssh.run(
            arguments.login(ctxt, user, port, key),
            arguments.command(command),
            output=self.output(ctxt),
            env=arguments.shell_env(ctxt, env),
            local_env={**os.environ, **task_variables(ctxt)},
            cwd=arguments.cwd(ctxt, cwd),
            stdin=arguments.stdin(stdin),
            key=ctxt.get("task_id", ""),
            attempt=ctxt.get("attempt", 0),
        )
        return result_of(ended, parse, ctxt)

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
        wanted = _wanted("kill", ctxt, task_id, attempt)
        if reason is not None:
            _must_be_text("kill: reason", reason)
        # That a task has timed out has been recorded by who tells of it.
        if self.ledger is not None and reason != TIMED_OUT:
            self._record_kill(self.ledger, wanted, attempt, reason or str(Killed()))
        if self.executor is None:
            return False
        return self.executor.kill(wanted, attempt, cancellation(reason, ctxt))

    def show_output(self, ctxt: Ctxt, task_id: str | None = None, attempt: int | None = None) -> bool:
        """Control: write down in the database what the running call of a task has written so far.

        :param task_id: that of `ctxt` when None
        :param attempt: only this attempt; None means whichever runs here
        :return: whether such a call runs here, and has an output
        :raises TaskError: if neither `ctxt` nor `task_id` names a task
        """
        wanted = _wanted("show_output", ctxt, task_id, attempt)
        plan_uid, _, name = wanted.partition(TASK_SEPARATOR)
        shown = False
        for number in [number for key, number in self.outputs if key == wanted]:
            text = self.output_so_far(wanted, number)
            if text is None or attempt not in (None, number):
                continue
            try:
                shown = self.store.claims.show_output(plan_uid, name, number, text) or shown
            except DatabaseUnavailable as error:
                LOG.warning("%s: what it has written so far is not recorded: %s", wanted, error)
        return shown

    def _record_kill(self, ledger: Ledger, task_id: str, attempt: int | None, reason: str) -> None:
        try:
            ledger.record_kill(task_id, attempt, reason)
        except DatabaseUnavailable as error:
            LOG.warning("%s: the kill is not recorded, and is tried all the same: %s", task_id, error)


# -- arguments -----------------------------------------------------------


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _seconds(value: Any) -> float:
    if not _is_number(value) or not math.isfinite(value) or value < 0:
        raise Unrunnable(f"sleep: seconds must be a number that is not negative, not {value!r}")
    return float(value)


def _wanted(control: str, ctxt: Ctxt, task_id: Any, attempt: Any) -> str:
    """The id of the task that a control is about."""
    wanted = task_id or ctxt.get("task_id")
    if not wanted:
        raise TaskError(f"{control}: no task is named")
    _must_be_text(f"{control}: task_id", wanted)
    if attempt is not None and type(attempt) is not int:
        raise Unrunnable(f"{control}: attempt must be a number, not {attempt!r}")
    return str(wanted)


def _must_be_text(what: str, value: object) -> None:
    if not isinstance(value, str):
        raise Unrunnable(f"{what} must be a text, not {value!r}")


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
