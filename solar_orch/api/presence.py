"""Whether workers are up, and hints to those that are."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from solar_orch import faults
from solar_orch.config import GROUP
from solar_orch.errors import AddressError, DatabaseUnavailable, NoPeer, describe
from solar_orch.executors.address import is_locked, parse
from solar_orch.extensions import address_of
from solar_orch.store.instance import is_of_this_machine

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.executors.base import Client
    from solar_orch.store import Store
    from solar_orch.store.workers import WorkerRow

LOG = logging.getLogger(__name__)

#: The workers without which no plan goes on.
NEEDED = ("scheduler", "tasks")

#: Seconds that a hint may take, and then the closing of what it was sent with.
_HINT_TIMEOUT = 1.0


def missing_workers(conf: cfg.ConfigOpts, store: Store) -> list[str]:
    """The names of the needed workers of which none is up.

    A worker is up when it holds its address lock on this host, or when its
    beat is younger than a lease by the database's clock and its process is not
    known to be gone.  Blocks on the database.
    """
    rows = store.workers.all()
    return [name for name in NEEDED if not _is_up(conf, name, [row for row in rows if row.name == name])]


def _is_up(conf: cfg.ConfigOpts, name: str, rows: list[WorkerRow]) -> bool:
    if any(row.is_up(conf[GROUP].lease) for row in rows):
        return True
    host = socket.gethostname()
    addresses = [address_of(conf, name), *(row.address for row in rows if row.host == host)]
    return any(is_served(conf, address) for address in addresses)


def can_be_reached(conf: cfg.ConfigOpts, address: str, rows: Sequence[WorkerRow]) -> bool:
    """Whether a worker takes calls at an address that this host can send to, as far as can be seen.

    Executors of other packages need not lock their addresses: of those the beat tells.

    :param rows: of that worker in the database
    """
    return is_served(conf, address) or any(
        row.address == address
        and row.is_up(conf[GROUP].lease)
        # The path of a socket means something else on another host.
        and (is_of_this_machine(row.instance) or not _is_of_one_host(address))
        for row in rows
    )


def _is_of_one_host(address: str) -> bool:
    try:
        parse(address)
    except AddressError:
        return False
    return True


def is_served(conf: cfg.ConfigOpts, address: str) -> bool:
    """Whether a worker on this host holds the lock of the address."""
    try:
        return is_locked(address, conf[GROUP].runtime_dir)
    except AddressError:
        # Of another kind than those that are locked: only the beat tells.
        return False


def hint(conf: cfg.ConfigOpts, store: Store, worker: str, send: Callable[[Client], object]) -> None:
    """Tell the worker at its configured address of what stands in the database; else it would see so later.

    Blocks for two seconds at most.  A failure changes nothing and is only
    logged: what counts stands in the database.

    :param send: makes the calls, with the worker's client
    """
    from solar_orch.extensions import make_client

    try:
        if not can_be_reached(conf, address_of(conf, worker), store.workers.all(worker)):
            return
        client = make_client(conf, worker)
        client.send_timeout = _HINT_TIMEOUT
        try:
            faults.hit("send.hint.before")
            send(client)
            faults.hit("send.hint.after")
        finally:
            client.close(_HINT_TIMEOUT)
    except (NoPeer, DatabaseUnavailable) as error:
        LOG.debug("the %s worker was not told: %s", worker, error)
    except Exception as error:
        LOG.warning("the %s worker was not told, and sees it later: %s", worker, describe(error))
