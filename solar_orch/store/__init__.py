"""The database, and all that is read from and written to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from solar_orch.config import GROUP
from solar_orch.store.attempts import Attempts
from solar_orch.store.claims import Claims
from solar_orch.store.database import Database
from solar_orch.store.events import Events
from solar_orch.store.leases import Leases
from solar_orch.store.log import Log
from solar_orch.store.plans import Plans
from solar_orch.store.workers import Workers

if TYPE_CHECKING:
    from oslo_config import cfg


class Store:
    """All that solar_orch keeps.  Making one opens nothing; the first use opens the database.

    :param conf: its ``[orchestration] database`` says where
    :param grouped: whether what is written at the same time is committed together; see ``Database``
    """

    def __init__(self, conf: cfg.ConfigOpts, *, grouped: bool = False) -> None:
        self.database = Database(conf[GROUP].database, grouped=grouped)
        self.plans = Plans(self.database)
        self.attempts = Attempts(self.database)
        self.claims = Claims(self.database)
        self.leases = Leases(self.database)
        self.events = Events(self.database)
        self.workers = Workers(self.database)
        self.log = Log(self.database)

    def close(self) -> None:
        """Close all connections; a later use opens new ones."""
        self.database.close()


__all__ = ["Store"]
