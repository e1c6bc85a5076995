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

#: The tests that say whether a part can be had at all, without which the others say little.
FIRST = ("test_it_is_registered_and_keeps_its_contract", "test_parts_are_of_the_contracts")

# What the kit asserts is shown as what a test asserts.
pytest.register_assert_rewrite(*sorted({f"{__package__}.{module}" for module in PLACES.values()}))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        PATCH,
        "have gevent patch the standard library before anything is imported, as in solar-worker",
        type="bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let the kit mark tests for pytest-timeout, whether that is installed or not."""
    config.addinivalue_line("markers", "timeout(seconds): after which pytest-timeout ends the test")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of each conformance class, the test that says whether the part can be had at all comes first."""
    last_parent, rank = None, -1
    ranks: dict[pytest.Item, tuple[int, bool]] = {}
    for item in items:
        if item.parent is not last_parent:
            last_parent, rank = item.parent, rank + 1
        is_first = item.name in FIRST and getattr(getattr(item, "cls", None), "is_conformance", False)
        ranks[item] = (rank, not is_first)
    items.sort(key=ranks.__getitem__)


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
