"""The database, and all that is read from and written to it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from solar_orch.config import GROUP
from solar_orch.store.database import Database

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.store.attempts import Attempts
    from solar_orch.store.claims import Claims
    from solar_orch.store.deletion import Deletion
    from solar_orch.store.events import Events
    from solar_orch.store.leases import Leases
    from solar_orch.store.log import Log
    from solar_orch.store.looks import Looks
    from solar_orch.store.plans import Plans
    from solar_orch.store.results import Results
    from solar_orch.store.steering import Steering
    from solar_orch.store.timings import Timings
    from solar_orch.store.workers import Workers


class Store:
    """All that solar_orch keeps.  Making one opens nothing; the first use opens the database.

    A command that shows a plan needs one of its parts: each is imported when it is asked for.

    :param conf: its ``[orchestration] database`` says where
    :param grouped: whether what is written at the same time is committed together; see ``Database``
    """

    def __init__(self, conf: cfg.ConfigOpts, *, grouped: bool = False) -> None:
        self.database = Database(conf[GROUP].database, grouped=grouped)

    @cached_property
    def plans(self) -> Plans:
        """The plans."""
        from solar_orch.store.plans import Plans

        return Plans(self.database)

    @cached_property
    def attempts(self) -> Attempts:
        """Attempts, as schedulers see them."""
        from solar_orch.store.attempts import Attempts

        return Attempts(self.database)

    @cached_property
    def claims(self) -> Claims:
        """Attempts, as tasks workers see them."""
        from solar_orch.store.claims import Claims

        return Claims(self.database)

    @cached_property
    def leases(self) -> Leases:
        """Who leads which plan."""
        from solar_orch.store.leases import Leases

        return Leases(self.database)

    @cached_property
    def events(self) -> Events:
        """Every transition."""
        from solar_orch.store.events import Events

        return Events(self.database)

    @cached_property
    def timings(self) -> Timings:
        """When attempts ran."""
        from solar_orch.store.timings import Timings

        return Timings(self.database)

    @cached_property
    def looks(self) -> Looks:
        """What is looked at while plans run."""
        from solar_orch.store.looks import Looks

        return Looks(self.database)

    @cached_property
    def workers(self) -> Workers:
        """The workers that are up."""
        from solar_orch.store.workers import Workers

        return Workers(self.database)

    @cached_property
    def results(self) -> Results:
        """What earlier tasks have come to."""
        from solar_orch.store.results import Results

        return Results(self.database)

    @cached_property
    def log(self) -> Log:
        """The system log."""
        from solar_orch.store.log import Log

        return Log(self.database)

    @cached_property
    def steering(self) -> Steering:
        """What commands do to plans."""
        from solar_orch.store.steering import Steering

        return Steering(self.database)

    @cached_property
    def deletion(self) -> Deletion:
        """Plans deleted."""
        from solar_orch.store.deletion import Deletion

        return Deletion(self.database, self.log)

    def close(self) -> None:
        """Close all connections; a later use opens new ones."""
        self.database.close()


__all__ = ["Store"]
