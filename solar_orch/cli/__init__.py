"""The commands.

``from solar_orch.cli import orch`` gives the click group of ``solar-orch``,
to be mounted in another program's command line.  Importing this package
imports nothing of it.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from solar_orch.cli.orch import orch as orch


class _Package(ModuleType):
    """Gives `orch` when it is asked for.

    A module's ``__getattr__`` would do so only once: importing the submodule
    ``orch`` puts that in its place.  A property stays.
    """

    @property
    def orch(self) -> object:
        from solar_orch.cli.orch import orch

        return orch

    @orch.setter
    def orch(self, _: object) -> None:
        """What the import system does with the submodule of that name."""


sys.modules[__name__].__class__ = _Package
