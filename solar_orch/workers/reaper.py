"""Finding attempts that nobody keeps alive."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from solar_orch.config import GROUP
from solar_orch.errors import DatabaseUnavailable
from solar_orch.store.attempts import Beat
from solar_orch.store.instance import is_known_dead
from solar_orch.workers.base import Worker
from solar_orch.workers.beats import BeatWatch
from solar_orch.workers.calls import Stopping, task_id
from solar_orch.workers.outbox import Outbox

if TYPE_CHECKING:
    from solar_orch.executors.base import Client

LOG = logging.getLogger(__name__)


class Reaper:
    """Watches the running attempts of all plans that this process leads.

    A worker is gone when its beat has stood still for a lease, by this
    process's monotonic clock, or when its process certainly is: the kernel
    knows those of this host.

    :param worker: the scheduler
    :param scheduler: client of the scheduler, which is told of what was lost
    """

    def __init__(self, worker: Worker, scheduler: Client) -> None:
        self._attempts = worker.store.attempts
        self._lease: float = worker.conf[GROUP].lease
        self._lost_limit: int = worker.conf[GROUP].lost_limit
        self._interval = self._lease / 5
        self._watch: BeatWatch[tuple[int, int, int]] = BeatWatch(self._lease, 2 * self._interval)
        self.outbox = Outbox(scheduler, "scheduler")

    def watch_always(self, stopping: Stopping) -> None:
        """Background function: declare attempts lost whose worker is gone."""
        while not stopping.wait(self._interval):
            try:
                self._look(time.monotonic())
            except DatabaseUnavailable as error:
                LOG.warning("lost attempts cannot be looked for: %s", error)

    def _look(self, now: float) -> None:
        running: dict[tuple[int, int, int], Beat] = {
            (beat.plan_id, beat.position, beat.attempt): beat for beat in self._attempts.running()
        }
        silent = set(self._watch.expired({key: (b.worker, b.beat) for key, b in running.items()}, now))
        dead = {worker for worker in {beat.worker for beat in running.values()} if is_known_dead(worker)}
        for key, beat in running.items():
            if key in silent or beat.worker in dead:
                self._lose(beat)

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
