"""The tasks driver: actions of these resources in the place of Solar core's."""

from __future__ import annotations

import json
from typing import Any

from oslo_config import cfg

from mini_core.errors import ResourceError
from mini_core.resources import Resources
from solar_orch.errors import Unrunnable
from solar_orch.workers import tasks
from solar_orch.workers.calls import Ctxt

#: The version of the contracts of solar_orch that this was written for.
solar_orch_api = "1"


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options of group ``[mini]``."""
    directory = cfg.StrOpt(
        "directory",
        default="${orchestration.state_dir}/mini",
        help="Directory of the resources, in resources/, and of what has been made of them, in state/.",
    )
    return [("mini", [directory])]


class Tasks(tasks.Tasks):
    """The task types that ship, with ``solar_resource`` for the resources of option ``directory``."""

    def solar_resource(self, ctxt: Ctxt, /, name: str, action: str) -> Any:
        """Run the command of an action in the directory, with the inputs in its environment.

        An input ``port`` is there as ``INPUT_PORT``, one without a value is empty.  When the command has
        succeeded, the inputs are written down as those that the resource has.

        :return: as of ``cmd``
        :raises Unrunnable: if there is no such action, or the resource is not as it has to be
        :raises CommandFailed: if the command fails
        """
        resources = Resources(self.conf.mini.directory)
        try:
            command = resources.get(name).actions.get(action)
            values = resources.values(name)
        except ResourceError as error:
            raise Unrunnable(str(error)) from error
        if command is None:
            raise Unrunnable(f"resource {name}: it has no action {action}")
        env = {f"INPUT_{key.upper()}": _text(value) for key, value in values.items()}
        result = self.cmd(ctxt, command, env=env, cwd=str(resources.directory))
        resources.note(name, action, values)
        return result


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
