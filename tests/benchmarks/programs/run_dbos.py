"""DBOS with SQLite: a workflow for each plan, which runs one layer of steps after another."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path

from dbos import DBOS
from protocol import Request, answer, layers, request


@DBOS.step()
async def noop() -> None:
    """The task itself."""


@DBOS.workflow()
async def run_plan(sizes: list[int]) -> None:
    """Of a workflow that is resumed, the steps must be in the same order: so it cannot follow the edges."""
    for size in sizes:
        await asyncio.gather(*(noop() for _ in range(size)))


async def run_all(plans: list[list[int]]) -> float:
    began = time.perf_counter()
    handles = [await DBOS.start_workflow_async(run_plan, sizes) for sizes in plans]
    for handle in handles:
        await handle.get_result()
    return time.perf_counter() - began


def run(asked: Request, path: Path) -> float:
    """The seconds which all plans took."""
    DBOS(
        config={
            "name": "bench",
            "system_database_url": f"sqlite:///{path}",
            "run_admin_server": False,
            "log_level": "ERROR",
        }
    )
    DBOS.launch()
    try:
        return asyncio.run(run_all([[len(layer) for layer in layers(parents)] for parents in asked.plans]))
    finally:
        DBOS.destroy()


def ended(path: Path) -> int:
    query = "SELECT count(*) FROM operation_outputs WHERE function_name LIKE '%noop%' AND error IS NULL"
    return int(sqlite3.connect(path).execute(query).fetchone()[0])


def main() -> None:
    asked = request()
    path = asked.directory / "dbos.db"
    seconds = run(asked, path)
    answer(seconds, ended(path))


if __name__ == "__main__":
    main()
