"""What several unit tests share."""

from __future__ import annotations

import shutil
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

EntryPoints = Mapping[str, Mapping[str, str]]


class Packages:
    """Distributions written to disk and put on ``sys.path``, so that importlib.metadata really finds them."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self._monkeypatch = monkeypatch

    def add(
        self,
        name: str,
        entry_points: EntryPoints,
        *,
        version: str = "1.0",
        modules: Mapping[str, str] | None = None,
    ) -> Path:
        """Install a distribution of its own directory.

        :param entry_points: namespace to name to target
        :param modules: module name to source
        :return: the directory
        """
        home = self.root / f"{name}-{version}"
        metadata = home / f"{name.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir(parents=True)
        metadata.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        metadata.joinpath("entry_points.txt").write_text(_sections(entry_points))
        for module, source in (modules or {}).items():
            home.joinpath(f"{module}.py").write_text(textwrap.dedent(source))
        self._monkeypatch.syspath_prepend(str(home))
        return home

    def hide(self, name: str) -> None:
        """Shadow an installed distribution by one that registers nothing."""
        self.add(name, {}, version="0.hidden")


def _sections(entry_points: EntryPoints) -> str:
    lines = []
    for namespace, points in entry_points.items():
        lines += [f"[{namespace}]", *(f"{name} = {target}" for name, target in points.items()), ""]
    return "\n".join(lines)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Packages]:
    """Installs distributions for the time of one test."""
    before = set(sys.modules)
    yield Packages(tmp_path / "packages", monkeypatch)
    for name in set(sys.modules) - before:
        origin = getattr(sys.modules[name], "__file__", None)
        if origin and Path(origin).is_relative_to(tmp_path):
            del sys.modules[name]


@pytest.fixture
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own and no XDG or OS_ variable, so that no configuration of this machine is read."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for variable in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return home


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A private directory whose name leaves room for that of a socket."""
    path = Path(tempfile.mkdtemp(prefix="so-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)
