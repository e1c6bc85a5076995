"""Virtual environments of the peers, kept from one run to the next, apart from that of the project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.subjects.base import Unavailable

_ROOT = Path(__file__).parents[2]

#: Seconds for one installation.
_LIMIT = 300


def _home() -> Path:
    """Where they are kept."""
    return Path(os.environ.get("SOLAR_BENCH_PEERS") or _ROOT / ".tox" / "bench-peers")


@dataclass(frozen=True)
class Environment:
    """One of them."""

    name: str
    requirements: Sequence[str]

    @property
    def directory(self) -> Path:
        return _home() / self.name

    @property
    def python(self) -> Path:
        return self.directory / "bin" / "python"

    def make(self) -> None:
        """Make it, unless it is there.

        :raises Unavailable: if that fails
        """
        made = self.directory / "requirements.json"
        if made.exists() and json.loads(made.read_text()) == list(self.requirements):
            return
        shutil.rmtree(self.directory, ignore_errors=True)
        self._run(sys.executable, "-m", "venv", str(self.directory))
        self._run(str(self.python), "-m", "pip", "install", "-q", *self.requirements)
        made.write_text(json.dumps(list(self.requirements)))

    def versions(self) -> str:
        """The versions of what was asked for."""
        names = [requirement.partition("==")[0] for requirement in self.requirements]
        code = "import sys, importlib.metadata as m; print(', '.join(f'{n} {m.version(n)}' for n in sys.argv[1:]))"
        return self._run(str(self.python), "-c", code, *names).strip()

    def _run(self, *command: str) -> str:
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        try:
            done = subprocess.run(
                command, env=env, capture_output=True, text=True, timeout=_LIMIT, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"{self.name}: {error}") from error
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:]
            raise Unavailable(f"{self.name} cannot be installed: {''.join(last) or done.returncode}")
        return done.stdout
