"""Who takes calls in this very process: what goes there need not go through a socket."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

#: ``accept(name, ctxt, args, kwargs)`` tells whether calls pile up; raises nothing.
Accept = Callable[[str, Any, Any, Any], bool]

#: By address.
_TAKERS: dict[str, Accept] = {}


def take(address: str, accept: Accept) -> None:
    """From now on calls to `address` are taken by this process."""
    _TAKERS[address] = accept


def leave(address: str, accept: Accept) -> None:
    """They are not any more, if they were by this one."""
    if _TAKERS.get(address) == accept:
        del _TAKERS[address]


def taker(address: str) -> Accept | None:
    """Who takes calls to `address` here; None if nobody does."""
    return _TAKERS.get(address)


# A child has neither the socket nor the greenlets.
os.register_at_fork(after_in_child=_TAKERS.clear)
