"""The base class of all workers."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, cast

from solar_orch.config import GROUP
from solar_orch.errors import DatabaseUnavailable, Interrupted, Killed, Rejected, SolarError, UnknownTaskType
from solar_orch.store import Store
from solar_orch.workers.calls import Background, Cancelled, Ctxt, Interruptible, Ledger, Stopping
from solar_orch.workers.guarding import ProcessGuard
from solar_orch.workers.output import BoundedOutput
from solar_orch.workers.secrets import Secrets
from solar_orch.workers.subscription import Method, Subscribable, tell

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.contracts.parts import Limit
    from solar_orch.executors.base import Client, Executor

LOG = logging.getLogger(__name__)


def _uninterruptible(ctxt: Ctxt) -> nullcontext[None]:
    return nullcontext()


class Worker:
    """Something whose public methods are called through an executor.

    A driver derives from it (or from :class:`~solar_orch.workers.tasks.Tasks`
    and its like) and adds methods ``method(self, ctxt, *args, **kwargs)``.
    They run in a greenlet of their executor each, several at once; they may
    wait, but one that blocks the event loop for longer than the lease gets
    its attempts lost.  What a method raises becomes the error of the call.

    Making a worker opens no socket, file or thread.

    :param conf: configuration with the group ``[orchestration]``
    :param clients: the client of every installed worker, by worker name
    """

    #: The name that ties extension, client, constructor, driver and hooks together.
    name: ClassVar[str] = "worker"
    #: Methods that are never tasks and never wait for a pool slot.
    controls: ClassVar[frozenset[str]] = frozenset({"ping"})
    #: Whether a call of a name that is no method is a task that ends in ``UnknownTaskType``,
    #: with all that belongs to a call, instead of being dropped by the executor.
    answers_unknown: bool = False
    #: When the process stops, workers with a lower number are drained first.
    drain_order: ClassVar[int] = 50

    def __init__(self, conf: cfg.ConfigOpts, clients: Mapping[str, Client]) -> None:
        self.conf = conf
        self.clients = clients
        self.store = Store(conf, grouped=True)
        self.for_all = Subscribable()
        #: Set by the executor's constructor function; None until then.
        self.executor: Executor | None = None
        #: Set by a construct hook, see :class:`~solar_orch.workers.calls.Ledger`.
        self.ledger: Ledger | None = None
        #: Of a scheduler, the limits that the configuration names, by their names; set by its extension.
        self.limits: Mapping[str, Limit] = {}
        self.backgrounds: list[Background] = [self._presence]
        #: What running calls have written, by task id and attempt; see :meth:`output`.
        self.outputs: dict[tuple[str, int], BoundedOutput] = {}
        #: What running calls must not show, by task id and attempt; of those that have any.
        self._secrets: dict[tuple[str, int], Secrets] = {}
        #: Ends the commands of this process when it cannot do so itself.
        self.process_guard = ProcessGuard()
        #: The callable surface: name to method, exactly the public methods of the driver.
        self._methods = {name: Method(name, self._own_method(name)) for name in _public_methods(type(self))}
        self.methods: Mapping[str, Method] = MappingProxyType(self._methods)
        for name, method in self.methods.items():
            setattr(self, name, method)

    def _own_method(self, name: str) -> Callable[..., Any]:
        if name in vars(self) or name in _OF_CLIENTS:
            raise TypeError(
                f"{_kind(self)} cannot have a method {name!r}: every worker or client has something else"
                " under this name"
            )
        return cast(Callable[..., Any], getattr(self, name))

    def background(self, function: Background) -> Background:
        """Register what runs beside the calls.

        :param function: ``function(stopping)``, started by ``Executor.run()``
            in a greenlet of its own; it returns soon after ``stopping`` is set.
            If it raises, the executor ends with that error.
        """
        self.backgrounds.append(function)
        return function

    def add_method(self, name: str, function: Callable[..., Any]) -> Method:
        """Add to the callable surface, before the worker runs.

        :param function: ``function(ctxt, *args, **kwargs)``
        :return: the method, open to subscription
        :raises ValueError: if it cannot have this name, which the message says
        """
        if not name.isidentifier() or name.startswith("_"):
            raise ValueError(
                f"a method's name must be one of Python's that does not begin with _, not {name!r}"
            )
        if name in _OF_CLIENTS:
            raise ValueError(f"the name {name!r} means something else to every client")
        if hasattr(self, name):
            raise ValueError(f"the worker {self.name} has a {name!r} already ({_kind(self)})")
        method = self._methods[name] = Method(name, function)
        setattr(self, name, method)
        return method

    def task_types(self) -> list[str]:
        """Names of the methods that are no controls, sorted: of a tasks driver, what a plan can name."""
        return sorted(name for name in self.methods if name not in self.controls)

    def output(self, ctxt: Ctxt) -> BoundedOutput:
        """Where a running call writes what is to be kept as its output, ``output_limit`` bytes of it.

        For the methods of drivers.  Each attempt has one, made when first asked for.
        """
        key = _attempt_of(ctxt)
        if key not in self.outputs:
            self.outputs[key] = BoundedOutput(self.conf[GROUP].output_limit)
        return self.outputs[key]

    def take_output(self, ctxt: Ctxt) -> str | None:
        """The output of a call as text, which is then forgotten here; None if it has none.

        For the ledger when it settles; what nobody has taken is dropped at the end of the call.
        """
        key = _attempt_of(ctxt)
        text = self._output_text(key)
        self.outputs.pop(key, None)
        return text

    def output_so_far(self, task_id: str, attempt: int) -> str | None:
        """What a running call has written so far, as text without secrets; None if it has no output."""
        key = (task_id, attempt)
        text, secrets = self._output_text(key), self._secrets.get(key)
        return text if text is None or secrets is None else secrets.without_begun(text)

    def _output_text(self, key: tuple[str, int]) -> str | None:
        """What a call has written so far, without its secrets; None if it has no output."""
        output, secrets = self.outputs.get(key), self._secrets.get(key)
        if output is None:
            return None
        return output.text() if secrets is None else secrets.mask_output(output)

    def ping(self, ctxt: Ctxt) -> None:
        """Control: record at once, in the database, that this worker is alive."""
        self._beat()

    def call(
        self,
        method: str,
        ctxt: Ctxt,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        interruptible: Interruptible = _uninterruptible,
    ) -> None:
        """Make one call with everything that belongs to it; for executors.

        Order: the ledger admits; ``before`` subscribers; the method itself,
        inside ``interruptible(ctxt)``; the ledger settles; ``on_success`` or
        ``on_error`` subscribers; ``after`` subscribers.  Returns when all of
        that is done, and raises nothing that a method or subscriber raised.

        :raises KeyError: if there is no such method and ``answers_unknown`` is False
        """
        keywords = kwargs or {}
        # What methods and subscribers do to theirs must not reach the ledger and the executor.
        given = ctxt.copy()
        target = self._target(method)
        is_control = method in self.controls
        ledger = None if is_control else self.ledger
        if ledger is not None and not self._admitted(ledger, method, ctxt):
            return
        secrets = None
        if ledger is not None and ctxt.get("secrets"):
            secrets = self._secrets[_attempt_of(ctxt)] = Secrets(ctxt)
        result, error = self._outcome(target, ctxt, given, args, keywords, interruptible, secrets)
        counts = True
        if ledger is not None:
            counts = self._settled(ledger, ctxt, result, error)
        elif isinstance(error, Exception):
            self._log_failure(method, ctxt, error)
        if counts and error is None:
            self._tell_all(target, "on_success", given, result, *args, **keywords)
        elif counts:
            self._tell_all(target, "on_error", given, error, *args, **keywords)
        self._tell_all(target, "after", given)
        if (self.outputs or self._secrets) and not is_control:
            self.outputs.pop(_attempt_of(ctxt), None)
            self._secrets.pop(_attempt_of(ctxt), None)

    def _target(self, method: str) -> Method:
        """What a call of this name runs.

        :raises KeyError: if that is nothing
        """
        if method in self.methods or not self.answers_unknown:
            return self.methods[method]
        return Method(method, self._unknown(method))

    def _unknown(self, method: str) -> Callable[..., None]:
        def refuse(ctxt: Ctxt, /, *args: Any, **kwargs: Any) -> None:
            raise UnknownTaskType(method, self.task_types())

        return refuse

    def _beat(self) -> None:
        self.store.workers.beat(self.name, self.executor.address if self.executor else "")

    def _presence(self, stopping: Stopping) -> None:
        """Keep this worker's row in the database alive, so that others see that it is up."""
        interval = self.conf[GROUP].lease / 3
        while not stopping.is_set():
            try:
                self._beat()
            except DatabaseUnavailable as error:
                LOG.warning("%s: could not record that this worker is up: %s", self.name, error)
            stopping.wait(interval)
        try:
            self.store.workers.leave(self.name)
        except DatabaseUnavailable as error:
            LOG.warning("%s: could not record that this worker has stopped: %s", self.name, error)

    def _admitted(self, ledger: Ledger, method: str, ctxt: Ctxt) -> bool:
        try:
            ledger.admit(ctxt)
        except Rejected as error:
            LOG.info("%s: %s of attempt %s not made: %s", ctxt.get("task_id", "-"), method,
                     ctxt.get("attempt", "-"), error)  # fmt: skip
            return False
        except Exception as error:
            LOG.error("%s: %s of attempt %s not made: it could not be claimed: %s", ctxt.get("task_id", "-"),
                      method, ctxt.get("attempt", "-"), error, exc_info=_unexpected(error))  # fmt: skip
            return False
        return True

    def _outcome(
        self,
        method: Method,
        ctxt: Ctxt,
        given: Ctxt,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        interruptible: Interruptible,
        secrets: Secrets | None,
    ) -> tuple[Any, BaseException | None]:
        try:
            with interruptible(ctxt):
                for subscriber in self._subscribers(method, "before"):
                    tell(subscriber, "before", given)
                if secrets is None:
                    return method.function(given, *args, **kwargs), None
                # Subscribers, and who is told afterwards, get what holds none.
                with_secrets, args, kwargs = secrets.fill(method.name, given, args, kwargs)
                return secrets.mask_result(method.function(with_secrets, *args, **kwargs)), None
        except Cancelled as signal:
            return None, signal.error
        except Exception as error:
            return None, error if secrets is None else secrets.mask_error(error)
        except BaseException as error:
            # GreenletExit, SystemExit and their like must end the call, not the worker.
            return None, Killed(f"{type(error).__name__}: {error}".rstrip(": "))

    def _settled(self, ledger: Ledger, ctxt: Ctxt, result: Any, error: BaseException | None) -> bool:
        try:
            return ledger.settle(ctxt, result, error)
        except Exception as problem:
            LOG.error("%s: the outcome of attempt %s could not be recorded; it will be judged lost: %s",
                      ctxt.get("task_id", "-"), ctxt.get("attempt", "-"), problem,
                      exc_info=_unexpected(problem))  # fmt: skip
            return False

    def _subscribers(self, method: Method, moment: str) -> tuple[Callable[..., object], ...]:
        return self.for_all.subscribers(moment) + method.subscribers(moment)

    def _tell_all(self, method: Method, moment: str, ctxt: Ctxt, /, *args: Any, **kwargs: Any) -> None:
        for subscriber in self._subscribers(method, moment):
            tell(subscriber, moment, ctxt, *args, **kwargs)

    def _log_failure(self, method: str, ctxt: Ctxt, error: Exception) -> None:
        if isinstance(error, (Rejected, Interrupted)):
            LOG.info("%s: %s: %s", ctxt.get("task_id", "-"), method, error)
        else:
            LOG.error(
                "%s: %s failed: %s", ctxt.get("task_id", "-"), method, error, exc_info=_unexpected(error)
            )


def _unexpected(error: Exception) -> Exception | None:
    """What is to be logged with its traceback; errors of this package speak for themselves."""
    return None if isinstance(error, SolarError) else error


def _attempt_of(ctxt: Ctxt) -> tuple[str, int]:
    return ctxt.get("task_id", ""), ctxt.get("attempt", 0)


def _kind(worker: Worker) -> str:
    """Its class, for a message."""
    return f"{type(worker).__module__}.{type(worker).__qualname__}"


#: The attributes of every client, which are therefore no methods of any worker.
_OF_CLIENTS = frozenset({"address", "close", "send_timeout"})


def _public_methods(cls: type[Worker]) -> list[str]:
    """Names of the functions that a driver adds to :class:`Worker`, and ``ping``."""
    own = {name for name in vars(Worker) if name != "ping"}
    return sorted(
        name
        for name in dir(cls)
        if not name.startswith("_")
        and name not in own
        and inspect.isfunction(inspect.getattr_static(cls, name))
    )
