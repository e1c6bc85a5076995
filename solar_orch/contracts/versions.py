"""The version of the contracts, and what a part says that it was made for."""

from __future__ import annotations

import re
import sys
from typing import Any

#: ``MAJOR`` of the contracts that this release keeps.  It is raised when a part that was right would be
#: wrong by the new ones.
API = "1"

#: The name under which a part, or the module that holds it, declares the version it was made for.
ATTRIBUTE = "solar_orch_api"

_VERSION = re.compile(r"(\d+)(\.\d+)*")


def declared(obj: Any) -> Any:
    """What a part declares, or the module in which it was defined; None if neither does."""
    own = getattr(obj, ATTRIBUTE, None) if not isinstance(obj, type) else vars(obj).get(ATTRIBUTE)
    if own is not None:
        return own
    return getattr(sys.modules.get(getattr(obj, "__module__", None) or ""), ATTRIBUTE, None)


def mismatch(obj: Any) -> str | None:
    """Why a part was not made for these contracts; None if it was, or does not say."""
    version = declared(obj)
    if version is None:
        return None
    found = _VERSION.fullmatch(version) if isinstance(version, str) else None
    if found is None:
        return f'{ATTRIBUTE} must be a version as a text, such as "{API}", but is {version!r}'
    if int(found[1]) != int(API):
        return (
            f"it was made for version {version} of the contracts ({ATTRIBUTE}), and this solar-orch has"
            f" version {API}: install a release of it that was made for {API}, or another solar-orch"
        )
    return None
