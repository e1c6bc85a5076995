"""The verbs of ``solar-orch`` for programs; the commands themselves use them."""

from __future__ import annotations

from types import TracebackType

from solar_orch.api.checking import Checking
from solar_orch.api.making import Making
from solar_orch.api.picturing import Picturing
from solar_orch.api.steering import Steering
from solar_orch.api.viewing import Viewing


class Orchestrator(Making, Checking, Steering, Viewing, Picturing):
    """All that can be done with plans, but for running tasks in this very process.

    Needs no gevent and no patching.  Of the methods that take a plan's uid
    each takes ``last`` as well, which stands for the plan that was made last.
    Usable as a context manager, which closes it::

        with Orchestrator(config.load()) as orchestrator:
            uid = orchestrator.create(parse(text), wanted=True)
            orchestrator.wait(uid, 60)
    """

    def __enter__(self) -> Orchestrator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
