"""kill -9 at random times, with automatic restart: nothing is lost, and nothing runs twice at once.

``pytest tests/faults/test_kills.py --seeds 200`` is the nightly size; ``--first-seed N --seeds 1`` repeats one.
"""

from __future__ import annotations

import random
import time

import pytest
from checker import check, log_is_complete
from harness import WORKERS, Site, wait_until
from keeper import Keeper, Part
from mixed import mixed

#: What is killed: one process with all workers; three with one each; or two sets that share the plans.
LAYOUTS = ("together", "apart", "two sets")

OPTIONS = {
    "lease": 1.5,
    "lost_limit": 1000,
    "poll_interval": 0.2,
    "resend_interval": 0.5,
    "max_inprogress": 8,
}

#: Seconds that a plan may take with all that is done to it.
PATIENCE = 100.0


def parts(site: Site, layout: str) -> list[Part]:
    if layout == "together":
        return [Part()]
    if layout == "apart":
        return [Part([name]) for name in WORKERS]
    return [Part(), Part(options=site.elsewhere)]


@pytest.mark.timeout(180)
def test_killed_at_random_times_every_plan_ends_as_it_should(
    site: Site, seed: int, record_property: pytest.RecordProperty
) -> None:
    chance = random.Random(seed)
    layout = LAYOUTS[seed % len(LAYOUTS)]
    site.set(**OPTIONS)
    uid = site.want(mixed(seed))
    begun = time.monotonic()
    with Keeper(site, parts(site, layout)) as keeper:
        for _ in range(chance.randint(3, 6)):
            pause = chance.uniform(0.3, 1.8)
            over = time.monotonic() + pause
            wait_until(lambda over=over: time.monotonic() >= over, seconds=PATIENCE)
            all_of_them = chance.random() < 0.3
            for part in keeper.parts if all_of_them else [chance.choice(keeper.parts)]:
                keeper.kill(part)
        site.ended(uid, seconds=PATIENCE)
        wait_until(lambda: log_is_complete(site, uid), "all outcomes in the system log")
        deaths = keeper.deaths
    found = check(site, uid)
    record_property("seconds", round(time.monotonic() - begun, 2))
    record_property("kills", deaths)
    for name in ("attempts", "repeated", "lost", "doubled", "overlapped"):
        record_property(name, getattr(found, name))
    assert found.broken == [], f"seed {seed}, {layout}"
    assert site.others() == []
