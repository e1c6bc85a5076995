"""Which workers are running, as they say themselves by their beat."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Connection

from solar_orch.store.database import Database, db_now
from solar_orch.store.instance import instance, is_known_dead
from solar_orch.store.schema import workers

#: Seconds without a beat after which a worker that did not say that it stops is forgotten.
_FORGOTTEN = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker that has registered; `age` is seconds since its last beat by the database's clock."""

    instance: str
    name: str
    host: str
    pid: int
    address: str
    started_at: float
    age: float

    def is_up(self, lease: float) -> bool:
        """Whether its beat is younger than a lease, in seconds, and its process not known to be gone."""
        return self.age < lease and not is_known_dead(self.instance)


class Workers:
    """All methods block on the database and raise what ``Database`` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, name: str, address: str, *, patience: float = 1.0) -> None:
        """Say that this process runs the worker `name` at `address`; the first time registers it."""
        row = {
            "instance": instance(),
            "name": name,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "address": address,
        }
        statement = (
            insert(workers)
            .values(**row, started_at=db_now(), beat_at=db_now(), beat=1)
            .on_conflict_do_update(
                index_elements=["instance", "name"],
                set_={"beat": workers.c.beat + 1, "beat_at": db_now(), "address": address},
            )
        )
        forgotten = sa.delete(workers).where(workers.c.beat_at < db_now() - _FORGOTTEN)

        def work(connection: Connection) -> None:
            connection.execute(statement)
            connection.execute(forgotten)

        self._database.write(work, "presence", patience=patience)

    def leave(self, name: str) -> None:
        """Say that this process has stopped running the worker."""
        statement = sa.delete(workers).where(workers.c.instance == instance(), workers.c.name == name)
        self._database.write(lambda connection: connection.execute(statement), "leave", patience=1.0)

    def all(self, name: str | None = None) -> list[WorkerRow]:
        """Those registered, the freshest first."""
        query = sa.select(
            workers.c.instance,
            workers.c.name,
            workers.c.host,
            workers.c.pid,
            workers.c.address,
            workers.c.started_at,
            (db_now() - workers.c.beat_at).label("age"),
        ).order_by(sa.desc(workers.c.beat_at))
        if name is not None:
            query = query.where(workers.c.name == name)
        with self._database.read() as connection:
            return [WorkerRow(*row) for row in connection.execute(query)]
