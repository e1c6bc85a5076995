"""Opening, refusing and writing under contention, on real files."""

import os
import sqlite3
import subprocess
import sys
import threading

import pytest
import sqlalchemy as sa

from solar_orch.errors import ConfigError, DatabaseRefused, DatabaseUnavailable
from solar_orch.store import instance as instances
from solar_orch.store.database import Database
from solar_orch.store.schema import cursors


def at(path):
    return Database(f"sqlite:///{path}")


def test_making_one_touches_nothing(tmp_path):
    at(tmp_path / "deep" / "solar.db")
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_written_to_is_never_taken_for_corrupt(tmp_path):
    path = tmp_path / "solar.db"
    at(path).close()
    with at(path).read():
        pass
    # A process of its own, as is the one that opens.
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE)
    try:
        assert writer.stdout.readline() == b"written\n"
        for _ in range(200):
            database = at(path)
            with database.read():
                pass
            database.close()
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.communicate()


#: Grows and shrinks the file, and writes the journal back into it all the time.
_WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
connection.execute("CREATE TABLE growing (content BLOB)")
connection.execute("PRAGMA wal_autocheckpoint = 1")
connection.execute("PRAGMA synchronous = OFF")
print("written", flush=True)
while True:
    connection.execute("INSERT INTO growing VALUES (zeroblob(5000000))")
    connection.execute("DELETE FROM growing")
    connection.execute("VACUUM")
"""


def test_a_new_one_is_durable_and_private(tmp_path):
    database = at(tmp_path / "deep" / "solar.db")
    with database.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    assert database.path.stat().st_mode & 0o777 == 0o600
    assert database.path.parent.stat().st_mode & 0o777 == 0o700
    database.close()
    assert [p.name for p in database.path.parent.iterdir()] == ["solar.db"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "empty"), (b"just a text, not a database\n" * 40, "no SQLite"), (b"x", "something else")],
)
def test_what_is_no_database_is_refused_untouched(tmp_path, content, problem):
    path = tmp_path / "solar.db"
    path.write_bytes(content)
    with pytest.raises(DatabaseRefused, match=problem):
        at(path).engine()
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_somebody_elses_database_is_refused_untouched(tmp_path):
    path = tmp_path / "solar.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE plans (x)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(DatabaseRefused, match="something else"):
        at(path).engine()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_another_version_is_refused(tmp_path):
    path = tmp_path / "solar.db"
    at(path).engine().dispose()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE solar_schema SET version = 99")
    connection.close()
    with pytest.raises(DatabaseRefused, match="version 99"):
        at(path).engine()


@pytest.mark.parametrize("url", ["no url", "postgresql://localhost/x", "sqlite://", "sqlite:///:memory:"])
def test_an_url_that_cannot_be_used_is_a_matter_of_configuration(url):
    with pytest.raises(ConfigError) as caught:
        Database(url)
    assert caught.value.option == "database"


def test_the_locks_of_one_survive_the_opening_of_another(tmp_path):
    """Two in one process; another process that leaves the database must not take the journal away."""
    first, path = at(tmp_path / "solar.db"), tmp_path / "solar.db"
    with first.read():
        pass
    second = at(path)
    with second.read():
        pass
    code = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\n"
    code += "c.execute('SELECT * FROM plans').fetchall(); c.close()"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert (tmp_path / "solar.db-wal").exists()
    second.write(lambda connection: connection.execute(cursors.insert().values(name="x", event_id=7)))
    with first.read() as connection:
        assert connection.execute(sa.select(cursors.c.event_id)).scalar_one() == 7


def test_a_writer_in_the_way_is_waited_for(tmp_path):
    database = at(tmp_path / "solar.db")
    database.engine()
    other = sqlite3.connect(database.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    tried = threading.Event()
    access = database._access
    real, access.engine = access.engine, lambda: tried.set() or real()
    threading.Thread(target=lambda: (tried.wait(10), other.execute("COMMIT"))).start()
    database.write(lambda connection: connection.execute(cursors.insert().values(name="x", event_id=1)))
    other.close()


def test_a_writer_that_stays_in_the_way_is_an_error(tmp_path):
    database = at(tmp_path / "solar.db")
    database.engine()
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable, match="locked"):
        database.write(lambda connection: None, patience=0.05)
    other.close()


def test_what_fails_is_rolled_back(tmp_path):
    database = at(tmp_path / "solar.db")

    def half(connection):
        connection.execute(cursors.insert().values(name="x", event_id=1))
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        database.write(half)
    with database.read() as connection:
        assert connection.execute(sa.select(cursors)).all() == []


def test_processes_that_make_it_at_once_agree(tmp_path):
    code = (
        "import sys; from solar_orch.store.database import Database\n"
        "sys.stdin.read(); d = Database(sys.argv[1]); d.engine(); d.close()"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, f"sqlite:///{tmp_path}/solar.db"], stdin=subprocess.PIPE
        )
        for _ in range(4)
    ]
    for process in running:
        process.stdin.close()
    assert [process.wait(60) for process in running] == [0] * 4
    assert [p.name for p in tmp_path.iterdir()] == ["solar.db"]


def test_who_is_certainly_gone():
    assert not instances.is_known_dead(instances.instance())
    process = subprocess.Popen(["true"])
    host, machine, _, _ = instances.instance().rsplit(":", 3)
    gone = f"{host}:{machine}:{process.pid}:00000000"
    process_ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert process_ended is not None
    assert instances.is_known_dead(gone)  # a zombie
    process.wait()
    assert instances.is_known_dead(gone)
    assert not instances.is_known_dead(f"{host}:elsewhere:{process.pid}:00000000")
    assert not instances.is_known_dead("nonsense")
