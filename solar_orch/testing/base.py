"""What all conformance tests have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from solar_orch import plugins
from solar_orch.testing.hosting import Solar

if TYPE_CHECKING:
    from solar_orch.plugins import Plugin


class Conformance:
    """Tests of a part that is installed; an author derives from a subclass, and pytest collects that.

    What is known only while tests run (the port of a server, for one) is set
    on ``self`` by a fixture of the subclass with ``autouse=True``.
    """

    #: The name of the part's entry point.
    name: str = ""
    #: Options of ``[orchestration]`` by their names, and by the name of another group a mapping of its own.
    options: Mapping[str, Any] = {}
    #: Seconds after which what a test waits for will not come any more.
    patience: float = 15.0

    #: By this the plug-in for pytest knows such classes.
    is_conformance: ClassVar[bool] = True

    _namespace: ClassVar[str] = ""

    @pytest.fixture
    def solar(self, solar: Solar) -> Solar:
        """The fixture ``solar``, with the options of this class."""
        solar.patience = self.patience
        apply(self.options, solar)
        self._prepare(solar)
        return solar

    def _prepare(self, solar: Solar) -> None:
        """What else is done to the fixture before each test."""

    def namespace(self) -> str:
        """The namespace under which the part is registered."""
        return self._namespace

    def load(self, solar: Solar) -> Plugin:
        """Load the part as a host does.

        :raises PluginError: if it cannot be had
        """
        __tracebackhide__ = True
        assert self.name, (
            f"{type(self).__name__} must say which part is tested: name = ... of its entry point"
        )
        return plugins.load_one(self.namespace(), self.name, conf=solar.conf)


def apply(options: Mapping[str, Any], solar: Solar) -> None:
    """Set options of ``[orchestration]``, and those of other groups that stand in mappings."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            solar.options(name, **value)
        else:
            solar.options(**{name: value})
