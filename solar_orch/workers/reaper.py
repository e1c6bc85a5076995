"""Finding attempts that nobody keeps alive."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from solar_orch.config import GROUP
from solar_orch.errors import DatabaseUnavailable
from solar_orch.store.attempts import Beat
from solar_orch.workers.base import Worker
from solar_orch.workers.beats import BeatWatch
from solar_orch.workers.calls import Stopping, task_id
from solar_orch.workers.outbox import Outbox

if TYPE_CHECKING:
    from solar_orch.executors.base import Client

LOG = logging.getLogger(__name__)


class Reaper:
    """Watches the running attempts of all plans that this process leads.

    :param worker: the scheduler
    :param scheduler: client of the scheduler, which is told of what was lost
    """

    def __init__(self, worker: Worker, scheduler: Client) -> None:
        self._attempts = worker.store.attempts
        self._lease: float = worker.conf[GROUP].lease
        self._lost_limit: int = worker.conf[GROUP].lost_limit
        self._watch: BeatWatch[tuple[int, int, int]] = BeatWatch(self._lease)
        self.outbox = Outbox(scheduler)

    def watch_always(self, stopping: Stopping) -> None:
        """Background function: declare attempts lost whose beat has stood still for a lease."""
        while not stopping.wait(self._lease / 5):
            try:
                self._look(time.monotonic())
            except DatabaseUnavailable as error:
                LOG.warning("lost attempts cannot be looked for: %s", error)

    def _look(self, now: float) -> None:
        running: dict[tuple[int, int, int], Beat] = {
            (beat.plan_id, beat.position, beat.attempt): beat for beat in self._attempts.running()
        }
        for key in self._watch.expired({key: (b.worker, b.beat) for key, b in running.items()}, now):
            self._lose(running[key])

    def _lose(self, beat: Beat) -> None:
        new = self._attempts.lose(beat, self._lost_limit)
        if new is None:
            return
        task = task_id(beat.plan_uid, beat.name)
        LOG.warning("%s: attempt %s was lost with its worker %s: %s", task, beat.attempt, beat.worker, new)
        self.outbox.put(
            "update_next",
            {"task_id": task, "task_name": beat.name, "plan_uid": beat.plan_uid, "attempt": beat.attempt},
            new,
            None,
        )
