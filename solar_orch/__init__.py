"""Durable orchestration of deployment plans.

Importing the package imports nothing else and patches nothing; what a
program needs is imported from the module that holds it, for example
``from solar_orch.host import Host``.  ``solar_orch.Orchestrator`` is what
programs steer plans with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from solar_orch.api.orchestrator import Orchestrator as Orchestrator

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "Orchestrator":
        from solar_orch.api.orchestrator import Orchestrator

        return Orchestrator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
