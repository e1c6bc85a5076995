"""Errors, and names in them, as text."""

from __future__ import annotations

from collections.abc import Sequence

from solar_orch.errors.root import SolarError

#: Names that an error shows of many.
_NAMES_SHOWN = 10


def some(names: Sequence[str]) -> str:
    """The first of these names, and how many more there are."""
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f"{shown} and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else shown


#: Characters of a task's error that are kept: its beginning.
ERRMSG_LIMIT = 16 * 1024


def describe(error: BaseException) -> str:
    """An error as a task's errmsg: SolarErrors speak for themselves, of others the type helps."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception as problem:
        text = f"its text cannot be had ({type(problem).__name__})"
    if not isinstance(error, SolarError) or not text:
        text = f"{name}: {text}" if text else name
    # Neither a database nor a message takes surrogates, which come with names of files that are no UTF-8.
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= ERRMSG_LIMIT else f"{text[:ERRMSG_LIMIT]} ... ({len(text)} characters)"
