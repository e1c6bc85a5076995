"""What is wrong with resources."""

from __future__ import annotations

from solar_orch.errors import SolarError


class ResourceError(SolarError):
    """A resource that is not there, or is not written as it has to be.

    :param name: of the resource
    """

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        self.problem = problem
        super().__init__(f"resource {name}: {problem}")


class NothingStaged(SolarError):  # noqa: N818 - it is no mistake
    """There is nothing that a plan could be made of."""
