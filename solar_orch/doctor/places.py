"""Where in its author's code something is: file, line, and what stands there."""

from __future__ import annotations

import importlib.util
import inspect
import linecache
import os
import re
import sys
import traceback
from collections.abc import Iterable, Sequence
from typing import Any

from solar_orch import plugins
from solar_orch.doctor.findings import Place

#: File and line of each frame of a stack, the innermost first.
Frames = Sequence[tuple[str, int]]

_MACHINERY = ("<", *plugins.MACHINERY, os.path.dirname(os.path.abspath(__file__)) + os.sep)


def at(file: str, line: int | None) -> Place:
    """A place with what stands there."""
    source = linecache.getline(file, line).strip() if line is not None else ""
    return Place(file, line, source or None)


def homes(target: str) -> tuple[str, ...]:
    """The directories, with a separator at their end, or the file of what a target is in; imports nothing.

    :param target: ``module`` or ``module:attribute``
    """
    top = target.partition(":")[0].strip().partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return ()
    if spec is None:
        return ()
    if spec.submodule_search_locations is not None:
        return tuple(os.path.join(path, "") for path in spec.submodule_search_locations)
    return (spec.origin,) if spec.origin else ()


def of_error(error: BaseException, target: str) -> Place | None:
    """The line of the author's code from which an error came; None if it did not come from any code."""
    if isinstance(error, SyntaxError) and error.filename:
        return at(error.filename, error.lineno)
    stack = traceback.extract_tb(error.__traceback__)
    return of_frames([(frame.filename, frame.lineno or 0) for frame in reversed(stack)], target)


def of_frames(frames: Frames, target: str) -> Place | None:
    """The innermost frame within the package of `target`, or else within anything that is no machinery."""
    own = homes(target)
    for belongs in (lambda file: file.startswith(own), lambda file: not file.startswith(_MACHINERY)):
        for file, line in frames:
            if belongs(file):
                return at(file, line)
    return None


_FRAME = re.compile(r'^  File "(.+)", line (\d+)', re.M)


def frames_of_text(text: str) -> list[tuple[str, int]]:
    """The frames of a stack as :mod:`faulthandler` writes it."""
    return [(file, int(line)) for file, line in _FRAME.findall(text)]


def frames_as_text(frames: Iterable[traceback.FrameSummary]) -> str:
    """A stack as :mod:`faulthandler` writes it; `frames` have the innermost last."""
    return "".join(f'  File "{frame.filename}", line {frame.lineno}\n' for frame in reversed(list(frames)))


def of_object(obj: Any) -> Place | None:
    """Where something is defined: the line of its ``def`` or ``class``; of a module its file."""
    if inspect.ismodule(obj):
        return None if obj.__file__ is None else Place(obj.__file__)
    if not (inspect.isroutine(obj) or isinstance(obj, type)):
        obj = getattr(obj, "func", type(obj))  # a partial, or what has a __call__
    try:
        file, (_, line) = inspect.getsourcefile(obj), inspect.getsourcelines(obj)
    except (OSError, TypeError):
        module = sys.modules.get(getattr(obj, "__module__", None) or "")
        return None if module is None or getattr(module, "__file__", None) is None else of_object(module)
    return at(file, line) if file else None


def of_line(file: str | None, pattern: str) -> Place | None:
    """The first line of a file that `pattern` matches; the file alone if none does."""
    if file is None:
        return None
    for number, line in enumerate(linecache.getlines(file), start=1):
        if re.search(pattern, line):
            return at(file, number)
    return Place(file)
