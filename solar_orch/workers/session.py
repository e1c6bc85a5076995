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
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

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
    """The living processes of a session, as :func:`members_of`."""
    return members_of([session])[session]


def members_of(sessions: Collection[int]) -> dict[int, list[Member]]:
    """The living processes of each session; what is dead and only waits to be reaped does not count.

    Reads ``/proc`` once; takes about a microsecond for each process of the host.
    """
    try:
        entries = os.listdir("/proc")
    except OSError as error:
        # Out of descriptors, most likely: nobody may be taken for dead on that account.
        LOG.warning("/proc cannot be read (%s): only the first group of each session is seen", error)
        return {session: [Member(session, session)] if _has_group(session) else [] for session in sessions}
    found: dict[int, list[Member]] = {session: [] for session in sessions}
    for entry in entries:
        if not entry.isdecimal():
            continue
        try:
            session = os.getsid(int(entry))
        except OSError:
            continue
        if session not in found:
            continue
        member = _living(int(entry), session)
        if member is not None:
            found[session].append(member)
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


def _certain_members_of(sessions: Collection[int]) -> dict[int, list[Member]]:
    found = members_of(sessions)
    # One that forks while the list is read can slip through it, but not twice.
    doubtful = [session for session in sessions if not found[session] and _has_group(session)]
    return found | members_of(doubtful) if doubtful else found


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
    _send(session, signum, members(session))


def _send(session: int, signum: int, living: Iterable[Member]) -> None:
    for group in {session, *(member.group for member in living)}:
        try:
            os.killpg(group, signum)
        except ProcessLookupError:
            continue
        except PermissionError:
            LOG.warning("process group %d belongs to another user: not signalled", group)


def end(
    session: int,
    *,
    sleep: Callable[[float], object] = time.sleep,
    grace: float = GRACE,
    patience: float = PATIENCE,
) -> bool:
    """End all processes of a session: SIGTERM, and SIGKILL to what is left after `grace` seconds.

    Waits by `sleep` until none is alive, at most ``grace + patience``
    seconds.  It must not be this process's own session.

    :return: False if something is left alive, which is logged as an error
    """
    ending = Ending()
    ending.begin(session, grace=grace, patience=patience)
    while True:
        over = ending.step()
        if session in over:
            return over[session]
        sleep(ending.pause)


@dataclass
class _Fate:
    kill_at: float
    patience: float
    warned: bool = False
    #: Set with the first SIGKILL, so that nothing is given up that was not sent one.
    give_up_at: float | None = None


class Ending:
    """Sessions that are being ended, side by side; for who must not wait for it.

    :param before_signal: is called with each session that turns out to be
        alive, before the first signal is sent to it
    """

    def __init__(self, before_signal: Callable[[int], None] | None = None) -> None:
        self._fates: dict[int, _Fate] = {}
        self._before_signal = before_signal
        self._next = 0.0
        self._pause = _SHORTEST_PAUSE

    def __contains__(self, session: int) -> bool:
        return session in self._fates

    def __len__(self) -> int:
        return len(self._fates)

    @property
    def pause(self) -> float:
        """Seconds until :meth:`step` is due."""
        return max(self._next - time.monotonic(), 0.0)

    def begin(self, session: int, *, grace: float = GRACE, patience: float = PATIENCE) -> None:
        """End it, as :func:`end`, by the steps to come; one that is being ended already goes no later."""
        if session <= 1 or session == os.getsid(0):
            raise ValueError(f"session {session} must not be ended")
        now = time.monotonic()
        fate = self._fates.setdefault(session, _Fate(now + grace, patience))
        fate.kill_at = min(fate.kill_at, now + grace)
        self._next = now
        self._pause = _SHORTEST_PAUSE

    def step(self) -> dict[int, bool]:
        """Do what is due; does not block, reads ``/proc`` once for all.

        :return: those that are over with this step, and whether nothing of them is left alive
        """
        found = _certain_members_of(self._fates)
        now = time.monotonic()
        over = {}
        for session, fate in list(self._fates.items()):
            if not found[session]:
                over[session] = True
            elif fate.give_up_at is not None and now >= fate.give_up_at:
                over[session] = False
                LOG.error("processes %s do not end on SIGKILL: given up",
                          ", ".join(str(member.pid) for member in found[session]))  # fmt: skip
            else:
                self._push(session, fate, found[session], now)
        for session in over:
            del self._fates[session]
        self._next = now + self._pause
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        return over

    def _push(self, session: int, fate: _Fate, living: list[Member], now: float) -> None:
        if not fate.warned and self._before_signal is not None:
            self._before_signal(session)
        if now >= fate.kill_at:
            # Sent again and again, to who may have come since.
            _send(session, signal.SIGKILL, living)
            if fate.give_up_at is None:
                fate.give_up_at = now + fate.patience
        elif not fate.warned:
            _send(session, signal.SIGTERM, living)
            # What is stopped would not hear it.
            _send(session, signal.SIGCONT, living)
        fate.warned = True
