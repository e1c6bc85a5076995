"""Packages that only pictures need."""

from __future__ import annotations

import importlib
from typing import Any

from solar_orch.errors import MissingExtra


def load(module: str) -> Any:
    """A module of the extra ``pictures``.

    :raises MissingExtra: if it is not installed, or cannot be loaded
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra("pictures", module, str(error)) from error
