"""TaskFlow: a graph flow whose engine keeps the state of each task in SQLite."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from protocol import Request, answer, children, request
from taskflow import engines, states, task
from taskflow.patterns import graph_flow
from taskflow.persistence import backends
from taskflow.utils import persistence_utils


class Noop(task.Task):
    """The task itself."""

    def execute(self) -> None:
        pass


def flow_of(plan: int, parents: list[list[int]]) -> graph_flow.Flow:
    flow = graph_flow.Flow(f"plan{plan}")
    tasks = [Noop(f"p{plan}t{number:06}") for number in range(len(parents))]
    flow.add(*tasks)
    for parent, below in enumerate(children(parents)):
        for child in below:
            flow.link(tasks[parent], tasks[child])
    return flow


def run(asked: Request, path: Path) -> float:
    """The seconds which all plans took, one after another: an engine has one flow."""
    backend = backends.fetch({"connection": f"sqlite:///{path}"})
    backend.get_connection().upgrade()
    loaded = []
    for plan, parents in enumerate(asked.plans):
        _, detail = persistence_utils.temporary_flow_detail(backend)
        engine = engines.load(
            flow_of(plan, parents), flow_detail=detail, backend=backend, engine=asked.options["engine"]
        )
        engine.compile()
        engine.prepare()
        loaded.append(engine)
    began = time.perf_counter()
    for engine in loaded:
        engine.run()
    return time.perf_counter() - began


def ended(path: Path) -> int:
    query = (
        "SELECT count(*) FROM atomdetails WHERE state = ? AND atom_type = 'TASK_DETAIL' AND name LIKE 'p%t%'"
    )
    return int(sqlite3.connect(path).execute(query, (states.SUCCESS,)).fetchone()[0])


def main() -> None:
    asked = request()
    path = asked.directory / "taskflow.db"
    seconds = run(asked, path)
    answer(seconds, ended(path))


if __name__ == "__main__":
    main()
