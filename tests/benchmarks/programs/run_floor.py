"""What remains of a durable orchestrator when everything is left out that is not needed: the yardstick.

One process and no library between: a scheduler and a worker that talk through
real ipc sockets of ZeroMQ, a msgpack list for each task and for each result,
and one SQLite file that is synced at each commit.  Whatever has arrived makes
a round, and a round has two group commits: that of its results, and that of
the dispatch of what may start.
"""

from __future__ import annotations

import gc
import sqlite3
import time
from collections import deque
from pathlib import Path
from typing import Any

import msgpack
import zmq
from protocol import Request, answer, request
from run_batched import Attempt, Graph, Kept, noop


class Channel:
    """A socket from one half to the other, with a message for each item."""

    def __init__(self, path: Path) -> None:
        context = zmq.Context.instance()
        self.puller, self._pusher = context.socket(zmq.PULL), context.socket(zmq.PUSH)
        self.puller.bind(f"ipc://{path}")
        self._pusher.connect(f"ipc://{path}")

    def send(self, *item: Any) -> None:
        self._pusher.send(msgpack.packb(item))

    def arrived(self) -> list[list[Any]]:
        items = []
        while True:
            try:
                items.append(msgpack.unpackb(self.puller.recv(zmq.NOBLOCK)))
            except zmq.Again:
                return items


class Floor:
    """Both halves, and what they wait for."""

    def __init__(self, asked: Request) -> None:
        self.kept = Kept(asked.directory / "floor.db")
        self.kept.create(asked.plans)
        self._calls = Channel(asked.directory / "calls.sock")
        self._results = Channel(asked.directory / "results.sock")
        self._poller = zmq.Poller()
        for channel in (self._calls, self._results):
            self._poller.register(channel.puller, zmq.POLLIN)
        self._graph = Graph(asked.plans)
        self._ready = deque(self._graph.roots())
        self._window = asked.options["window"] * len(asked.plans)
        self._in_progress = 0

    def run(self) -> None:
        self._dispatch()
        while self._in_progress:
            self._poller.poll()
            self._work()
            results = self._results.arrived()
            if results:
                self._settle([(task, attempt) for task, attempt, _ in results])
                self._dispatch()

    def _work(self) -> None:
        for task, attempt, _, _ in self._calls.arrived():
            noop(task)
            self._results.send(task, attempt, "SUCCESS")

    def _settle(self, attempts: list[Attempt]) -> None:
        self._in_progress -= len(attempts)
        self._ready.extend(self._graph.ready_after(self.kept.settle(attempts)))

    def _dispatch(self) -> None:
        room = min(self._window - self._in_progress, len(self._ready))
        attempts = [(self._ready.popleft(), 1) for _ in range(room)]
        if attempts:
            self.kept.dispatch(attempts)
            self._in_progress += len(attempts)
        for task, attempt in attempts:
            self._calls.send(task, attempt, "noop", [])


def main() -> None:
    asked = request()
    floor = Floor(asked)
    gc.freeze()
    began = time.perf_counter()
    floor.run()
    answer(
        time.perf_counter() - began,
        floor.kept.ended(),
        floor.kept.problem(),
        version=f"SQLite {sqlite3.sqlite_version}, libzmq {zmq.zmq_version()}",
    )


if __name__ == "__main__":
    main()
