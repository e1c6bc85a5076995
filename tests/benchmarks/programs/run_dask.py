"""Dask distributed: a scheduler and a worker, two processes, nothing of which is durable."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from distributed import Client, wait
from protocol import Request, answer, request
from servers import running


def noop(*parents: None) -> None:
    """The task itself."""


def graph(plans: list[list[list[int]]]) -> dict[str, Any]:
    """All plans; all keys have one prefix, since Dask keeps what it knows of durations by prefix."""
    return {
        f"noop-{plan:03}{number:06}": (noop, *(f"noop-{plan:03}{parent:06}" for parent in parents))
        for plan, tasks in enumerate(plans)
        for number, parents in enumerate(tasks)
    }


def run(asked: Request) -> tuple[float, int]:
    """The seconds which all plans took, and how many tasks have ended well."""
    tasks = graph(asked.plans)
    with Client(scheduler_file=str(asked.directory / "scheduler.json"), timeout=20) as client:
        client.wait_for_workers(1, timeout=20)
        began = time.perf_counter()
        futures = client.get(tasks, list(tasks), sync=False)
        wait(futures)
        seconds = time.perf_counter() - began
        return seconds, sum(future.status == "finished" for future in futures)


def main() -> None:
    asked = request()
    file = str(asked.directory / "scheduler.json")
    dask = str(Path(sys.executable).with_name("dask"))
    scheduler = [
        dask,
        "scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
        "--scheduler-file",
        file,
    ]
    worker = [dask, "worker", "--host", "127.0.0.1", "--no-dashboard", "--no-nanny", "--scheduler-file", file]
    with (
        running(scheduler, asked.directory / "scheduler.log"),
        running(worker, asked.directory / "worker.log"),
    ):
        answer(*run(asked))


if __name__ == "__main__":
    main()
