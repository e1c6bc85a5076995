"""Plans looked over before they are made."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from solar_orch.api.base import Verbs
from solar_orch.config import GROUP

if TYPE_CHECKING:
    from solar_orch.plan.findings import Finding
    from solar_orch.plan.model import Plan
    from solar_orch.plan.waves import Rehearsal

_NONE: Mapping[str, str] = MappingProxyType({})


class Checking(Verbs):
    """No method opens the database, or blocks."""

    @staticmethod
    def validate(text: str | bytes, variables: Mapping[str, str] = _NONE) -> list[Finding]:
        """All mistakes of a plan file, in its order; if there are none, what is odd about it.

        :param text: YAML or JSON; bytes are UTF-8
        :param variables: what ``${NAME}`` stands for; goes before the plan's own ``vars``
        """
        from solar_orch.plan.parse import examine

        return examine(text, variables)

    @staticmethod
    def schema() -> str:
        """The JSON Schema of the plan file, as text."""
        from solar_orch.plan import schema

        return schema.text()

    def rehearse(self, plan: Plan) -> Rehearsal:
        """In which order the plan would run, by the limits of the configuration, if all went well.

        :param plan: see :func:`solar_orch.plan.parse.parse`
        :raises PluginError: if a limit that the configuration names cannot be had
        """
        from solar_orch.extensions import chosen_limits
        from solar_orch.plan import waves
        from solar_orch.workers.limits import made_for

        options, limits = self.conf[GROUP], chosen_limits(self.conf)
        return waves.rehearse(
            plan,
            max_inprogress=options.max_inprogress,
            target_limit=options.target_limit,
            rules_of=lambda tasks: made_for(plan.uid or plan.name, tasks, limits),
        )
