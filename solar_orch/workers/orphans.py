"""Commands that neither their worker nor its guard is left to look after, because both were killed.

They are found by the variables that each command is given, and tell by one of
them which session they began in: what has left that on purpose is let live.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

import gevent

from solar_orch.workers import session

LOG = logging.getLogger(__name__)

#: In the environment of each command: the session that it leads.
SESSION = "SOLAR_SESSION"
#: Likewise, those of its task.
PLAN, TASK, ATTEMPT = "SOLAR_PLAN_UID", "SOLAR_TASK_NAME", "SOLAR_ATTEMPT"


def end_orphans(plan_uid: str, task_name: str, attempt: int) -> bool:
    """End what commands of a task, in this attempt and those before, have left on this host.

    To be called when no worker of those attempts is left.  Blocks the
    calling greenlet; reads ``/proc``, some ten microseconds for each process.

    :return: whether all of it is dead; processes of other users are not seen
    """
    found = {
        own
        for variables in _environments()
        if (own := _session_of(variables)) is not None
        and variables.get(PLAN) == plan_uid
        and variables.get(TASK) == task_name
        and _number(variables.get(ATTEMPT, "")) <= attempt
    }
    if found:
        LOG.warning("%s~%s: ending what is left of an earlier attempt, session %s",
                    plan_uid, task_name, ", ".join(map(str, sorted(found))))  # fmt: skip
    left = [number for number in found if not session.end(number, sleep=gevent.sleep)]
    return not left


def _environments() -> list[dict[str, str]]:
    """The environments of all commands that still are in their session."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdecimal():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                content = file.read()
            if SESSION.encode() in content and _is_in_session(int(entry), variables := _parsed(content)):
                found.append(variables)
        except OSError:
            continue  # another user's, or gone meanwhile
    return found


def _parsed(content: bytes) -> dict[str, str]:
    pairs = (item.partition(b"=") for item in content.split(b"\0") if b"=" in item)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def _is_in_session(pid: int, variables: Mapping[str, str]) -> bool:
    own = _session_of(variables)
    return own is not None and own != os.getsid(0) and os.getsid(pid) == own


def _session_of(variables: Mapping[str, str]) -> int | None:
    number = _number(variables.get(SESSION, ""))
    return number if number > 1 else None


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 20 else 0
