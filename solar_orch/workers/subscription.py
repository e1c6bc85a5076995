"""Subscriptions to the calls of a worker."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from solar_orch.errors import Rejected
from solar_orch.workers.calls import Ctxt

LOG = logging.getLogger(__name__)

Subscriber = Callable[..., object]


class Subscribable:
    """Four moments of a call to which functions can be subscribed; they run in order of subscription.

    Each of the four methods returns the function it was given, so that it
    serves as a decorator.
    """

    def __init__(self) -> None:
        self._subscribers: dict[str, tuple[Subscriber, ...]] = {
            "before": (),
            "on_success": (),
            "on_error": (),
            "after": (),
        }

    def before(self, function: Subscriber) -> Subscriber:
        """``function(ctxt)`` before the call; it may raise ``Rejected``, and the call is not made."""
        return self._add("before", function)

    def on_success(self, function: Subscriber) -> Subscriber:
        """``function(ctxt, result, *args, **kwargs)`` after a call that returned, once that is durable."""
        return self._add("on_success", function)

    def on_error(self, function: Subscriber) -> Subscriber:
        """``function(ctxt, error, *args, **kwargs)`` after a call that failed, once that is durable."""
        return self._add("on_error", function)

    def after(self, function: Subscriber) -> Subscriber:
        """``function(ctxt)`` after every call, whatever became of it."""
        return self._add("after", function)

    def subscribers(self, moment: str) -> tuple[Subscriber, ...]:
        """Those of one moment, in the order in which they subscribed."""
        return self._subscribers[moment]

    def _add(self, moment: str, function: Subscriber) -> Subscriber:
        if not callable(function):
            raise TypeError(f"a subscriber must be callable, not {function!r}")
        self._subscribers[moment] += (function,)
        return function


class Method(Subscribable):
    """A public method of one worker, callable as before and open to subscription."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        super().__init__()
        self.name = name
        self.function = function
        self.__doc__ = function.__doc__
        self.__name__ = name

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def misfit(self, ctxt: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
        """Why it cannot be called with these arguments; None if it can."""
        least, most = self._positional
        if not kwargs and least <= 1 + len(args) <= most:
            return None
        try:
            if self._signature is not None:
                self._signature.bind(ctxt, *args, **kwargs)
        except TypeError as error:
            return f"{self.name}: {error}"
        return None

    @cached_property
    def _signature(self) -> inspect.Signature | None:
        try:
            return inspect.signature(self.function)
        except (TypeError, ValueError):  # not everything that can be called tells
            return None

    @cached_property
    def _positional(self) -> tuple[float, float]:
        """Within which numbers of positional arguments, and none by keyword, it can certainly be called."""
        least, most = 0, 0.0
        for parameter in self._signature.parameters.values() if self._signature else ():
            needed = parameter.default is parameter.empty
            if parameter.kind is parameter.VAR_POSITIONAL:
                most = math.inf
            elif parameter.kind is parameter.KEYWORD_ONLY and needed:
                return math.inf, 0.0
            elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                least += needed
                most += 1
        return least, most

    def __repr__(self) -> str:
        return f"<method {self.name} of {getattr(self.function, '__self__', None)!r}>"


def tell(subscriber: Subscriber, moment: str, ctxt: Ctxt, /, *args: Any, **kwargs: Any) -> None:
    """Call one subscriber; a failure is logged with its traceback and goes no further.

    :raises Rejected: let through from a ``before`` subscriber
    """
    try:
        subscriber(ctxt, *args, **kwargs)
    except BaseException as error:
        # Before the call, what is no error may be meant for all of it; later on its outcome stands.
        mine = isinstance(error, (Exception, SystemExit)) and not isinstance(error, Rejected)
        if moment == "before" and not mine:
            raise
        LOG.exception(
            "%s: subscriber %r failed %s the call (attempt %s)",
            ctxt.get("task_id", "-"),
            subscriber,
            moment,
            ctxt.get("attempt", "-"),
        )
