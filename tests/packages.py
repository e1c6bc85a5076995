"""Packages of third parties, installed for the processes of one site."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping

from harness import Site


def install(
    site: Site,
    name: str,
    entry_points: Mapping[str, Mapping[str, str]],
    modules: Mapping[str, str],
) -> None:
    """Make a distribution that the processes find which the site starts from now on.

    :param entry_points: namespace to name to target
    :param modules: module name to source
    """
    home = site.root / "packages"
    metadata = home / f"{name.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(_sections(entry_points))
    for module, source in modules.items():
        (home / f"{module}.py").write_text(textwrap.dedent(source))
    paths = site.env.get("PYTHONPATH", "").split(os.pathsep)
    site.env["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([str(home), *filter(None, paths)]))


def _sections(entry_points: Mapping[str, Mapping[str, str]]) -> str:
    lines: list[str] = []
    for namespace, points in entry_points.items():
        lines += [f"[{namespace}]", *(f"{name} = {target}" for name, target in points.items()), ""]
    return "\n".join(lines)
