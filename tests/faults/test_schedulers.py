"""Two schedulers on one database: they share its plans, and each attempt is dispatched and run once.

``pytest tests/faults/test_schedulers.py --seeds 200`` is the nightly size, see ``test_kills.py``.
"""

from __future__ import annotations

import random
import re
import signal
import time

import pytest
import sqlalchemy as sa
from checker import Findings, check, guarded, log_is_complete
from harness import Site, gated, plan, task, wait_until
from keeper import Keeper, Part

from solar_orch.store.schema import plans

#: A lease that nobody misses who lives: what is lost is lost by mistake.
OPTIONS = {
    "lease": 20,
    "poll_interval": 0.1,
    "resend_interval": 0.5,
    "send_timeout": 0.5,
    "max_inprogress": 6,
    "target_limit": 1,
}

PATIENCE = 100.0


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A sixth of the seeds that are asked for: each is six plans."""
    if "sixth" in metafunc.fixturenames:
        first = metafunc.config.getoption("--first-seed")
        metafunc.parametrize("sixth", range(first, first + max(1, metafunc.config.getoption("--seeds") // 6)))


@pytest.fixture(autouse=True)
def limits(site: Site) -> None:
    site.set(**OPTIONS)


def narrow(seed: int, name: str, count: int = 30, *more: dict[str, object]) -> dict[str, object]:
    """A plan that its limits hold up: more could run than may."""
    chance = random.Random(f"{seed} {name}")
    tasks = []
    for number in range(count):
        parameters: dict[str, object] = {}
        if chance.random() < 0.5:
            parameters["target"] = f"host{chance.randrange(3)}"
        if chance.random() < 0.3:
            parameters |= {"type_limit": 2, "resource_type": "group"}
        after = sorted({f"t{chance.randrange(number)}" for _ in range(chance.randrange(3))}) if number else []
        body = guarded(f"sleep {chance.choice([0, 0.02, 0.1])}")
        if chance.random() < 0.2:
            body = guarded('[ "$SOLAR_ATTEMPT" != 1 ] || exit 1')
            parameters |= {"retry": 1, "retry_delay": 0.1}
        tasks.append(task(f"t{number}", "cmd", body, after=after, weight=chance.randrange(4), **parameters))
    return plan(*tasks, *more, name=name)


def beside(site: Site) -> dict[str, object]:
    """Options for a second scheduler that shares the other workers of the first."""
    return {"scheduler_address": f"ipc://{site.runtime}/other.sock"}


def leads(site: Site) -> dict[str, tuple[int | None, int]]:
    """Plan uid to the pid of the process that leads it, and the epoch."""
    query = sa.select(plans.c.uid, plans.c.lease_owner, plans.c.lease_epoch)
    with site.store.database.read() as connection:
        return {
            uid: (owner and int(owner.rsplit(":", 2)[1]), epoch)
            for uid, owner, epoch in connection.execute(query)
        }


def checked(site: Site, uids: list[str]) -> Findings:
    """Wait for the end of these plans, and check all of them."""
    found = Findings()
    for uid in uids:
        site.ended(uid, seconds=PATIENCE)
        wait_until(lambda uid=uid: log_is_complete(site, uid), "all outcomes in the system log")
        found += check(site, uid)
    return found


def times_led(site: Site) -> int:
    """How often a scheduler has said that it takes a lead, in all logs."""
    said = re.compile(r"scheduler: \S+: (leading it|taking the lead over from)")
    return sum(len(said.findall(process.log)) for process in site.processes)


# -- killed --------------------------------------------------------------------------------


@pytest.mark.timeout(180)
def test_schedulers_that_are_killed_at_random_times_dispatch_each_attempt_once(
    site: Site, sixth: int
) -> None:
    """The tasks workers go on: nothing is lost, and nothing that had been dispatched is dispatched again."""
    chance = random.Random(sixth)
    elsewhere = site.elsewhere
    uids = [site.want(narrow(sixth, f"p{number}")) for number in range(6)]
    schedulers = [Part(["scheduler"]), Part(["scheduler"], elsewhere)]
    with Keeper(site, [*schedulers, Part(["tasks"]), Part(["tasks", "system_log"], elsewhere)]) as keeper:
        wait_until(lambda: len(site.marks) > 10, "plans to be under way", PATIENCE)
        for _ in range(chance.randint(3, 5)):
            over = time.monotonic() + chance.uniform(0.1, 0.7)
            wait_until(lambda over=over: time.monotonic() >= over)
            keeper.kill(chance.choice(schedulers))
        found = checked(site, uids)
        deaths = keeper.deaths
    assert found.broken == [], f"seed {sixth}"
    assert (found.lost, found.repeated) == (0, 0)
    # An epoch is used once, and all that were taken were led.
    assert sum(epoch for _, epoch in leads(site).values()) >= times_led(site) >= 6
    assert all(owner is None for owner, _ in leads(site).values())
    assert deaths >= 3
    assert site.others() == []


def test_plans_of_a_killed_set_are_taken_over_one_by_one_and_limits_hold(site: Site) -> None:
    """All of the first set is killed, so that its attempts are lost as well."""
    site.set(lease=1.5)
    first = site.worker()
    gate = task("gate", "cmd", guarded(gated()))
    uids = [site.want(narrow(7, f"p{number}", 10, gate)) for number in range(6)]
    wait_until(lambda: set(leads(site).values()) == {(first.pid, 1)}, "the first to lead all")
    second = site.worker(**site.elsewhere)
    first.kill()
    wait_until(lambda: set(leads(site).values()) == {(second.pid, 2)}, "the second to lead all")
    site.open()
    assert checked(site, uids).broken == []
    assert set(leads(site).values()) == {(None, 2)}
    assert sorted(re.findall(r"(\S+): taking the lead over from", second.log)) == sorted(uids)
    assert second.stop() == 0
    assert site.others() == []


# -- stopped ---------------------------------------------------------------------------------


def test_a_scheduler_that_stops_releases_its_plans_at_once(site: Site) -> None:
    """What has been claimed runs on for whoever leads next; nobody has to wait for a lease."""
    site.set(lease=600)
    first = site.worker("scheduler")
    tasks = site.worker("tasks", "system_log")
    uids = [
        site.want(
            plan(
                task("slow", "cmd", guarded(gated())),
                task("next", "cmd", guarded(), after=["slow"]),
                name=f"p{n}",
            )
        )
        for n in range(4)
    ]
    for uid in uids:
        wait_until(lambda uid=uid: site.look(uid)["slow"]["start_time"])
    assert set(leads(site).values()) == {(first.pid, 1)}
    assert first.stop() == 0
    # Before anyone could have taken them.
    assert set(leads(site).values()) == {(None, 1)}
    second = site.worker("scheduler")
    wait_until(lambda: set(leads(site).values()) == {(second.pid, 2)}, "the second to lead all")
    third = site.worker("scheduler", **beside(site))
    second.send(signal.SIGTERM)
    wait_until(lambda: set(leads(site).values()) == {(third.pid, 3)}, "the third to lead all")
    assert second.wait() == 0
    site.open()
    found = checked(site, uids)
    assert found.broken == []
    assert (found.lost, found.repeated, found.attempts) == (0, 0, 8)
    assert "taking the lead over from" not in second.log + third.log
    assert [third.stop(), tasks.stop()] == [0, 0]
