"""The database under a live worker is locked, full, away, read-only, replaced, or does not answer."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil
import pytest
from checker import guarded
from frames import Intruder
from harness import Process, Site, gated, plan, task, wait_until
from outcome import ended_well
from packages import install

from solar_orch.executors import wire
from solar_orch.store.database import Database

LEASE = 1.0

OPTIONS = {
    "lease": LEASE,
    "lost_limit": 1000,
    "poll_interval": 0.2,
    "resend_interval": 0.3,
    "max_inprogress": 4,
}

Trouble = Callable[[Site, Process], AbstractContextManager[None]]


def busy() -> dict[str, Any]:
    """Chains of short commands, and beside them one that waits for the gate."""
    short = [
        task(f"t{n}", "cmd", guarded("sleep 0.05"), after=[f"t{n - 3}"] if n >= 3 else []) for n in range(24)
    ]
    return plan(task("slow", "cmd", guarded(gated()), weight=9), *short, task("last", after=["slow", "t23"]))


# -- troubles that pass ------------------------------------------------------------


@contextlib.contextmanager
def locked(site: Site, worker: Process) -> Iterator[None]:
    connection = sqlite3.connect(site.database, isolation_level=None, timeout=30)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.rollback()
    connection.close()


@contextlib.contextmanager
def full(site: Site, worker: Process) -> Iterator[None]:
    """No file of the worker may grow beyond what the journal is now."""
    process = psutil.Process(worker.pid)
    free, hard = process.rlimit(psutil.RLIMIT_FSIZE)
    size = Path(f"{site.database}-wal").stat().st_size
    assert size > 10 * worker.output.stat().st_size  # it can still log
    process.rlimit(psutil.RLIMIT_FSIZE, (size, hard))
    yield
    process.rlimit(psutil.RLIMIT_FSIZE, (free, hard))


@contextlib.contextmanager
def away(site: Site, worker: Process) -> Iterator[None]:
    files = [Path(f"{site.database}{ending}") for ending in ("", "-wal", "-shm")]
    elsewhere = site.root / "elsewhere"
    elsewhere.mkdir()
    for file in files:
        file.rename(elsewhere / file.name)
    yield
    assert not site.database.exists()
    for file in reversed(files):
        (elsewhere / file.name).rename(file)


@contextlib.contextmanager
def read_only(site: Site, worker: Process) -> Iterator[None]:
    (site.root / "read-only").touch()
    yield
    (site.root / "read-only").unlink()


#: What a worker does to itself, by a package of a third party.
HOOK = '''
    """While there is a file "read-only", SQLite takes no changes; IMPATIENT is how long transactions are tried."""

    import contextlib
    import os
    import sqlite3

    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    from solar_orch.store import database

    connections = []


    def hook(worker, clients):
        if not event.contains(Pool, "connect", note):
            event.listen(Pool, "connect", note)
            worker.background(set_mode)
        if "IMPATIENT" in os.environ:
            database.PATIENCE = float(os.environ["IMPATIENT"])


    def note(connection, record):
        connections.append(connection)


    def set_mode(stopping):
        while not stopping.wait(0.01):
            wanted = os.path.exists(os.path.join(os.environ["SITE"], "read-only"))
            for connection in connections:
                with contextlib.suppress(sqlite3.Error):  # one that has been closed
                    connection.execute(f"PRAGMA query_only = {wanted:d}").close()
'''


def call_in_vain(site: Site, uid: str) -> None:
    """Send a call of which nobody can find out whether it is wanted."""
    intruder = Intruder(site.runtime / "tasks.sock")
    ctxt = {"plan_uid": uid, "task_name": "last", "task_id": f"{uid}~last", "attempt": 1}
    intruder.send(wire.pack("noop", ctxt, [], {}, {}))
    intruder.close()


@pytest.mark.parametrize(
    ("trouble", "patience", "problem"),
    [
        pytest.param(locked, 0.1, "database is locked", id="locked"),
        pytest.param(full, None, "disk I/O error", id="full"),
        pytest.param(away, 0.1, "the file is not in its place", id="away"),
        # Root may write whatever the mode of a file is: the worker's connections are made read-only.
        pytest.param(read_only, 0.1, "attempt to write a readonly database", id="read-only"),
    ],
)
def test_trouble_that_lasts_longer_than_a_lease_costs_nothing_but_time(
    site: Site, trouble: Trouble, patience: float | None, problem: str
) -> None:
    install(
        site, "hook", {"solar.orchestration.hooks.tasks.construct": {"hook": "hook:hook"}}, {"hook": HOOK}
    )
    if patience is not None:
        site.env["IMPATIENT"] = str(patience)
    site.set(**OPTIONS)
    worker = site.worker()
    uid = site.want(busy())
    for name in ("slow", "t2"):
        site.wait_for_mark(name)
    with trouble(site, worker):
        over = time.monotonic() + 1.2 * LEASE
        worker.wait_for(f"{uid}~slow: attempt 1 is ended: the database could not be reached")
        wait_until(lambda: not any("/gate" in command for command in site.commands()), "the end of slow")
        wait_until(lambda: time.monotonic() >= over)
        assert f"no heartbeat: database sqlite:///{site.database} is not available: {problem}" in worker.log
        if patience is not None:
            worker.wait_for(f"{uid}~slow: the outcome of attempt 1 is not recorded yet")
            call_in_vain(site, uid)
            worker.wait_for(f"{uid}~last: noop of attempt 1 not made: it could not be claimed")
        assert worker.code is None
    site.open()
    ended, _ = ended_well(site, uid)
    assert ended["slow"]["attempt"] > 1
    assert {row.pid for row in site.store.workers.all()} == {worker.pid}
    assert "Traceback" not in worker.log
    assert worker.stop() == 0


def test_attempts_whose_commits_are_all_unanswered_run_once_each(site: Site) -> None:
    site.set(**OPTIONS | {"lease": 15})
    worker = site.worker(faults="answer=raise@*")
    site.open()
    ended, found = ended_well(site, site.want(busy()))
    assert set(ended.attempts.values()) == {1}
    assert (found.attempts, found.repeated) == (26, 0)
    assert worker.stop() == 0


# -- troubles that do not pass -------------------------------------------------------


def test_a_worker_under_which_an_empty_file_is_put_ends_and_says_why(site: Site) -> None:
    site.set(**OPTIONS)
    worker = site.worker()
    uid = site.want(busy())
    site.wait_for_mark("slow")
    saved = site.root / "saved"
    site.database.rename(saved)
    (site.root / "empty").touch()
    (site.root / "empty").rename(site.database)
    assert worker.wait() == 2
    [line] = [line for line in worker.log.splitlines() if line.startswith("solar-worker: error: ")]
    assert f"database sqlite:///{site.database}: the file is empty" in line
    assert "Traceback" not in worker.log
    assert site.database.stat().st_size == 0
    assert site.others() == []
    saved.rename(site.database)
    again = site.worker()
    site.open()
    ended_well(site, uid)
    assert again.stop() == 0


# -- at the start ----------------------------------------------------------------------


def truncated(path: Path) -> None:
    genuine(path)
    os.truncate(path, path.stat().st_size // 2)


def another_version(path: Path) -> None:
    genuine(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE solar_schema SET version = version + 1")
        connection.commit()


def genuine(path: Path) -> None:
    database = Database(f"sqlite:///{path}")
    database.engine()
    database.close()


def foreign(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE solar_schema (version INTEGER)")
        connection.commit()


def contents(root: Path) -> dict[str, bytes | None]:
    """What there is by path, but for a journal without anything in it: of readers that end at once none clears it."""
    found = {path.name: path.read_bytes() if path.is_file() else None for path in root.iterdir()}
    if not found.get("solar.db-wal"):
        found.pop("solar.db-wal", None)
        found.pop("solar.db-shm", None)
    return found


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (Path.touch, "the file is empty"),
        (lambda path: path.write_bytes(bytes(range(256)) * 64), "this is no SQLite database"),
        (truncated, "malformed"),
        (another_version, "its schema has version"),
        (Path.mkdir, "not a regular file"),
        (foreign, "this database holds something else"),
    ],
    ids=["empty", "garbage", "truncated", "another-version", "directory", "foreign"],
)
def test_what_is_no_database_of_ours_is_refused_by_all_commands(
    site: Site, make: Callable[[Path], object], problem: str
) -> None:
    site.state.mkdir(mode=0o700)
    make(site.database)
    file = site.write("plan.yaml", plan(task("a")))
    before = contents(site.state)
    commands = {
        "solar-worker": [],
        **{
            f"solar-orch {args[0]}": args
            for args in (
                ["run", file],
                ["create", file],
                ["run-once", "last"],
                ["report", "last"],
                ["show", "last"],
                ["list"],
            )
        },
    }
    processes = {name: site.start(name.split()[0], *args) for name, args in commands.items()}
    for name, process in processes.items():
        assert process.wait() == 2, (name, process.log)
        lines = [line for line in process.log.splitlines() if line.startswith(f"{name.split()[0]}: error: ")]
        assert len(lines) == 1, (name, process.log)
        assert f"database sqlite:///{site.database}: " in lines[0]
        assert problem in lines[0]
        assert "Traceback" not in process.log
        assert name == "solar-worker" or process.log.splitlines() == lines
    assert contents(site.state) == before
