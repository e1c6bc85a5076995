"""Task types of other packages: how they come to a tasks worker, and what they can use there.

A task type is a callable ``(ctxt, *args, **kwargs)``, see
:class:`solar_orch.contracts.parts.TaskType`.  While it runs, the functions
below give it what methods of a driver have from their worker.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from gevent import getcurrent

from solar_orch.contracts.signatures import ContractBroken
from solar_orch.errors import SolarError
from solar_orch.workers import commands
from solar_orch.workers.calls import Ctxt
from solar_orch.workers.output import BoundedOutput
from solar_orch.workers.usage import fitted

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.workers.base import Worker

__all__ = ["conf", "current_worker", "output", "run_command"]

#: The greenlets in which task types run, and the worker of each.
_WORKERS: WeakKeyDictionary[Any, Worker] = WeakKeyDictionary()


def current_worker() -> Worker:
    """The worker in which the calling task type runs; also in the greenlets that it has spawned.

    :raises SolarError: if none does
    """
    greenlet = getcurrent()
    while greenlet is not None:
        worker = _WORKERS.get(greenlet)
        if worker is not None:
            return worker
        spawned_by = getattr(greenlet, "spawning_greenlet", None)
        greenlet = spawned_by() if spawned_by is not None else None
    raise SolarError("neither this greenlet nor one that has spawned it runs a task type")


def conf() -> cfg.ConfigOpts:
    """The configuration of the worker, with the options that the task type brings.

    :raises SolarError: if no task type is running here
    """
    return current_worker().conf


def output(ctxt: Ctxt) -> BoundedOutput:
    """Where the task's output is written: ``output(ctxt).write(b"...")``.  Does not block.

    :raises SolarError: if no task type is running here
    """
    return current_worker().output(ctxt)


def run_command(
    ctxt: Ctxt,
    command: str | Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    stdin: str | bytes | None = None,
    parse: str | None = None,
) -> Any:
    """Run a command as the task type ``cmd`` does; blocks the calling greenlet only.

    It is ended, with all processes of its session, when the task is killed,
    when its time is over, and when the worker dies.

    :param command: a text is run by ``/bin/sh -c``, a list as it is
    :param env: variables in addition to those of the worker and of the plan
    :param cwd: directory to run in; that of the plan, or else of the worker, when None
    :param stdin: what the command reads; nothing when None
    :param parse: ``json``: the result is what stdout holds as JSON
    :return: its last line on stdout that is not empty, ``""`` if there is none
    :raises CommandFailed: if its exit code is not 0
    :raises TaskError: if it cannot be run, or stdout is no JSON
    :raises SolarError: if no task type is running here
    """
    return commands.run(
        current_worker(), "run_command", ctxt, command, env=env, cwd=cwd, stdin=stdin, parse=parse
    )


def add(worker: Worker, name: str, function: Callable[..., Any]) -> None:
    """Let plans name a task type at a worker that has been made.

    Arguments that do not fit its signature end a task with an error that shows it.

    :raises ContractBroken: if the worker cannot have a method of this name
    """
    call = fitted(name, function)

    @functools.wraps(function, updated=())
    def run(ctxt: Ctxt, /, *args: Any, **kwargs: Any) -> Any:
        greenlet = getcurrent()
        _WORKERS[greenlet] = worker
        try:
            return call(ctxt, *args, **kwargs)
        finally:
            del _WORKERS[greenlet]

    try:
        worker.add_method(name, run)
    except ValueError as error:
        raise ContractBroken(str(error)) from error
