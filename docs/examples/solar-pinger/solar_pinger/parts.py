"""What ties the worker together: extension, client and constructor, all by the name ``pinger``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from solar_orch.constructors import construct_worker
from solar_orch.extensions import make_client, make_worker

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.executors.base import Client, Executor
    from solar_orch.host import Host
    from solar_orch.workers.base import Worker

solar_orch_api = "1"


def pinger_worker(conf: cfg.ConfigOpts, clients: Mapping[str, Client]) -> Worker:
    """The worker, by the driver that ``pinger_driver`` chooses."""
    return make_worker(conf, clients, "pinger")


def pinger_client(conf: cfg.ConfigOpts) -> Client:
    """A client of it."""
    return make_client(conf, "pinger")


def construct_pinger(host: Host) -> Executor:
    """Its construct hooks and its executor."""
    return construct_worker(host, "pinger")
