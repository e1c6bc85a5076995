"""Whether workers are up, and a hint to the scheduler that is."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

from solar_orch import faults
from solar_orch.config import GROUP
from solar_orch.errors import AddressError
from solar_orch.executors.address import is_locked
from solar_orch.extensions import address_of

if TYPE_CHECKING:
    from solar_orch.cli.arguments import App
    from solar_orch.store.workers import WorkerRow

LOG = logging.getLogger(__name__)

#: The workers without which no plan goes on.
NEEDED = ("scheduler", "tasks")

#: Seconds that a hint may take, and then the closing of what it was sent with.
_HINT_TIMEOUT = 1.0


def missing_workers(app: App) -> list[str]:
    """The names of the needed workers of which none is up.

    A worker is up when it holds its address lock on this host, or when its
    beat is younger than a lease by the database's clock.  Blocks on the database.
    """
    rows = app.store.workers.all()
    return [name for name in NEEDED if not _is_up(app, name, [row for row in rows if row.name == name])]


def _is_up(app: App, name: str, rows: list[WorkerRow]) -> bool:
    if any(row.age < app.conf[GROUP].lease for row in rows):
        return True
    host = socket.gethostname()
    addresses = [address_of(app.conf, name), *(row.address for row in rows if row.host == host)]
    return any(_is_served(app, address) for address in addresses)


def _is_served(app: App, address: str) -> bool:
    try:
        return is_locked(address, app.conf[GROUP].runtime_dir)
    except AddressError:
        # Of another kind than those that are locked: only the beat tells.
        return False


def hint(app: App, plan_uid: str) -> None:
    """Tell the scheduler at the configured address that the plan is wanted; else it would see so later.

    Blocks for two seconds at most.  A failure changes nothing and is only
    logged: what counts stands in the database.
    """
    if not _is_served(app, address_of(app.conf, "scheduler")):
        return
    from solar_orch.extensions import make_client

    try:
        client = make_client(app.conf, "scheduler")
        client.send_timeout = _HINT_TIMEOUT
        try:
            faults.hit("send.hint.before")
            client.next({"plan_uid": plan_uid}, plan_uid)
            faults.hit("send.hint.after")
        finally:
            client.close(_HINT_TIMEOUT)
    except Exception as error:
        LOG.debug("the scheduler was not told of %s: %s", plan_uid, error)
