"""Ending everything that a command started.

A command leads a session of its own, whose number is its process id.  A
session holds all process groups that its members make, so that ``timeout 60
wget ...`` or a job of an interactive shell, each in a group apart, is found
as well as the plain children.  What has begun a session of its own (a
daemon, ``setsid``) has left on purpose and is let live.

The kernel gives the number to nobody else while a member is left.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from dataclasses import dataclass

import gevent

LOG = logging.getLogger(__name__)

#: Seconds between SIGTERM and SIGKILL.
GRACE = 2.0
#: Seconds after SIGKILL until a process that does not go (hung in a system call) is given up.
PATIENCE = 10.0

_SHORTEST_PAUSE = 0.002
_LONGEST_PAUSE = 0.1


@dataclass(frozen=True)
class Member:
    """A living process of a session."""

    pid: int
    group: int


def members(session: int) -> list[Member]:
    """The living processes of a session; what is dead and only waits to be reaped does not count.

    Reads ``/proc``; takes about a microsecond for each process of the host.
    """
    try:
        entries = os.listdir("/proc")
    except OSError as error:
        # Out of descriptors, most likely: nobody may be taken for dead on that account.
        LOG.warning("/proc cannot be read (%s): only the first group of session %d is seen", error, session)
        return [Member(session, session)] if _has_group(session) else []
    found = []
    for entry in entries:
        if not entry.isdecimal():
            continue
        try:
            if os.getsid(int(entry)) != session:
                continue
        except OSError:
            continue
        member = _living(int(entry), session)
        if member is not None:
            found.append(member)
    return found


def _living(pid: int, session: int) -> Member | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            # The name before the last parenthesis may hold anything, even parentheses.
            fields = stat.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError:
        return _unreadable(pid)
    state, group, its_session, threads = fields[0], int(fields[2]), int(fields[3]), int(fields[17])
    if its_session != session:
        return None
    if state in (b"Z", b"X") and threads <= 1:
        return None
    return Member(pid, group)


def _unreadable(pid: int) -> Member | None:
    try:
        return Member(pid, os.getpgid(pid))
    except OSError:
        return None


def is_alive(session: int) -> bool:
    """Whether a living process is left in a session."""
    if members(session):
        return True
    # One that forks while the list is read can slip through it, but not twice.
    return _has_group(session) and bool(members(session))


def _has_group(session: int) -> bool:
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def send(session: int, signum: int) -> None:
    """Send a signal to all process groups of a session, those of other users excepted."""
    for group in {session, *(member.group for member in members(session))}:
        try:
            os.killpg(group, signum)
        except ProcessLookupError:
            continue
        except PermissionError:
            LOG.warning("process group %d belongs to another user: not signalled", group)


def end(session: int, *, grace: float = GRACE, patience: float = PATIENCE) -> bool:
    """End all processes of a session: SIGTERM, and SIGKILL to what is left after `grace` seconds.

    Blocks the calling greenlet until none is alive, at most ``grace +
    patience`` seconds.  It must not be this process's own session.

    :return: False if something is left alive, which is logged as an error
    """
    if session <= 1 or session == os.getsid(0):
        raise ValueError(f"session {session} must not be ended")
    send(session, signal.SIGTERM)
    # What is stopped would not hear it.
    send(session, signal.SIGCONT)
    if _gone_within(session, grace):
        return True
    if _gone_within(session, patience, signum=signal.SIGKILL):
        return True
    LOG.error(
        "processes %s do not end on SIGKILL: given up",
        ", ".join(str(member.pid) for member in members(session)),
    )
    return False


def _gone_within(session: int, seconds: float, signum: int | None = None) -> bool:
    """Wait until the session is gone; `signum` is sent again and again, to who may have come since."""
    deadline = time.monotonic() + seconds
    pause = _SHORTEST_PAUSE
    while is_alive(session):
        if signum is not None:
            send(session, signum)
        if time.monotonic() >= deadline:
            return False
        gevent.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
    return True
