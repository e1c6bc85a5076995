"""A construct hook of the system log: plans of which nothing has happened for long are deleted."""

import logging

from oslo_config import cfg

from solar_orch import Orchestrator
from solar_orch.errors import SolarError

LOG = logging.getLogger(__name__)

solar_orch_api = "1"

#: Seconds between two looks.
INTERVAL = 3600.0


def list_opts():
    """The options of this part."""
    return [
        (
            "retention",
            [
                cfg.IntOpt(
                    "days", min=1, help="Days for which plans that do not run are kept; not set: for ever."
                )
            ],
        )
    ]


def hook(worker, clients):
    """Have the worker prune the database beside its calls."""
    days = worker.conf.retention.days
    if days is None:
        return

    def prune_always(stopping):
        while not stopping.is_set():
            prune(worker.conf, days)
            stopping.wait(INTERVAL)

    worker.background(prune_always)


def prune(conf, days):
    """Delete what does not run and of which nothing has happened for so many days.  Blocks."""
    try:
        with Orchestrator(conf) as orchestrator:
            for uid in orchestrator.prune(days * 86_400.0):
                LOG.info("%s: deleted, since nothing has happened of it for %d days", uid, days)
    except SolarError as error:
        # A background function that raises ends its worker: what may come right is only logged.
        LOG.warning("old plans are not deleted: %s", error)
