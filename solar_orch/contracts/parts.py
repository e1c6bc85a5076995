"""The contracts of parts that are called: one Protocol for each.

Those of executors and clients stand in :mod:`solar_orch.executors.base`, that
of workers and their drivers in :mod:`solar_orch.workers.base`.

All functions here but task types and limits are called while a host is
built: in the main greenlet of the process, one after the other, before
anything is opened.  They open no socket, file, thread or greenlet, so that a
runner may fork.  They may block for as long as an import takes.  What they
raise ends the start with one error that names the part and the line of its
author's code; :class:`~solar_orch.errors.ConfigError`,
:class:`~solar_orch.errors.AddressError` and
:class:`~solar_orch.errors.PluginError` are shown as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.executors.base import Client, Executor
    from solar_orch.host import Host
    from solar_orch.plan.limits import Limited
    from solar_orch.workers.base import Worker
    from solar_orch.workers.calls import Ctxt


class ExecutorPart(Protocol):
    """What an entry point in ``solar.orchestration.executors`` loads to, most simply a module.

    Both are called while a host is built, and ``Client`` also by programs
    that only send, such as ``solar-orch``; neither opens anything.

    It may have ``capabilities``, a set of names of
    :data:`solar_orch.executors.base.CAPABILITIES`: what it promises beyond the contract.

    And ``private_address(conf, path)``, for ``solar-orch run``, which serves
    addresses that nobody else uses: it returns one.  `path` is that of a file
    which is not there yet, in a directory that is removed afterwards, and
    differs each time.  Without it the address is ``ipc://PATH``, so that an
    executor that takes no such addresses needs it.
    """

    def Executor(self, worker: Worker, address: str) -> Executor:  # noqa: N802 - a class, as a rule
        """Make what takes the calls of one worker; see :class:`solar_orch.executors.base.Executor`."""

    def Client(self, address: str) -> Client:  # noqa: N802
        """Make what sends calls to an address; see :class:`solar_orch.executors.base.Client`."""


class Driver(Protocol):
    """What an entry point in ``solar.orchestration.drivers.WORKER`` loads to.

    A class that derives from :class:`solar_orch.workers.base.Worker`, whose
    ``name`` is that of the worker.
    """

    def __call__(self, conf: cfg.ConfigOpts, clients: Mapping[str, Client]) -> Worker:
        """Make the worker, which opens nothing.

        :param conf: configuration with the group ``[orchestration]`` and the options of the part
        :param clients: the client of every installed worker, by worker name
        :raises Exception: ends the start
        """


class Extension(Protocol):
    """What an entry point in ``solar.orchestration.extensions`` loads to, one for each worker."""

    def __call__(self, conf: cfg.ConfigOpts, clients: Mapping[str, Client]) -> Worker:
        """Make the worker whose name is that of the entry point.

        :func:`solar_orch.extensions.make_worker` does so by the configured driver.

        :raises Exception: ends the start
        """


class ClientFactory(Protocol):
    """What an entry point in ``solar.orchestration.extensions_clients`` loads to, one for each worker."""

    def __call__(self, conf: cfg.ConfigOpts) -> Client:
        """Make a client of the worker whose name is that of the entry point.

        :func:`solar_orch.extensions.make_client` does so by the configured executor.

        :raises Exception: ends the start
        """


class Constructor(Protocol):
    """What an entry point in ``solar.orchestration.constructors`` loads to, one for each worker."""

    def __call__(self, host: Host) -> Executor:
        """Run the construct hooks of ``host.workers[NAME]``, then make its executor.

        :func:`solar_orch.constructors.construct_worker` does both.

        :raises Exception: ends the start
        """


class ConstructHook(Protocol):
    """What an entry point in ``solar.orchestration.hooks.WORKER.construct`` loads to."""

    def __call__(self, worker: Worker, clients: Mapping[str, Client]) -> object:
        """Subscribe to calls of a worker that has been made, or register background functions.

        All hooks of a worker are called in the order of their names, before
        its executor is made.  Their subscribers run later, in the greenlet of
        the call; background functions in one of their own.

        :raises Exception: ends the start
        """


class Runner(Protocol):
    """What an entry point in ``solar.orchestration.runners`` loads to."""

    def __call__(self, executors: Mapping[str, Executor], conf: cfg.ConfigOpts) -> object:
        """Call ``run()`` of all executors beside each other, and return when all have stopped.

        Called last, once, in the main greenlet.  It blocks for as long as the
        host runs.  On SIGTERM or SIGINT it stops the executors in the order
        of ``worker.drain_order``, the lowest first, each with
        ``drain_timeout`` seconds.  A second signal ends all at once.  If one
        fails, it stops the others.

        :param executors: by worker name; nothing of them is open
        :raises Exception: the error of the first executor that failed, after all have stopped, or that a
            second signal has come; it ends the process with exit code 1
        """


class TaskType(Protocol):
    """What an entry point in ``solar.orchestration.task_types`` loads to: a type that plans can name."""

    def __call__(self, ctxt: Ctxt, /, *args: Any, **kwargs: Any) -> Any:
        """Run one attempt of a task; what it returns is the task's result.

        Called in the greenlet of the call, several at once.  It may wait, on
        what gevent knows of; it must not block the process for longer than
        the option ``lease``.  To end it, by a kill, a time limit or when the
        worker stops, :class:`~solar_orch.workers.calls.Cancelled` is thrown
        into it wherever it waits; it then lets go of what it holds, and lets
        that pass.  :mod:`solar_orch.workers.task_types` gives it its output,
        the configuration, and commands that are killed with it.

        :param ctxt: what the task is, see :class:`solar_orch.workers.calls.Ctxt`; the parameter is called
            ``ctxt``, ``ctx``, ``context`` or something that begins with ``_``
        :param args: those of the task; what does not fit ends it with an error that shows the signature
        :return: what can be sent as JSON, for tasks that wait for this one
        :raises TaskError: the task has failed with this message; an attempt that is left is made
        :raises Unrunnable: the same, and no further attempt is made
        :raises Exception: the same as TaskError, and its traceback is logged
        """


class LimitedPlan(Protocol):
    """What a limit can know of a plan."""

    @property
    def uid(self) -> str:
        """Its uid; of a plan that is only rehearsed its name."""

    @property
    def tasks(self) -> Collection[Limited]:
        """All of its tasks."""


class Limit(Protocol):
    """What an entry point in ``solar.orchestration.limits`` loads to; made as ``Limit(conf)``, for all plans.

    A limit that the option ``limits`` names has a say in when one more task
    of a plan may start.  The scheduler asks it, in a greenlet that leads a
    plan, when a task could start as far as the other limits go.  It must be
    pure, neither wait nor read anything but its arguments and its options;
    and what it refuses it must go on refusing until a task of that plan ends.

    While nothing of a plan is in progress no limit is asked, so that none can
    make a plan wait for ever.  One that raises has refused, and is logged.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Read its options."""

    def allows(self, plan: LimitedPlan, running: Collection[Limited], candidate: Limited) -> bool:
        """Whether `candidate` may start beside those that are in progress.

        :param running: the tasks in progress, in no order
        """

    # It may have `group(plan, candidate) -> Hashable`: of candidates of the same group, one that is refused
    # speaks for all until a task ends.  Without it each is asked by itself, which costs time in proportion
    # to those that wait, for each task that ends.


class Grouping(Protocol):
    """A limit that may tell which candidates it treats alike."""

    def group(self, plan: LimitedPlan, candidate: Limited) -> Hashable:
        """The same for all candidates on which the limit decides in the same way."""
