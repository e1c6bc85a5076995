"""Stage a change, and see it in the history once the task ``web1.restart`` has made it."""

from solar_orch import config
from solar_orch.store import Store


def stage(**options):
    """Stage a restart of web1; the id of the item."""
    store = Store(config.load(prog="staging", overrides=options))
    try:
        return store.log.stage("web1", "restart", diff={"uptime": 0}, tags=["weekly"])
    finally:
        store.close()


def history(**options):
    """What was staged and has been made since, as pairs of resource and action."""
    store = Store(config.load(prog="staging", overrides=options))
    try:
        return [(item["resource"], item["action"]) for item in store.log.history()]
    finally:
        store.close()
