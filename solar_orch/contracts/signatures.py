"""Checks of what an entry point loads to: whether it can be called as it will be."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any


class ContractBroken(Exception):  # noqa: N818 - said of the part
    """A part does not keep its contract; the message says in what."""


def require_callable(function: Any, role: str, parameters: Sequence[str]) -> None:
    """Require that `function` can be called with so many positional arguments, and runs when it is.

    :param role: what it is, for the message
    :param parameters: names for the message
    :raises ContractBroken: if not
    """
    expected = f"{role}({', '.join(parameters)})"
    _bound(function, expected, lambda signature: signature.bind(*parameters))


def require_first_argument(function: Any, expected: str) -> None:
    """Require that `function` is callable and takes at least one positional argument, whatever else it needs.

    :param expected: how it will be called, for the message
    :raises ContractBroken: if not
    """
    _bound(function, expected, _bind_first)


#: Names of a first parameter that takes a context; one that begins with _ is not used.
_CONTEXTS = ("ctxt", "ctx", "context")


def require_context_first(function: Any, expected: str) -> None:
    """Require that `function` is callable and takes a context before all else that it needs.

    :param expected: how it will be called, for the message
    :raises ContractBroken: if not
    """
    signature = _bound(function, expected, _bind_first)
    if signature is None:
        return
    first = next(iter(signature.parameters.values()))
    named = first.kind is not inspect.Parameter.VAR_POSITIONAL
    if named and first.name not in _CONTEXTS and not first.name.startswith("_"):
        # What a plan gives would be taken for the context, and the plan be blamed.
        raise ContractBroken(
            f"must be callable as {expected}, but the first parameter of"
            f" {name_of(function)}{_plain(signature)} is {first.name!r}: the context comes first, as ctxt"
        )


def _bind_first(signature: inspect.Signature) -> object:
    return signature.bind_partial("ctxt")


def _bound(
    function: Any, expected: str, bind: Callable[[inspect.Signature], object]
) -> inspect.Signature | None:
    """The signature, to which arguments could be bound; None if it does not tell.

    :raises ContractBroken: if they cannot be
    """
    signature = _signature(function, expected)
    if signature is not None:
        try:
            bind(signature)
        except TypeError as error:
            raise ContractBroken(
                f"must be callable as {expected}, but is {name_of(function)}{_plain(signature)}: {error}"
            ) from error
    return signature


def _signature(function: Any, expected: str) -> inspect.Signature | None:
    """Its signature; None if it does not tell, as some builtins."""
    if not callable(function):
        raise ContractBroken(f"must be callable as {expected}, but is {what(function)}")
    if _runs_nothing(function):
        raise ContractBroken(
            f"must be a plain function {expected}, but a call of {name_of(function)} runs nothing: "
            "it is a coroutine or generator function"
        )
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _runs_nothing(function: Any) -> bool:
    # Of an object that can be called, what a call of it runs.
    called = function if isinstance(function, (type, functools.partial)) else type(function).__call__
    return any(
        is_one(each)
        for each in (function, called)
        for is_one in (
            inspect.iscoroutinefunction,
            inspect.isgeneratorfunction,
            inspect.isasyncgenfunction,
        )
    )


def _plain(signature: inspect.Signature) -> str:
    """A signature without its annotations, which would drown the names."""
    bare = [
        parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()
    ]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def name_of(function: Any) -> str:
    """The name of something that is called, for a message."""
    if isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__qualname__", None) or type(function).__qualname__)


def what(obj: Any) -> str:
    """What something is, for a message."""
    if isinstance(obj, type):
        return f"the class {obj.__qualname__}"
    if inspect.ismodule(obj):
        return f"the module {obj.__name__}"
    if inspect.isroutine(obj):
        return f"the function {name_of(obj)}"
    return f"an object of type {type(obj).__name__}"
