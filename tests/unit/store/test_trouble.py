"""A database that is away, full, read-only, replaced, or does not answer: real SQLite, real files."""

from __future__ import annotations

import os
import sqlite3
import threading
import time

import pytest
import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import make_url

from solar_orch import faults
from solar_orch.errors import DatabaseRefused, DatabaseUnavailable
from solar_orch.store import group
from solar_orch.store.database import Database
from solar_orch.store.schema import commits, cursors
from solar_orch.store.sqlite import make_engine


@pytest.fixture(params=["alone", "grouped"])
def database(tmp_path, request):
    made = Database(f"sqlite:///{tmp_path}/solar.db", grouped=request.param == "grouped")
    made.engine()
    yield made
    faults.arm(None)
    made.close()


def writing(database):
    """How a database is opened by what writes to it."""
    return group.of(database.url)._access if database._grouped else database._access


def put(name="x"):
    """A change that cannot be made twice."""
    return lambda connection: connection.execute(cursors.insert().values(name=name, event_id=1))


def names(database):
    with database.read() as connection:
        return sorted(connection.execute(sa.select(cursors.c.name)).scalars())


# -- the answer to a commit is lost ------------------------------------------------------


def test_a_commit_whose_answer_was_lost_is_not_made_again(database):
    faults.arm("answer=raise@*")
    for name in ("a", "b", "c"):
        database.write(put(name))
    assert names(database) == ["a", "b", "c"]


def test_a_commit_that_failed_is_made_again(database, monkeypatch):
    engine = writing(database).engine()
    real, failed = engine.dialect.do_commit, []

    def fail_once(connection):
        if failed:
            return real(connection)
        failed.append(True)
        connection.rollback()
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
        raise error

    monkeypatch.setattr(engine.dialect, "do_commit", fail_once)
    database.write(put("a"))
    assert names(database) == ["a"]
    assert failed


def test_what_cannot_be_read_back_is_said_to_be_in_doubt(database, monkeypatch):
    def away(mark):
        raise DatabaseUnavailable("db", "away")

    faults.arm("answer=raise")
    monkeypatch.setattr(writing(database), "_holds", away)
    with pytest.raises(DatabaseUnavailable, match="not known") as caught:
        database.write(put("a"))
    assert caught.value.in_doubt
    monkeypatch.undo()
    database.write(put("b"))
    assert names(database) == ["a", "b"]


def test_marks_do_not_pile_up(database):
    for number in range(50):
        database.write(put(f"n{number}"))
        with pytest.raises(exc.IntegrityError):
            database.write(put(f"n{number}"))
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(commits)).scalar_one() == 1


def test_many_threads_find_their_own_commits(database):
    faults.arm("answer=raise@*")
    threads = [threading.Thread(target=database.write, args=(put(f"t{n}"),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(database)) == 8


# -- away, and back --------------------------------------------------------------------


def test_a_file_that_is_away_is_waited_for_and_not_replaced(database, tmp_path):
    path, elsewhere = database.path, tmp_path / "elsewhere"
    path.rename(elsewhere)
    with pytest.raises(DatabaseUnavailable, match="not in its place"):
        database.write(put("a"), patience=0.05)
    assert not path.exists()
    back = threading.Timer(0.1, elsewhere.rename, args=(path,))
    back.start()
    database.write(put("b"))
    back.join()
    assert names(database) == ["b"]


def test_a_file_that_goes_while_it_is_being_opened_is_not_made_anew(tmp_path):
    path = tmp_path / "solar.db"
    Database(f"sqlite:///{path}").engine().dispose()
    engine = make_engine(make_url(f"sqlite:///{path}"))
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(exc.OperationalError, match="unable to open"):
        engine.connect()
    assert not path.exists()


def test_an_empty_file_in_the_place_of_the_database_is_refused_at_once(database):
    database.write(put("a"))
    database.path.unlink()
    database.path.touch()
    with pytest.raises(DatabaseRefused, match="empty"):
        database.write(put("b"))
    with pytest.raises(DatabaseRefused, match="empty"):
        names(database)
    assert database.path.stat().st_size == 0


def test_another_database_in_its_place_is_taken_for_what_it_is(database, tmp_path):
    other = Database(f"sqlite:///{tmp_path}/other.db")
    other.write(put("other"))
    other.close()
    database.write(put("mine"))
    os.replace(other.path, database.path)
    for ending in ("-wal", "-shm"):
        (tmp_path / f"solar.db{ending}").unlink(missing_ok=True)
    assert names(database) == ["other"]


@pytest.mark.parametrize("size", [0.5, 0.9])
def test_a_truncated_file_is_refused_and_left_as_it_is(database, size):
    for number in range(300):
        database.write(put(f"long enough to fill pages {number:04}"))
    database.close()
    content = database.path.read_bytes()[: int(database.path.stat().st_size * size)]
    database.path.write_bytes(content)
    with pytest.raises(DatabaseRefused):
        names(Database(str(database.url)))
    assert database.path.read_bytes() == content


# -- locked, full, read-only -------------------------------------------------------------


def on_each_connection(database, pragma):
    """Set a pragma on the connections that are open and on those to come; returns what takes it off."""
    state = {"value": pragma}

    def checkout(connection, _record, _proxy):
        connection.execute(f"PRAGMA {state['value']}")

    event.listen(writing(database).engine(), "checkout", checkout)
    return lambda value: state.update(value=value)


def pages(database):
    with database.read() as connection:
        return connection.exec_driver_sql("PRAGMA page_count").scalar_one()


def fill(connection):
    connection.execute(cursors.insert(), [{"name": f"{n:060}", "event_id": n} for n in range(5000)])


@pytest.mark.parametrize(
    ("broken", "mended", "problem"),
    [
        ("query_only = 1", "query_only = 0", "readonly"),
        ("max_page_count = 1", "max_page_count = 1000000", "full"),
    ],
)
def test_trouble_that_passes_is_waited_for_and_leaves_no_trace(database, broken, mended, problem):
    change = on_each_connection(database, broken)
    with pytest.raises(DatabaseUnavailable, match=problem):
        database.write(fill, patience=0.05)
    assert names(database) == []
    threading.Timer(0.1, change, args=(mended,)).start()
    begun = time.monotonic()
    database.write(fill)
    assert time.monotonic() - begun >= 0.05
    assert len(names(database)) == 5000


# -- fork --------------------------------------------------------------------------------


def in_a_fork(function):
    """What `function` gives, or how it fails, in a child of this process."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = repr(function())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(theirs, said.encode())
        os._exit(0)
    os.close(theirs)
    os.waitpid(pid, 0)
    with open(ours, "rb") as pipe:
        return pipe.read().decode()


def test_what_was_open_when_the_process_forked_is_refused_in_the_child(database):
    database.write(put("a"))
    for child in (database, Database(str(database.url))):
        assert "open when this process was forked" in in_a_fork(lambda child=child: child.write(put("b")))
    assert names(database) == ["a"]


def test_what_was_closed_before_can_be_opened_in_the_child(database):
    database.write(put("a"))
    database.close()
    assert "CursorResult" in in_a_fork(lambda: database.write(put("b")))
    assert names(database) == ["a", "b"]
