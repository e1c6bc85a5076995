"""The plug-in for pytest: the fixture ``solar``.

It is loaded into every run of pytest where solar-orch is installed, so that it imports nothing
but pytest, and changes nothing for tests that do not ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from solar_orch.testing import PLACES

if TYPE_CHECKING:
    from solar_orch.testing.hosting import Solar

#: The option of pytest's configuration that has gevent patch the standard library.
PATCH = "solar_orch_patch"

# What the kit asserts is shown as what a test asserts.
pytest.register_assert_rewrite(*sorted({f"{__package__}.{module}" for module in PLACES.values()}))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        PATCH,
        "have gevent patch the standard library before anything is imported, as in solar-worker",
        type="bool",
        default=False,
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Patch where that is asked for: before conftest files import what must be patched first."""
    if early_config.getini(PATCH):
        from gevent import monkey

        monkey.patch_all()


@pytest.fixture
def solar(monkeypatch: pytest.MonkeyPatch) -> Iterator[Solar]:
    """A host in this process: all workers that are installed, the executor ``inline``, a fresh database.

    See :class:`solar_orch.testing.hosting.Solar`.
    """
    from solar_orch.testing.hosting import forget_environment, opened

    forget_environment(monkeypatch)
    with opened() as fresh:
        yield fresh
