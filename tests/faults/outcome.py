"""The end of a plan to which things were done, and whether it is as it should be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from checker import Findings, check, log_is_complete
from harness import PATIENCE, Ended, Site, wait_until


def ended_well(
    site: Site,
    uid: str,
    allowed: Mapping[str, Iterable[str]] | None = None,
    seconds: float = PATIENCE,
) -> tuple[Ended, Findings]:
    """Wait for the end of a plan, and for that of its log; nothing of what was promised may be broken.

    :param allowed: as ``checker.check`` takes it
    """
    ended = site.ended(uid, seconds)
    wait_until(lambda: log_is_complete(site, uid), "all outcomes in the system log")
    found = check(site, uid, allowed)
    assert found.broken == [], ended.report
    return ended, found
