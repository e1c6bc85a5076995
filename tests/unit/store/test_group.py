"""Group commit: real SQLite, real threads, and greenlets that go on meanwhile."""

from __future__ import annotations

import gc
import sqlite3
import threading
import time

import gevent
import psutil
import pytest
import sqlalchemy as sa

from solar_orch.errors import DatabaseUnavailable
from solar_orch.store import group
from solar_orch.store.database import Database
from solar_orch.store.schema import cursors


@pytest.fixture
def database(tmp_path):
    made = Database(f"sqlite:///{tmp_path}/solar.db", grouped=True)
    made.engine()
    yield made
    made.close()


@pytest.fixture
def blocker(database):
    """Another writer, who may be in the way."""
    connection = sqlite3.connect(database.path, isolation_level=None, check_same_thread=False)
    yield connection
    connection.close()


def put(name):
    return lambda connection: connection.execute(cursors.insert().values(name=name, event_id=1))


def names(database):
    with database.read() as connection:
        return set(connection.execute(sa.select(cursors.c.name)).scalars())


def commits(database):
    with database.read() as connection:
        return connection.exec_driver_sql("SELECT max(number) FROM commits").scalar_one()


def add_all(connection, items):
    connection.execute(cursors.insert(), [{"name": item, "event_id": len(items)} for item in items])
    return [item.upper() for item in items]


def spawn_all(*calls):
    return [gevent.spawn(call) for call in calls]


def join(greenlets):
    gevent.joinall(greenlets, timeout=30)
    assert all(greenlet.dead for greenlet in greenlets)


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        gevent.sleep(0.005)


def test_what_comes_while_a_transaction_runs_is_one_transaction(database, blocker):
    database.write(put("first"))
    blocker.execute("BEGIN IMMEDIATE")
    before = commits(database)
    writes = spawn_all(*(lambda n=n: database.write(put(f"n{n}")) for n in range(20)))
    more = spawn_all(*(lambda n=n: database.write_many(add_all, f"m{n}") for n in range(20)))
    gevent.sleep(0)
    blocker.execute("COMMIT")
    join(writes + more)
    assert len(names(database)) == 41
    # One may have begun before the others came.
    assert commits(database) - before <= 2
    # Those of one kind have been made together, and each has its own answer.
    with database.read() as connection:
        most = connection.execute(sa.select(sa.func.max(cursors.c.event_id))).scalar_one()
    assert most >= 19
    assert [greenlet.value for greenlet in more] == [f"M{n}" for n in range(20)]


def test_one_that_fails_takes_no_other_with_it(database, blocker):
    database.write(put("there"))
    blocker.execute("BEGIN IMMEDIATE")

    def broken(connection):
        put("half")(connection)
        raise RuntimeError("in the middle")

    good = spawn_all(*(lambda n=n: database.write(put(f"n{n}")) for n in range(5)))
    bad = spawn_all(lambda: database.write(broken), lambda: database.write(put("there")))
    good += spawn_all(*(lambda n=n: database.write_many(add_all, f"m{n}") for n in range(5)))
    gevent.sleep(0)
    blocker.execute("COMMIT")
    join(good + bad)
    assert all(greenlet.successful() for greenlet in good)
    assert [type(greenlet.exception).__name__ for greenlet in bad] == ["RuntimeError", "IntegrityError"]
    assert names(database) == {"there", *(f"n{n}" for n in range(5)), *(f"m{n}" for n in range(5))}


def test_the_loop_goes_on_while_the_database_is_locked(database, blocker):
    blocker.execute("BEGIN IMMEDIATE")
    writing = gevent.spawn(database.write, put("a"))
    for _ in range(50):
        gevent.sleep(0.001)
    assert not writing.dead
    blocker.execute("COMMIT")
    join([writing])
    assert names(database) == {"a"}


def test_each_is_tried_for_as_long_as_it_says(database, blocker):
    blocker.execute("BEGIN IMMEDIATE")
    hasty = gevent.spawn(database.write, put("hasty"), patience=0.05)
    patient = gevent.spawn(database.write, put("patient"))
    join([hasty])
    assert isinstance(hasty.exception, DatabaseUnavailable)
    assert not patient.dead
    blocker.execute("COMMIT")
    join([patient])
    assert names(database) == {"patient"}


def test_what_a_greenlet_that_was_killed_had_written_is_made_and_nobody_else_is_disturbed(database, blocker):
    blocker.execute("BEGIN IMMEDIATE")
    killed, other = spawn_all(lambda: database.write(put("killed")), lambda: database.write(put("other")))
    gevent.sleep(0)
    killed.kill()
    blocker.execute("COMMIT")
    join([other])
    assert other.successful()
    until(lambda: names(database) == {"killed", "other"})


def test_greenlets_of_several_threads_each_get_their_own_answer(database):
    answers = {}

    def write(thread):
        greenlets = spawn_all(*(lambda n=n: database.write_many(add_all, f"{thread}.{n}") for n in range(20)))
        join(greenlets)
        answers[thread] = [greenlet.value for greenlet in greenlets]

    threads = [threading.Thread(target=write, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {f"t{n}": [f"T{n}.{m}" for m in range(20)] for n in range(4)}


def test_the_thread_ends_when_there_is_nothing_to_do_and_another_takes_its_place(database, monkeypatch):
    monkeypatch.setattr(group, "IDLE", 0.02)
    of_process = group.of(database.url)
    for name in ("a", "b", "c"):
        database.write(put(name))
        until(lambda: not of_process._running)
    assert names(database) == {"a", "b", "c"}


def test_closing_closes_the_connection_and_a_later_write_opens_another(database):
    path = str(database.path)

    def is_open():
        return any(file.path == path for file in psutil.Process().open_files())

    database.write(put("a"))
    assert is_open()
    database.close()
    assert not is_open()
    database.write(put("b"))
    assert names(database) == {"a", "b"}


def test_whether_garbage_is_collected_is_as_before(database):
    assert gc.isenabled()
    database.write(put("a"))
    until(gc.isenabled)
    gc.disable()
    try:
        database.write(put("b"))
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_no_loop_is_kept_alive_by_a_group_that_has_nothing_to_do(database):
    """In a thread of its own, so that nothing else is in its loop."""

    def write_and_wait():
        database.write(put("a"))
        try:
            gevent.get_hub().switch()
        except gevent.exceptions.LoopExit:
            exits.append(True)

    exits = []
    thread = threading.Thread(target=write_and_wait, daemon=True)
    thread.start()
    thread.join(30)
    assert exits == [True]
