"""The floor with one message and one commit for all that is ready at once: how fast SQLite is.

One process and no library between: two halves that talk through a real ipc
socket of ZeroMQ in msgpack, and one SQLite file that is synced at each
commit.  Per round there are two group commits: that of the dispatch of all
tasks that are ready, before the message, and that of their results.
"""

from __future__ import annotations

import gc
import sqlite3
import time
from itertools import count
from pathlib import Path
from typing import Any

import msgpack
import zmq
from protocol import Request, answer, children, request

_SCHEMA = """
    CREATE TABLE tasks (
        id INTEGER PRIMARY KEY, plan INTEGER NOT NULL, name TEXT NOT NULL,
        state TEXT NOT NULL, attempt INTEGER NOT NULL
    );
    CREATE TABLE events (
        id INTEGER PRIMARY KEY, task INTEGER NOT NULL, attempt INTEGER NOT NULL,
        state TEXT NOT NULL, at REAL NOT NULL
    );
    CREATE TABLE log_outcomes (
        task INTEGER NOT NULL, attempt INTEGER NOT NULL, state TEXT NOT NULL, at REAL NOT NULL,
        PRIMARY KEY (task, attempt)
    ) WITHOUT ROWID;
"""

Attempt = tuple[int, int]


class Kept:
    """The database; each method is one durable transaction."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")

    def create(self, plans: list[list[list[int]]]) -> None:
        numbers = count()
        rows = [
            (next(numbers), plan, f"t{at:06}") for plan, tasks in enumerate(plans) for at in range(len(tasks))
        ]
        self._connection.executescript(_SCHEMA)
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT INTO tasks VALUES (?, ?, ?, 'PENDING', 0)", rows)
        self._connection.execute("COMMIT")

    def dispatch(self, attempts: list[Attempt]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(
            "UPDATE tasks SET state = 'INPROGRESS', attempt = ?2 WHERE id = ?1 AND state = 'PENDING'",
            attempts,
        )
        self._connection.execute("COMMIT")

    def settle(self, attempts: list[Attempt]) -> list[int]:
        """Record success, told as an event and an outcome in the log; the tasks for which that was so."""
        now = time.time()
        rows = [(task, attempt, now) for task, attempt in attempts]
        self._connection.execute("BEGIN IMMEDIATE")
        changed = self._connection.executemany(
            "UPDATE tasks SET state = 'SUCCESS' WHERE id = ? AND state = 'INPROGRESS' AND attempt = ?",
            attempts,
        )
        self._connection.executemany(
            "INSERT INTO events (task, attempt, state, at) VALUES (?, ?, 'SUCCESS', ?)", rows
        )
        self._connection.executemany("INSERT INTO log_outcomes VALUES (?, ?, 'SUCCESS', ?)", rows)
        self._connection.execute("COMMIT")
        if changed.rowcount != len(attempts):
            raise AssertionError(f"{changed.rowcount} of {len(attempts)} attempts were in progress")
        return [task for task, _ in attempts]

    def problem(self) -> str | None:
        """What is wrong with what was kept, if anything is."""
        for pragma, wanted in (("journal_mode", "wal"), ("synchronous", 2)):
            if (found := self._one(f"PRAGMA {pragma}")) != wanted:
                return f"{pragma} is {found}"
        tasks = self._one("SELECT count(*) FROM tasks")
        for what, query in (
            ("in SUCCESS", "SELECT count(*) FROM tasks WHERE state = 'SUCCESS' AND attempt = 1"),
            ("events", "SELECT count(DISTINCT task) FROM events"),
            ("outcomes", "SELECT count(*) FROM log_outcomes WHERE attempt = 1"),
        ):
            if (found := self._one(query)) != tasks:
                return f"{found} {what} of {tasks} tasks"
        return None

    def ended(self) -> int:
        return int(self._one("SELECT count(*) FROM log_outcomes"))

    def _one(self, query: str) -> Any:
        return self._connection.execute(query).fetchone()[0]


class Wire:
    """Both ends of one socket."""

    def __init__(self, path: Path) -> None:
        context = zmq.Context.instance()
        self._puller, self._pusher = context.socket(zmq.PULL), context.socket(zmq.PUSH)
        self._puller.bind(f"ipc://{path}")
        self._pusher.connect(f"ipc://{path}")

    def send(self, attempts: list[Attempt]) -> None:
        self._pusher.send(msgpack.packb(attempts))

    def receive(self) -> list[Attempt]:
        return [tuple(attempt) for attempt in msgpack.unpackb(self._puller.recv())]


def noop(task: int) -> None:
    """The task itself."""


class Graph:
    """Of all plans together: what is ready once something has ended."""

    def __init__(self, plans: list[list[list[int]]]) -> None:
        self._missing: list[int] = []
        self._children: list[list[int]] = []
        for parents in plans:
            first = len(self._missing)
            self._missing += [len(above) for above in parents]
            self._children += [[first + child for child in below] for below in children(parents)]

    def roots(self) -> list[int]:
        return [task for task, missing in enumerate(self._missing) if not missing]

    def ready_after(self, ended: list[int]) -> list[int]:
        ready = []
        for task in ended:
            for child in self._children[task]:
                self._missing[child] -= 1
                if not self._missing[child]:
                    ready.append(child)
        return ready


def run(asked: Request) -> tuple[float, Kept]:
    """Run all plans to their ends; the seconds which that took."""
    kept = Kept(asked.directory / "kept.db")
    kept.create(asked.plans)
    wire = Wire(asked.directory / "batched.sock")
    window = asked.options.get("window")
    began = time.perf_counter()
    graph = Graph(asked.plans)
    ready = graph.roots()
    while ready:
        now, later = ready[:window], ready[window:] if window else []
        attempts = [(task, 1) for task in now]
        kept.dispatch(attempts)
        wire.send(attempts)
        received = wire.receive()
        for task, _ in received:
            noop(task)
        ready = later + graph.ready_after(kept.settle(received))
    return time.perf_counter() - began, kept


def main() -> None:
    asked = request()
    gc.freeze()
    seconds, kept = run(asked)
    answer(
        seconds,
        kept.ended(),
        kept.problem(),
        version=f"SQLite {sqlite3.sqlite_version}, libzmq {zmq.zmq_version()}",
    )


if __name__ == "__main__":
    main()
