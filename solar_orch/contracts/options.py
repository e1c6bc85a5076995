"""The options that a part brings: ``list_opts`` in the module that holds it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, cast
from weakref import WeakKeyDictionary

from oslo_config import cfg

from solar_orch import config
from solar_orch.contracts.signatures import ContractBroken

#: The name of the function; it takes nothing and returns ``[(group, [option, ...]), ...]``, as it is asked
#: for by ``oslo-config-generator``.
FUNCTION = "list_opts"

Group = str | None
Options = list[tuple[Group, list[cfg.Opt]]]

#: The module whose function of that name asks all parts.
_ALL_OPTIONS = "solar_orch.opts"

#: What each such function has said: the same objects each time, since options are compared by their types
#: too, of which not all can be.
_SAID: WeakKeyDictionary[Callable[[], Any], Options] = WeakKeyDictionary()


def brought_by(obj: Any, target: str) -> Options:
    """The options that a part brings, in order: of the module it stands in, and of those of its base classes.

    :param obj: to which the entry point has been loaded
    :param target: of the entry point, ``module:attribute``
    :raises ContractBroken: if a ``list_opts`` is not as it has to be
    :raises Exception: whatever it raises
    """
    functions = dict.fromkeys(
        function for module in _modules(obj, target) if (function := _function_of(module)) is not None
    )
    return [each for function in functions for each in _said_by(function)]


def _function_of(module: ModuleType) -> Callable[[], Any] | None:
    function = getattr(module, FUNCTION, None)
    if function is None:
        return None
    if not callable(function):
        raise ContractBroken(f"{FUNCTION} must be a function, but is {function!r}")
    # The options of this package are registered in any case.
    is_ours = getattr(function, "__module__", None) in (config.__name__, _ALL_OPTIONS)
    return None if is_ours else cast(Callable[[], Any], function)


def _modules(obj: Any, target: str) -> Iterator[ModuleType]:
    if inspect.ismodule(obj):
        yield obj
    names = [target.partition(":")[0].strip(), getattr(obj, "__module__", None)]
    if isinstance(obj, type):
        names += [cls.__module__ for cls in obj.__mro__]
    for name in dict.fromkeys(name for name in names if isinstance(name, str)):
        if name in sys.modules:
            yield sys.modules[name]


def _said_by(function: Callable[[], Any]) -> Options:
    if function not in _SAID:
        _SAID[function] = _checked(function())
    return _SAID[function]


# What fails within is told under the name that its author knows.
brought_by.__qualname__ = FUNCTION


def _checked(said: Any) -> Options:
    expected = f"{FUNCTION}() must return a list of (group, [option, ...]), the options as of oslo.config"
    found: Options = []
    try:
        for group, options in said:
            name = group.name if isinstance(group, cfg.OptGroup) else group
            found.append((name, list(options)))
    except (TypeError, ValueError) as error:
        raise ContractBroken(f"{expected}, but returned {said!r}") from error
    for name, options in found:
        if not isinstance(name, str | None) or not all(isinstance(option, cfg.Opt) for option in options):
            raise ContractBroken(f"{expected}, but returned {said!r}")
    return found


def register(conf: cfg.ConfigOpts, options: Options) -> None:
    """Register options with a configuration, and read their values once; what is there already stays.

    :raises ContractBroken: if there is another option of the same name
    :raises ConfigError: if a value does not parse; see :func:`solar_orch.config.read_once`
    """
    for group, opts in options:
        for option in opts:
            if _is_new(conf, option, group):
                config.read_once(conf, option.dest, group)


def _is_new(conf: cfg.ConfigOpts, option: cfg.Opt, group: Group) -> bool:
    """Register an option; False if it has been registered before.

    :raises ContractBroken: if there is another one of the same name
    """
    try:
        return bool(conf.register_opt(option, group=group))
    except cfg.DuplicateOptError as error:
        # oslo.config lets no option be unregistered once it has read its files.
        there = conf._get_opt_info(option.dest, group)
        if not isinstance(there["opt"], config.AssumedOpt):
            raise ContractBroken(
                f"its option {option.name} of [{group or 'DEFAULT'}] is another one than that which is"
                " registered already under this name: name the option, or its group, after the package"
            ) from error
    there["opt"] = option
    if "override" not in there:
        conf.clear_override(option.dest, group=group)  # which forgets what was read before
    return True


def as_mapping(options: Options) -> Mapping[Group, list[cfg.Opt]]:
    """The options of each group; of those that several bring, one."""
    found: dict[Group, dict[str, cfg.Opt]] = {}
    for group, opts in options:
        for option in opts:
            found.setdefault(group, {}).setdefault(option.dest, option)
    return {group: list(opts.values()) for group, opts in found.items()}
