"""The floor with all that solar_orch promises for each single task, and still with nothing between.

Of each task there are a message that carries a call with its context, a claim
that is made before the call, both of its events, a message back, and an entry
in the log that is read from the events.  What can be committed together is:
that makes four commits of as many tasks as may be in progress at once,
``window`` for each plan.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import msgpack
import zmq
from protocol import Request, answer, request
from run_batched import Graph

_SCHEMA = """
    CREATE TABLE tasks (
        id INTEGER PRIMARY KEY, plan INTEGER NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,
        args TEXT NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL, worker TEXT,
        dispatched_at REAL, start_time REAL, end_time REAL, result TEXT
    );
    CREATE INDEX tasks_in_progress ON tasks (plan) WHERE state = 'INPROGRESS';
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT, task INTEGER NOT NULL, attempt INTEGER NOT NULL,
        old TEXT NOT NULL, new TEXT NOT NULL, at REAL NOT NULL, by TEXT NOT NULL
    );
    CREATE TABLE log_outcomes (
        event INTEGER PRIMARY KEY, plan INTEGER NOT NULL, name TEXT NOT NULL, attempt INTEGER NOT NULL,
        state TEXT NOT NULL, at REAL NOT NULL
    );
    CREATE INDEX log_outcomes_of_plan ON log_outcomes (plan, event);
    CREATE TABLE cursors (event INTEGER NOT NULL);
    INSERT INTO cursors VALUES (0);
"""
_DISPATCH = """
    UPDATE tasks SET state = 'INPROGRESS', attempt = attempt + 1, dispatched_at = ?2
    WHERE id = ?1 AND state = 'PENDING'
"""
_CLAIM = """
    UPDATE tasks SET worker = 'tasks', start_time = ?3
    WHERE id = ?1 AND attempt = ?2 AND state = 'INPROGRESS' AND worker IS NULL
"""
_SETTLE = """
    UPDATE tasks SET state = 'SUCCESS', end_time = ?3, result = ?4
    WHERE id = ?1 AND attempt = ?2 AND state = 'INPROGRESS' AND worker = 'tasks'
"""
_EVENT = "INSERT INTO events (task, attempt, old, new, at, by) VALUES (?, ?, ?, ?, ?, ?)"
_LOG = """
    INSERT INTO log_outcomes
    SELECT events.id, tasks.plan, tasks.name, events.attempt, events.new, events.at
    FROM events JOIN tasks ON tasks.id = events.task
    WHERE events.id > (SELECT event FROM cursors) AND events.old = 'INPROGRESS'
