"""Each distribution of ``docs/examples`` is installed as it stands there, and passes its own tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from distributions import install, run_own_tests

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

DISTRIBUTIONS = sorted(path.parent.name for path in EXAMPLES.glob("*/setup.cfg"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_distribution_passes_its_own_tests(name: str, tmp_path: Path):
    source = EXAMPLES / name
    home = install(source, tmp_path / "home")
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    done = run_own_tests(source, home, cwd)
    assert done.returncode == 0, done.stdout + done.stderr
