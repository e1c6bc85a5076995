"""Names to parts: what is registered under an entry-point namespace, loaded and checked.

The only file that knows stevedore.  Whatever is wrong with a part ends in one
:class:`~solar_orch.errors.PluginError`; nothing is skipped with a warning.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

import oslo_config
import stevedore
from stevedore import NamedExtensionManager

from solar_orch.contracts import options, versions
from solar_orch.contracts.signatures import ContractBroken, name_of
from solar_orch.contracts.table import (
    CLIENTS,
    CONSTRUCTORS,
    EXECUTORS,
    EXTENSIONS,
    LIMITS,
    PREFIX,
    RUNNERS,
    TASK_TYPES,
    construct_hooks,
    contract_of,
    drivers,
)
from solar_orch.errors import AddressError, ConfigError, DatabaseRefused, DatabaseUnavailable, PluginError

if TYPE_CHECKING:
    from oslo_config import cfg

__all__ = [
    "CLIENTS",
    "CONSTRUCTORS",
    "EXECUTORS",
    "EXTENSIONS",
    "LIMITS",
    "RUNNERS",
    "TASK_TYPES",
    "construct_hooks",
    "drivers",
]

#: Stands for the package of an entry point that does not tell.
UNKNOWN = "an unknown package"


@dataclass(frozen=True)
class Entry:
    """An entry point as it is registered; nothing of it has been imported."""

    namespace: str
    name: str
    #: ``module`` or ``module:attribute``
    target: str
    #: ``distribution version``
    package: str

    @property
    def distribution(self) -> str | None:
        """The name of the distribution that registers it."""
        return None if self.package == UNKNOWN else self.package.rpartition(" ")[0]

    @property
    def version(self) -> str | None:
        """The version of that distribution."""
        return None if self.package == UNKNOWN else self.package.rpartition(" ")[2]

    def error(self, cause: str) -> PluginError:
        """What is wrong with this part, as an error."""
        return PluginError(
            self.namespace, self.name, cause, package=self.package, available=names(self.namespace)
        )


@dataclass(frozen=True)
class Plugin(Entry):
    """A part that was loaded and keeps the contract of its namespace."""

    #: What the entry point loads to.
    obj: Any


# -- what is registered -------------------------------------------------------


class _Registered(Protocol):
    @property
    def groups(self) -> set[str]: ...

    def select(self, *, group: str) -> Sequence[importlib.metadata.EntryPoint]: ...


@dataclass
class _Session:
    registered: _Registered
    loaded: dict[Entry, Plugin] = field(default_factory=dict)


_SESSION: ContextVar[_Session | None] = ContextVar("solar_orch_plugins_session", default=None)


@contextlib.contextmanager
def session() -> Iterator[dict[Entry, Plugin]]:
    """Within it the installed packages are read once, and what is loaded is written down.

    :return: what has been loaded in this session, in that order
    """
    current = _Session(importlib.metadata.entry_points())
    token = _SESSION.set(current)
    try:
        yield current.loaded
    finally:
        _SESSION.reset(token)


def _entry_points(namespace: str) -> Sequence[importlib.metadata.EntryPoint]:
    # stevedore keeps a cache on disk that can be older than a quick reinstall, and
    # that has forgotten which distribution an entry point comes from.
    current = _SESSION.get()
    if current is None:
        return importlib.metadata.entry_points(group=namespace)
    return current.registered.select(group=namespace)


def namespaces() -> list[str]:
    """The namespaces below ``solar.orchestration`` under which any installed package registers a part."""
    current = _SESSION.get()
    registered = importlib.metadata.entry_points() if current is None else current.registered
    return sorted(group for group in registered.groups if group.startswith(PREFIX))


def entries(namespace: str, name: str | None = None) -> list[Entry]:
    """Everything registered under `namespace`, by name; duplicates stand side by side.  Imports nothing.

    :param name: only under this name; which package an entry comes from takes time to find out
    """
    found = [
        Entry(namespace, point.name, point.value, _package(point))
        for point in _entry_points(namespace)
        if name is None or point.name == name
    ]
    return sorted(found, key=lambda entry: (entry.name, entry.package, entry.target))


def names(namespace: str) -> list[str]:
    """The names registered under `namespace`, each once, sorted.  Imports nothing."""
    return sorted({point.name for point in _entry_points(namespace)})


def _package(point: importlib.metadata.EntryPoint) -> str:
    dist = point.dist
    # One whose metadata is gone has no name.
    return f"{dist.name} {dist.version}" if dist is not None and dist.metadata["Name"] else UNKNOWN


# -- loading ------------------------------------------------------------------


class _Manager(NamedExtensionManager[Any]):
    """stevedore's manager, told to read what is really installed and to pass over nothing."""

    def list_entry_points(self) -> list[importlib.metadata.EntryPoint]:
        return list(_entry_points(self.namespace))


