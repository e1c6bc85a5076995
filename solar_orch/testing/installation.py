"""A package that is installed for the time of a test, so that its parts are found as any others are."""

from __future__ import annotations

import contextlib
import importlib
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path


@contextlib.contextmanager
def installed(name: str, entry_points: Mapping[str, Mapping[str, str]]) -> Iterator[None]:
    """Have a distribution found in this process that registers these entry points; modules are not brought.

    :param entry_points: namespace to name to target
    """
    with tempfile.TemporaryDirectory(prefix="solar-") as root:
        metadata = Path(root, f"{name.replace('-', '_')}-1.0.dist-info")
        metadata.mkdir()
        metadata.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        metadata.joinpath("entry_points.txt").write_text(_sections(entry_points))
        sys.path.insert(0, root)
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path.remove(root)
            importlib.invalidate_caches()


def _sections(entry_points: Mapping[str, Mapping[str, str]]) -> str:
    lines = []
    for namespace, points in entry_points.items():
        lines += [f"[{namespace}]", *(f"{name} = {target}" for name, target in points.items()), ""]
    return "\n".join(lines)
