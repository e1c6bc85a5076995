"""Python's collector of cycles, and when it would only be in the way."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

#: Objects after which cycles are looked for among the youngest, and what comes for the older ones.
_THRESHOLDS = (20_000, 20, 20)


@contextlib.contextmanager
def collecting_nothing() -> Iterator[None]:
    """Look for no cycles meanwhile, in whichever thread.

    A large tree that is built would be walked through again and again; and
    what is finalized may do what the thread must not.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def collect_from_now_on() -> None:
    """Turn on what a console script has turned off to start sooner; what is there by now is taken to stay."""
    if not gc.isenabled():
        gc.freeze()
        # A call makes dozens of objects, all of which go when it ends.
        gc.set_threshold(*_THRESHOLDS)
        gc.enable()
