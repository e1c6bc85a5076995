"""Arguments of a task that do not fit its type, as an error that shows what it takes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from solar_orch.errors import Unrunnable
from solar_orch.workers.calls import Ctxt
from solar_orch.workers.subscription import Method


def fitted(type_: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, but called with arguments that do not fit its signature it raises ``Unrunnable``."""
    fit = Method(type_, function)
    shown = usage(type_, function)

    @functools.wraps(function)
    def call(ctxt: Ctxt, /, *args: Any, **kwargs: Any) -> Any:
        misfit = fit.misfit(ctxt, args, kwargs)
        if misfit is not None:
            raise Unrunnable(f"wrong arguments for task type {misfit}; it takes {shown}")
        return function(ctxt, *args, **kwargs)

    return call


def usage(type_: str, function: Callable[..., Any]) -> str:
    """A task type and what a plan can give to it, as in ``sleep(seconds)``."""
    return f"{type_}{_shown(function)}"


def _shown(function: Callable[..., Any]) -> inspect.Signature | str:
    """What a plan can give: without the context, and without types, which say little in a plan file."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # not everything that can be called tells
        return "(...)"
    # A context that is the first of *args takes no parameter away.
    given = (
        parameters[1:]
        if parameters and parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL
        else parameters
    )
    empty = inspect.Parameter.empty
    return inspect.Signature([parameter.replace(annotation=empty) for parameter in given])
