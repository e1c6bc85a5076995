"""Distributions of third parties, installed as pip installs them, but into a directory of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path


def install(source: Path, home: Path) -> Path:
    """Build and install the distribution whose setup.cfg is in `source`, without what it requires.

    :param home: becomes the directory to be put on the path
    :return: `home`
    """
    # What a build leaves behind must not lie in the source.
    copy = home.with_name(f"{home.name}-source")
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index",
         "--disable-pip-version-check", "--target", str(home), str(copy)],
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )  # fmt: skip
    return home


def write(
    home: Path,
    name: str,
    entry_points: Mapping[str, Mapping[str, str]],
    modules: Mapping[str, str],
    *,
    version: str = "1.0",
) -> Path:
    """Write an installed distribution as it lies on the path, which may be one that no tool would build.

    :param home: the directory that is put on the path; several distributions may be in one
    :param entry_points: namespace to name to target
    :param modules: module name to source
    :return: `home`
    """
    metadata = home / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    sections = [
        "\n".join([f"[{namespace}]", *(f"{point} = {target}" for point, target in points.items()), ""])
        for namespace, points in entry_points.items()
    ]
    files = {
        metadata / "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        metadata / "entry_points.txt": "\n".join(sections),
        **{home / f"{module}.py": textwrap.dedent(source) for module, source in modules.items()},
    }
    for path, text in files.items():
        path.write_text(text)
    record = [*files, metadata / "RECORD"]
    metadata.joinpath("RECORD").write_text("".join(f"{path.relative_to(home)},,\n" for path in record))
    return home


def environment(*homes: Path, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment in which the distributions of these directories are installed."""
    env = dict(os.environ if base is None else base)
    paths = [*map(str, homes), *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    env["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    return env


def run_own_tests(source: Path, home: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the tests of a distribution as its author does, with the distribution installed in `home`.

    :param cwd: an empty directory, into which its tests are copied
    """
    tests = cwd / "tests"
    shutil.copytree(source / "tests", tests, ignore=shutil.ignore_patterns("__pycache__"))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)],
        cwd=cwd,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
