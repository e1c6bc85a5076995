"""A tasks driver: the task types that ship, and one more."""

import gevent

from solar_orch.errors import TaskError
from solar_orch.workers import tasks


class Tasks(tasks.Tasks):
    """Adds the task type ``countdown``."""

    def countdown(self, ctxt, /, start, *, pause=1.0):
        """Count down to 0 with `pause` seconds between the numbers."""
        if start < 0:
            raise TaskError(f"cannot count down from {start}")
        for number in range(start, -1, -1):
            self.output(ctxt).write(f"{number}\n".encode())
            gevent.sleep(pause)
        return "lift-off"
