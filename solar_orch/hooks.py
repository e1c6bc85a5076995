"""The construct hooks that ship: here the workers are subscribed to each other."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from solar_orch.config import GROUP
from solar_orch.errors import DatabaseUnavailable, describe
from solar_orch.states import State
from solar_orch.workers.base import Worker
from solar_orch.workers.calls import Ctxt, Stopping
from solar_orch.workers.ledger import AttemptLedger
from solar_orch.workers.outbox import Outbox
from solar_orch.workers.reaper import Reaper

if TYPE_CHECKING:
    from solar_orch.executors.base import Client

LOG = logging.getLogger(__name__)

#: Seconds for which what the system log is told is gathered.
_LOG_LAZINESS = 0.01


def tasks_hook(worker: Worker, clients: Mapping[str, Client]) -> None:
    """Make every call of a task an attempt that is claimed, kept alive and settled; tell of its end."""
    ledger = AttemptLedger(worker)
    worker.ledger = ledger
    # A plan waits for the end of each attempt, whatever its driver makes of types that it does not have.
    worker.answers_unknown = True
    worker.background(ledger.keep_alive)
    scheduler = Outbox(clients["scheduler"], "scheduler")
    # A plan does not wait for its log, and need not be held up by it either.
    system_log = Outbox(clients["system_log"], "system_log", laziness=_LOG_LAZINESS)
    worker.background(scheduler.send_always)
    worker.background(system_log.send_always)

    def succeeded(ctxt: Ctxt, result: Any, /, *args: Any, **kwargs: Any) -> None:
        if _is_attempt(ctxt):
            # A plain text: what is not is copied on its way.
            scheduler.put("update_next", ctxt, State.SUCCESS.value, None)
            system_log.put("commit", ctxt)

    def failed(ctxt: Ctxt, error: Exception, /, *args: Any, **kwargs: Any) -> None:
        if _is_attempt(ctxt):
            scheduler.put("update_next", ctxt, State.ERROR.value, describe(error))
            system_log.put("error", ctxt)

    worker.for_all.on_success(succeeded)
    worker.for_all.on_error(failed)


def scheduler_hook(worker: Worker, clients: Mapping[str, Client]) -> None:
    """Have attempts that are lost found and run again."""
    reaper = Reaper(worker, clients["scheduler"])
    worker.background(reaper.watch_always)
    worker.background(reaper.outbox.send_always)


def system_log_hook(worker: Worker, clients: Mapping[str, Client]) -> None:
    """Enter what no message told of."""
    interval: float = worker.conf[GROUP].poll_interval

    def reconcile(stopping: Stopping) -> None:
        while not stopping.is_set():
            _catch_up(worker)
            stopping.wait(interval)
        _catch_up(worker)

    worker.background(reconcile)


def _catch_up(worker: Worker) -> None:
    try:
        worker.store.log.catch_up()
    except DatabaseUnavailable as error:
        LOG.warning("the system log is behind: %s", error)


def _is_attempt(ctxt: Ctxt) -> bool:
    return "plan_uid" in ctxt and "attempt" in ctxt
