"""A construct hook of the scheduler: it logs each plan that somebody asks to look at."""

import logging

LOG = logging.getLogger(__name__)

solar_orch_api = "1"


def hook(worker, clients):
    """Subscribe to the calls of ``next``."""

    def announce(ctxt, result, plan_uid):
        LOG.info("%s: somebody wants it looked at", plan_uid)

    worker.next.on_success(announce)
