"""Python's collector of cycles, and when it would only be in the way."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

#: Objects after which cycles are looked for among the youngest.
_THRESHOLD = 20_000


@contextlib.contextmanager
def collecting_nothing() -> Iterator[None]:
    """Look for no cycles meanwhile: a large tree that is built would be walked through again and again."""
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
        import os

        if "GCT" in os.environ:
            gc.set_threshold(int(os.environ["GCT"]), 20, 20)
        gc.enable()
