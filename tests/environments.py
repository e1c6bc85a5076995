"""Virtual environments of authors: what they install goes there, and nothing is fetched from anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path


def make(directory: Path) -> Path:
    """A virtual environment in which solar-orch and what tests need are installed as they are here.

    :return: its directory of programs
    """
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(directory)],
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    programs = directory / "bin"
    own = {"base": str(directory), "platbase": str(directory)}
    packages = Path(sysconfig.get_path("purelib", vars=own))
    # addsitedir, so that what is installed editably here is there as well.
    here = sysconfig.get_path("purelib")
    packages.joinpath("as-in-the-tests.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    for name, program in (
        ("solar-orch", "from solar_orch.cli.entry import orch; sys.exit(orch())"),
        ("solar-worker", "from solar_orch.cli.entry import worker; sys.exit(worker())"),
        ("pytest", "from pytest import main; sys.exit(main())"),
        ("pip", "from pip._internal.cli.main import main; sys.exit(main())"),
    ):
        script = programs / name
        script.write_text(f"#!{programs}/python\nimport sys\nsys.argv[0] = {str(script)!r}\n{program}\n")
        script.chmod(0o755)
    return programs


def activated(programs: Path, base: Mapping[str, str]) -> dict[str, str]:
    """The variables of a shell in which a virtual environment is activated."""
    return {
        **base,
        "PATH": f"{programs}{os.pathsep}{base.get('PATH', os.defpath)}",
        "VIRTUAL_ENV": str(programs.parent),
        # What it needs is there already.
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
