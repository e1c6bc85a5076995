"""Messages that are lost, doubled, late and out of order: an executor of a third party does that to them."""

from __future__ import annotations

import pytest
from harness import WORKERS, Process, Site, plan, task, wait_until
from mixed import mixed
from outcome import ended_well
from packages import install

#: An executor like the one that ships, but for what becomes of the calls of its client.
CHAOS = '''
    """Mistreats one call in ten in each of four ways, as CHAOS_SEED says; with CHAOS_LOSE only that call."""

    import functools
    import logging
    import os
    import random

    import gevent

    from solar_orch.errors import SolarError
    from solar_orch.executors import zerorpc

    LOG = logging.getLogger("chaos")

    Executor = zerorpc.Executor


    class Client(zerorpc.Client):
        def __init__(self, address):
            super().__init__(address)
            self._chance = random.Random(os.environ["CHAOS_SEED"] + os.path.basename(address))
            self._held_back = []

        def __getattr__(self, method):
            call = super().__getattr__(method)
            return functools.partial(self._mistreat, method, call)

        def _mistreat(self, method, call, ctxt, /, *args, **kwargs):
            call = functools.partial(call, ctxt, *args, **kwargs)
            what = self._drawn(method)
            if what:
                LOG.info("%s %s of %s", what, method, ctxt.get("task_id"))
            if what == "lost":
                return
            if what == "late":
                gevent.spawn_later(self._chance.uniform(0.05, 1.0), self._send, call)
                return
            if what == "overtaken":
                self._held_back.append(call)
                # Should none come to overtake it.
                gevent.spawn_later(1.0, self._send_held_back)
                return
            call()
            if what == "doubled":
                self._send(call)
            self._send_held_back()

        def _drawn(self, method):
            if "CHAOS_LOSE" in os.environ:
                return "lost" if method == os.environ["CHAOS_LOSE"] else None
            drawn = self._chance.random()
            return next((what for n, what in enumerate(KINDS, 1) if drawn < n / 10), None)

        def _send_held_back(self):
            while self._held_back:
                self._send(self._held_back.pop())

        def _send(self, call):
            try:
                call()
            except SolarError as error:
                LOG.info("lost as well: %s", error)


    KINDS = ("lost", "doubled", "late", "overtaken")
'''

KINDS = ("lost", "doubled", "late", "overtaken")

OPTIONS = {
    "lease": 1.5,
    "lost_limit": 1000,
    "poll_interval": 0.2,
    "resend_interval": 0.3,
    "max_inprogress": 20,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A third of the seeds that kills get, each in one of the two layouts."""
    if "disorder" in metafunc.fixturenames:
        first = metafunc.config.getoption("--first-seed")
        metafunc.parametrize("disorder", range(first, first + -(-metafunc.config.getoption("--seeds") // 3)))


def choose_chaos(site: Site, seed: int) -> None:
    install(site, "chaos", {"solar.orchestration.executors": {"chaos": "chaos"}}, {"chaos": CHAOS})
    site.set(executor="chaos", **OPTIONS)
    site.env["CHAOS_SEED"] = str(seed)


def mistreated(workers: list[Process], what: str) -> int:
    return sum(worker.log.count(f" chaos: {what} ") for worker in workers)


def test_no_disorder_of_messages_keeps_a_plan_from_its_end(site: Site, disorder: int) -> None:
    choose_chaos(site, disorder)
    layout = [[]] if disorder % 2 else [[f"--worker={name}"] for name in WORKERS]
    parts = [site.begin_worker(*args) for args in layout]
    uid = site.want(mixed(disorder, count=30))
    ended_well(site, uid)
    assert [what for what in KINDS if not mistreated(parts, what)] == []
    assert [part.stop() for part in parts] == [0] * len(parts)


def test_a_kill_whose_messages_are_all_lost_is_found_in_the_database(site: Site) -> None:
    choose_chaos(site, 1)
    site.env["CHAOS_LOSE"] = "kill"
    worker = site.worker()
    uid = site.want(
        plan(
            task("slow", "cmd", "sleep 600", timeout=0.5),
            task("killed", "cmd", "sleep 601"),
            task("next", after=["slow"]),
        )
    )
    wait_until(lambda: any("sleep 601" in command for command in site.commands()))
    assert site.store.attempts.kill(uid, "killed", None, "not wanted any more")
    ended, _ = ended_well(site, uid, {"slow": ["ERROR"], "killed": ["ERROR"], "next": ["PENDING"]})
    assert ended["slow"]["errmsg"] == "ExecutionTimeout: timeout of 0.5 s exceeded"
    assert ended["killed"]["errmsg"] == "not wanted any more"
    assert mistreated([worker], "lost kill") == 1
    assert not any("sleep 60" in command for command in site.commands())
    assert worker.stop() == 0