"""
_MOVE_CURSOR = "UPDATE cursors SET event = (SELECT max(id) FROM events)"

#: A task and its name, the number of its attempt.
Attempt = tuple[int, str, int]


class Kept:
    """The database; each method is one durable transaction."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_SCHEMA)

    def create(self, plans: list[list[list[int]]]) -> list[str]:
        """Write all tasks; their names."""
        rows = [(plan, f"t{at:06}") for plan, tasks in enumerate(plans) for at in range(len(tasks))]
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO tasks (id, plan, name, type, args, state, attempt)"
                " VALUES (?, ?, ?, 'noop', '[]', 'PENDING', 0)",
                ((number, *row) for number, row in enumerate(rows)),
            )
        return [name for _, name in rows]

    def dispatch(self, attempts: list[Attempt]) -> None:
        now = time.time()
        with self._transaction() as connection:
            _all(attempts, connection.executemany(_DISPATCH, [(task, now) for task, _, _ in attempts]))
            connection.executemany(_EVENT, _events(attempts, "PENDING", "INPROGRESS", now, "scheduler"))

    def claim(self, attempts: list[Attempt]) -> None:
        now = time.time()
        with self._transaction() as connection:
            _all(attempts, connection.executemany(_CLAIM, [(task, no, now) for task, _, no in attempts]))

    def settle(self, attempts: list[Attempt], results: list[Any]) -> None:
        now = time.time()
        rows = [
            (task, number, now, json.dumps(result))
            for (task, _, number), result in zip(attempts, results, strict=True)
        ]
        with self._transaction() as connection:
            _all(attempts, connection.executemany(_SETTLE, rows))
            connection.executemany(_EVENT, _events(attempts, "INPROGRESS", "SUCCESS", now, "tasks"))

    def log(self) -> None:
        """Enter what has ended since the last time."""
        with self._transaction() as connection:
            connection.execute(_LOG)
            connection.execute(_MOVE_CURSOR)

    def problem(self) -> str | None:
        """What is wrong with what was kept, if anything is."""
        (tasks,) = self._connection.execute("SELECT count(*) FROM tasks").fetchone()
        for query, wanted in (
            ("PRAGMA synchronous", 2),
            ("SELECT count(*) FROM tasks WHERE state = 'SUCCESS' AND attempt = 1", tasks),
            ("SELECT count(*) FROM events", 2 * tasks),
            ("SELECT count(DISTINCT plan || name) FROM log_outcomes", tasks),
        ):
            (found,) = self._connection.execute(query).fetchone()
            if found != wanted:
                return f"{query} gives {found}, not {wanted}"
        return None

    def logged(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM log_outcomes").fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        yield self._connection
        self._connection.execute("COMMIT")


def _all(attempts: list[Attempt], cursor: sqlite3.Cursor) -> None:
    if cursor.rowcount != len(attempts):
        raise AssertionError(f"{cursor.rowcount} of {len(attempts)} attempts were as they should be")


def _events(attempts: list[Attempt], old: str, new: str, at: float, by: str) -> list[tuple[Any, ...]]:
    return [(task, number, old, new, at, by) for task, _, number in attempts]


class Wire:
    """Both ends of a socket, with a message for each call."""

    def __init__(self, path: Path) -> None:
        context = zmq.Context.instance()
        self._puller, self._pusher = context.socket(zmq.PULL), context.socket(zmq.PUSH)
        self._puller.bind(f"ipc://{path}")
        self._pusher.connect(f"ipc://{path}")

    def call(self, method: str, ctxt: dict[str, Any], *args: Any) -> None:
        self._pusher.send(msgpack.packb([method, ctxt, args]))

    def receive(self, number: int) -> list[Any]:
        return [msgpack.unpackb(self._puller.recv()) for _ in range(number)]


def noop(ctxt: dict[str, Any]) -> None:
    """The task itself."""


METHODS = {"noop": noop}


def _ctxt(attempt: Attempt) -> dict[str, Any]:
    task, name, number = attempt
    uid = "plan:0123abcd"
    return {
        "task_id": f"{uid}~{name}",
        "task_name": name,
        "plan_uid": uid,
        "task": task,
        "attempt": number,
        "timelimit": None,
        "timeout": None,
    }


def _attempt_of(ctxt: dict[str, Any]) -> Attempt:
    return ctxt["task"], ctxt["task_name"], ctxt["attempt"]


def run(asked: Request) -> tuple[float, Kept]:
    """Run all plans to their ends; the seconds which that took."""
    kept = Kept(asked.directory / "contract.db")
    names = kept.create(asked.plans)
    calls, hints = Wire(asked.directory / "calls.sock"), Wire(asked.directory / "hints.sock")
    window = asked.options["window"] * len(asked.plans)
    began = time.perf_counter()
    graph = Graph(asked.plans)
    ready = deque(graph.roots())
    while ready:
        now = list(islice(ready, window))
        for _ in now:
            ready.popleft()
        _dispatch(kept, calls, [(task, names[task], 1) for task in now])
        _work(kept, calls, hints, len(now))
        kept.log()
        ended = [_attempt_of(ctxt)[0] for _, ctxt, _ in hints.receive(len(now))]
        ready.extend(graph.ready_after(ended))
    return time.perf_counter() - began, kept


def _dispatch(kept: Kept, calls: Wire, attempts: list[Attempt]) -> None:
    kept.dispatch(attempts)
    for attempt in attempts:
        calls.call("noop", _ctxt(attempt))


def _work(kept: Kept, calls: Wire, hints: Wire, number: int) -> None:
    received = calls.receive(number)
    attempts = [_attempt_of(ctxt) for _, ctxt, _ in received]
    kept.claim(attempts)
    results = [METHODS[method](ctxt, *args) for method, ctxt, args in received]
    kept.settle(attempts, results)
    for _, ctxt, _ in received:
        hints.call("update_next", ctxt, "SUCCESS", None)


def main() -> None:
    asked = request()
    seconds, kept = run(asked)
    answer(seconds, kept.logged(), kept.problem())


if __name__ == "__main__":
    main()