def load_one(
    namespace: str, name: str, *, option: str | None = None, conf: cfg.ConfigOpts | None = None
) -> Plugin:
    """Load the part of this name, and no other, and check it against the namespace's contract.

    Imports the part's module, and blocks for as long as that takes.

    :param option: the option that asks for it, for the message when it is missing
    :param conf: where the options are registered that it brings; nowhere when None
    :raises PluginError: if it is missing, cannot be imported, is registered more than once, was made for
        another version of the contracts, does not keep its contract, or brings options that cannot be used
    :raises ConfigError: if an option that it brings has a value that cannot be used
    """
    entry = _only_entry(namespace, name, option)
    if importlib.metadata.EntryPoint.pattern.match(entry.target) is None:
        raise entry.error(f"its target {entry.target!r} is not of the form module or module:attribute")
    try:
        manager = _Manager(namespace, [name], on_load_failure_callback=_raise)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module may well say sys.exit() where it is imported
        raise entry.error(f"it cannot be loaded: {describe(error)}") from error
    plugin = Plugin(namespace, name, entry.target, entry.package, manager.extensions[0].plugin)
    call(plugin, _keep_contract, plugin)
    if conf is not None:
        call(plugin, options.register, conf, options_of(plugin))
    current = _SESSION.get()
    if current is not None:
        current.loaded.setdefault(entry, plugin)
    return plugin


def load_all(namespace: str, *, conf: cfg.ConfigOpts | None = None) -> list[Plugin]:
    """Load every part of the namespace, in the order of their names; see :func:`load_one`.

    :raises PluginError, ConfigError: if any of them cannot be had
    """
    return [load_one(namespace, name, conf=conf) for name in names(namespace)]


def options_of(plugin: Plugin) -> options.Options:
    """The options that a part brings, as ``[(group, [option, ...]), ...]``.

    :raises PluginError: if its ``list_opts`` fails, or is not as it has to be
    """
    return cast(options.Options, call(plugin, options.brought_by, plugin.obj, plugin.target))


def _keep_contract(plugin: Plugin) -> None:
    problem = versions.mismatch(plugin.obj)
    if problem is not None:
        raise ContractBroken(problem)
    contract = contract_of(plugin.namespace)
    if contract is not None:
        contract.check(plugin.obj)


def _raise(_: object, __: importlib.metadata.EntryPoint, error: BaseException) -> None:
    raise error


def _only_entry(namespace: str, name: str, option: str | None) -> Entry:
    found = entries(namespace, name)
    if not found:
        wanted = f", which option {option} asks for" if option else ""
        raise PluginError(
            namespace, name, f"no package registers this name{wanted}", available=names(namespace)
        )
    if len(found) > 1:
        where = " and ".join(f"{entry.package} ({entry.target})" for entry in found)
        raise PluginError(
            namespace,
            name,
            f"registered {len(found)} times, by {where}",
            package=", ".join(Counter(entry.package for entry in found)),
            available=names(namespace),
        )
    return found[0]


def call(plugin: Plugin, function: Callable[..., Any], *args: Any) -> Any:
    """``function(*args)`` of a part, for whose failure that part is named.

    :raises PluginError: from whatever the function raises; what breaks a contract speaks for itself
    :raises ConfigError, AddressError, DatabaseRefused, DatabaseUnavailable: unchanged, they say enough
    """
    try:
        return function(*args)
    except (PluginError, ConfigError, AddressError, DatabaseRefused, DatabaseUnavailable, KeyboardInterrupt):
        raise
    except ContractBroken as error:
        raise plugin.error(str(error)) from error
    except BaseException as error:
        raise plugin.error(f"{name_of(function)} failed: {describe(error)}") from error


#: How the names of files begin that stand in a stack, and are not of an author of parts.
MACHINERY = (
    "<frozen ",
    __file__,
    *(
        os.path.dirname(os.path.abspath(module.__file__)) + os.sep
        for module in (importlib, stevedore, oslo_config)
        if module.__file__
    ),
)


def describe(error: BaseException) -> str:
    """An error on one line: type, message, and where in its author's code it arose, if it did."""
    text = plain(error)
    where = _place(error)
    return f"{text} [{where}]" if where else text


def plain(error: BaseException) -> str:
    """The type and the message of an error, on one line."""
    try:
        said = str(error.msg if isinstance(error, SyntaxError) else error)
    except Exception:
        said = ""
    return " ".join(f"{type(error).__name__}: {said}".split()).rstrip(": ")


def _place(error: BaseException) -> str | None:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(MACHINERY):
            return f"{frame.filename}:{frame.lineno}"
    return None
