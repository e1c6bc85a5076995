"""Leases: which scheduler leads a plan."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from solar_orch.states import State
from solar_orch.store.database import Database, db_now
from solar_orch.store.instance import instance
from solar_orch.store.schema import plans, tasks


@dataclass(frozen=True, slots=True)
class Lease:
    """What is known of the leadership of one plan."""

    plan_id: int
    uid: str
    owner: str | None
    epoch: int
    beat: int


@dataclass(frozen=True, slots=True)
class Held:
    """Who leads a plan, and since when (Unix seconds by the database's clock)."""

    uid: str
    owner: str
    since: float


@dataclass(frozen=True, slots=True)
class Led:
    """A plan that this process leads: under which epoch, and how often it was steered."""

    uid: str
    epoch: int
    revision: int
    wanted: bool


class Leases:
    """All methods block on the database and raise what ``Database`` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self) -> list[Lease]:
        """The plans that need a leader and are not led by this process: wanted ones, and
        those with attempts in progress."""
        in_progress = sa.select(tasks.c.plan_id).where(tasks.c.status == State.INPROGRESS)
        query = sa.select(
            plans.c.id, plans.c.uid, plans.c.lease_owner, plans.c.lease_epoch, plans.c.lease_beat
        ).where(
            sa.or_(plans.c.wanted.is_(True), plans.c.id.in_(in_progress)),
            plans.c.lease_owner.is_distinct_from(instance()),
        )
        with self._database.read() as connection:
            return [Lease(*row) for row in connection.execute(query)]

    def mine(self) -> dict[int, Led]:
        """The plans that this process leads, by id."""
        query = sa.select(
            plans.c.id, plans.c.uid, plans.c.lease_epoch, plans.c.revision, plans.c.wanted
        ).where(plans.c.lease_owner == instance())
        with self._database.read() as connection:
            return {
                row.id: Led(row.uid, row.lease_epoch, row.revision, row.wanted)
                for row in connection.execute(query)
            }

    def held(self) -> list[Held]:
        """All plans that are led, the latest first."""
        query = (
            sa.select(plans.c.uid, plans.c.lease_owner, plans.c.lease_since)
            .where(plans.c.lease_owner.is_not(None))
            .order_by(plans.c.id.desc())
        )
        with self._database.read() as connection:
            return [Held(*row) for row in connection.execute(query)]

    def acquire(self, lease: Lease) -> int | None:
        """Take the lead of a plan as it was seen; the new epoch, or None when somebody was quicker."""
        statement = (
            sa.update(plans)
            .where(
                plans.c.id == lease.plan_id,
                plans.c.lease_epoch == lease.epoch,
                plans.c.lease_beat == lease.beat,
                plans.c.lease_owner.is_not_distinct_from(lease.owner),
            )
            .values(lease_owner=instance(), lease_epoch=lease.epoch + 1, lease_beat=0, lease_since=db_now())
            .returning(plans.c.lease_epoch)
        )
        return self._database.write(
            lambda connection: connection.execute(statement).scalar_one_or_none(), "acquire"
        )

    def renew(self, *, patience: float) -> dict[int, int]:
        """Let the beat of all leases of this process go on; plan id to epoch of those it still has."""
        statement = (
            sa.update(plans)
            .where(plans.c.lease_owner == instance())
            .values(lease_beat=plans.c.lease_beat + 1)
            .returning(plans.c.id, plans.c.lease_epoch)
        )
        rows = self._database.write(
            lambda connection: connection.execute(statement).all(), "renew", patience=patience
        )
        return {row.id: row.lease_epoch for row in rows}

    def release(self, plan_id: int, epoch: int) -> None:
        """Give up the lead at once, so that the next scheduler need not wait for the lease to end."""
        statement = (
            sa.update(plans)
            .where(plans.c.id == plan_id, plans.c.lease_owner == instance(), plans.c.lease_epoch == epoch)
            .values(lease_owner=None, lease_since=None)
        )
        self._database.write(lambda connection: connection.execute(statement), "release")
