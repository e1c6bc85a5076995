"""A tasks driver: the task types that ship, and one that waits for somebody's approval."""

from __future__ import annotations

from pathlib import Path
from shlex import quote as quoted
from urllib.parse import quote

import gevent

from solar_orch.errors import TaskError
from solar_orch.workers import tasks
from solar_orch.workers.calls import Ctxt

#: The version of the contracts of solar_orch that this was written for.
solar_orch_api = "1"

#: Seconds between looks for the file.
_PAUSE = 0.2


class Tasks(tasks.Tasks):
    """Adds the task type ``approval``."""

    def approval(self, ctxt: Ctxt, /, question: str) -> str:
        """Wait until a file is made, whose path is written to the output.

        The file is removed when it has been read: who runs the task again is asked again.  How long is
        waited says the task's ``timelimit``.

        :param question: what is to be approved, for the output
        :return: the first line of the file, such as who has approved
        :raises TaskError: if that line begins with ``no``
        """
        path = self._file_of(ctxt)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.output(ctxt).write(f"{question}\nto approve: echo yes > {quoted(str(path))}\n".encode())
        # One that is made and still empty has not been written yet.
        while not path.is_file() or not (answer := path.read_text(errors="replace").strip()):
            gevent.sleep(_PAUSE)
        path.unlink(missing_ok=True)
        first = answer.splitlines()[0]
        if first.lower().startswith("no"):
            raise TaskError(f"not approved: {first}")
        return first

    def _file_of(self, ctxt: Ctxt) -> Path:
        return Path(self.conf.orchestration.state_dir, "approvals", quote(ctxt["task_id"], safe="~:"))
