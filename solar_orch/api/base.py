"""What all verbs of the API work with."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.store import Store


class Verbs:
    """A configuration and its database, which is opened by the first use.

    :param conf: see :func:`solar_orch.config.load`
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self.conf = conf

    @cached_property
    def store(self) -> Store:
        """The database."""
        from solar_orch.store import Store

        return Store(self.conf)

    def close(self) -> None:
        """Close what was opened; a later use opens it anew."""
        if "store" in self.__dict__:
            self.store.close()

    def missing_workers(self) -> list[str]:
        """The names of the workers without which no plan goes on, and of which none is up."""
        # Imports gevent, which those that only look can do without.
        from solar_orch.api.presence import missing_workers

        return missing_workers(self.conf, self.store)

    def _hint(self, plan_uid: str) -> None:
        """Tell the scheduler, if one is up, to look at the plan at once; blocks for two seconds at most."""
        from solar_orch.api.presence import hint

        hint(self.conf, self.store, "scheduler", lambda client: client.next({"plan_uid": plan_uid}, plan_uid))
