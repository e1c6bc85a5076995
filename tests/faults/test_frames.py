"""Hostile frames at each socket of a running worker: the same process runs a plan to its end afterwards."""

from __future__ import annotations

import collections
import re

import sqlalchemy as sa
from checker import guarded
from frames import Intruder, awkward, malformed, unmakable
from harness import WORKERS, Process, Site, plan, task, wait_until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outcome import ended_well

from solar_orch.executors import wire
from solar_orch.store.schema import workers as workers_table

#: The same frames each time.
FIXED = settings(
    max_examples=120,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def beat(site: Site, name: str) -> int:
    with site.store.database.read() as connection:
        query = sa.select(workers_table.c.beat).where(workers_table.c.name == name)
        return connection.execute(query).scalar_one_or_none() or 0


def wait_for_answer(site: Site, name: str, intruder: Intruder) -> None:
    """Wait until the worker has taken in all that was sent so far."""
    before = wait_until(lambda: beat(site, name))
    intruder.send(wire.pack("ping", {}, [], {}, {}))
    wait_until(lambda: beat(site, name) > before, f"{name} to answer")


def intrude(site: Site, worker: Process, name: str) -> int:
    """Send frames of all kinds to one socket; how many of them are malformed for certain."""
    sent: collections.Counter[bool] = collections.Counter()
    intruder = Intruder(site.runtime / f"{name}.sock")

    @FIXED
    @given(
        st.booleans().flatmap(lambda bad: st.tuples(st.just(bad), (malformed if bad else unmakable)(name)))
    )
    def send(drawn: tuple[bool, bytes]) -> None:
        bad, frame = drawn
        intruder.send(frame)
        sent[bad] += 1
        assert worker.code is None, (name, frame)

    try:
        for frame in awkward(name):
            intruder.send(frame)
        send()
        wait_for_answer(site, name, intruder)
        # ZeroMQ itself refuses it.
        intruder.send_too_much(bytes(wire.MAX_FRAME + 1))
        intruder.send(b"", b"")
        wait_for_answer(site, name, intruder)
    finally:
        intruder.close()
    return sent[True] + 1


def test_no_frame_harms_the_process_that_takes_it(site: Site) -> None:
    worker = site.worker(lease=600)  # the beats that are seen are answers
    bad = {name: intrude(site, worker, name) for name in WORKERS}
    chain = [task(f"t{n}", "cmd", guarded(), after=[f"t{n - 1}"] if n else []) for n in range(3)]
    ended, _ = ended_well(site, site.want(plan(*chain)))
    assert set(ended.attempts.values()) == {1}
    assert {row.pid for row in site.store.workers.all()} == {worker.pid}
    assert worker.stop() == 0
    assert "Traceback" not in worker.log
    for name in WORKERS:
        dropped = map(int, re.findall(rf" {name}: dropped (\d+): ", worker.log))
        assert sum(dropped) >= bad[name] >= 30
