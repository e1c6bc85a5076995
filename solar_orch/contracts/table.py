"""The contract of each namespace: what describes it, which option chooses, and how it is checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from solar_orch.contracts.signatures import ContractBroken, require_callable, require_context_first, what

PREFIX = "solar.orchestration."
EXECUTORS = PREFIX + "executors"
EXTENSIONS = PREFIX + "extensions"
CLIENTS = PREFIX + "extensions_clients"
CONSTRUCTORS = PREFIX + "constructors"
RUNNERS = PREFIX + "runners"
TASK_TYPES = PREFIX + "task_types"
LIMITS = PREFIX + "limits"

_DRIVERS = PREFIX + "drivers."
_HOOKS = PREFIX + "hooks."
_CONSTRUCT = ".construct"


def drivers(worker: str) -> str:
    """The namespace of the drivers of one worker."""
    return f"{_DRIVERS}{worker}"


def construct_hooks(worker: str) -> str:
    """The namespace of the construct hooks of one worker."""
    return f"{_HOOKS}{worker}{_CONSTRUCT}"


@dataclass(frozen=True, slots=True)
class Contract:
    """What the parts of one namespace must be."""

    namespace: str
    #: How it is called, for people: ``run(executors, conf)``.
    usage: str
    #: The class whose docstring tells it, as ``module:Class``.
    described_by: str
    #: The option of ``[orchestration]`` that chooses among the parts; None: all of them are loaded.
    option: str | None
    #: Of drivers and hooks, that of the worker that they are for.
    worker: str | None
    _check: Callable[[Contract, Any], None]

    def check(self, obj: Any) -> None:
        """See whether `obj`, to which an entry point has been loaded, keeps the contract.  Calls nothing.

        :raises ContractBroken: if it does not
        """
        self._check(self, obj)


def contract_of(namespace: str) -> Contract | None:
    """The contract of a namespace; None if this is a namespace that no host reads."""
    if namespace in _FIXED:
        return _FIXED[namespace]
    worker = namespace.removeprefix(_DRIVERS)
    if worker != namespace and worker:
        return Contract(
            namespace,
            "Driver(conf, clients)",
            "solar_orch.workers.base:Worker",
            f"{worker}_driver",
            worker,
            _check_driver,
        )
    worker = namespace.removeprefix(_HOOKS).removesuffix(_CONSTRUCT)
    if worker and namespace == construct_hooks(worker):
        return Contract(
            namespace,
            "hook(worker, clients)",
            "solar_orch.contracts.parts:ConstructHook",
            None,
            worker,
            _check_called,
        )
    return None


# -- checks ----------------------------------------------------------------------


def _check_called(contract: Contract, obj: Any) -> None:
    role, _, parameters = contract.usage.rstrip(")").partition("(")
    require_callable(obj, role, parameters.split(", "))


def _check_executor(contract: Contract, obj: Any) -> None:
    from solar_orch.executors.base import CAPABILITIES

    for attribute, parameters in (("Executor", ("worker", "address")), ("Client", ("address",))):
        missing = object()
        value = getattr(obj, attribute, missing)
        if value is missing:
            raise ContractBroken(
                f"must have the attributes Executor and Client, but {what(obj)} has no {attribute}"
            )
        require_callable(value, attribute, parameters)
    make = getattr(obj, "private_address", None)
    if make is not None:
        require_callable(make, "private_address", ("conf", "path"))
    capabilities: Any = getattr(obj, "capabilities", frozenset())
    if not isinstance(capabilities, (set, frozenset)) or not capabilities <= CAPABILITIES.keys():
        raise ContractBroken(
            f"capabilities must be a set of names out of {', '.join(CAPABILITIES)}, but is {capabilities!r}"
        )


def _check_driver(contract: Contract, obj: Any) -> None:
    from solar_orch.workers.base import Worker  # brings the store; to list what is there needs none

    if not (isinstance(obj, type) and issubclass(obj, Worker)):
        raise ContractBroken(
            f"must be a class that derives from {Worker.__module__}.{Worker.__qualname__}, but is {what(obj)}"
        )
    require_callable(obj, "Worker", ("conf", "clients"))


def _check_task_type(contract: Contract, obj: Any) -> None:
    require_context_first(obj, "task_type(ctxt, *args, **kwargs)")


def _check_limit(contract: Contract, obj: Any) -> None:
    require_callable(obj, "Limit", ("conf",))
    if not isinstance(obj, type):
        return  # what a factory makes shows when it is made
    for method, parameters, needed in (
        ("allows", ("self", "plan", "running", "candidate"), True),
        ("group", ("self", "plan", "candidate"), False),
    ):
        function = getattr(obj, method, None)
        if function is None and needed:
            raise ContractBroken(
                f"must have a method allows(plan, running, candidate), but {what(obj)} has none"
            )
        if function is not None:
            require_callable(function, f"{obj.__qualname__}.{method}", parameters)


def _fixed(
    namespace: str,
    usage: str,
    described_by: str,
    option: str | None = None,
    check: Callable[[Contract, Any], None] = _check_called,
) -> tuple[str, Contract]:
    described = f"solar_orch.contracts.parts:{described_by}"
    return namespace, Contract(namespace, usage, described, option, None, check)


_FIXED: dict[str, Contract] = dict(
    (
        _fixed(EXECUTORS, "Executor(worker, address), Client(address)", "ExecutorPart", "executor",
               _check_executor),
        _fixed(EXTENSIONS, "factory(conf, clients)", "Extension"),
        _fixed(CLIENTS, "factory(conf)", "ClientFactory"),
        _fixed(CONSTRUCTORS, "construct(host)", "Constructor"),
        _fixed(RUNNERS, "run(executors, conf)", "Runner", "runner"),
        _fixed(TASK_TYPES, "task_type(ctxt, *args, **kwargs)", "TaskType", None, _check_task_type),
        _fixed(LIMITS, "Limit(conf)", "Limit", "limits", _check_limit),
    )
)  # fmt: skip


def read_by_hosts(workers: Iterable[str]) -> list[str]:
    """The namespaces that a host reads, sorted.

    :param workers: the names of the installed workers
    """
    of_workers = [each for name in workers for each in (drivers(name), construct_hooks(name))]
    return sorted({*_FIXED, *of_workers})
