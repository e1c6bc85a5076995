"""Named points at which a process can be made to fail, so that tests can do so exactly there.

Nothing happens at them unless the environment variable ``SOLAR_FAULTS`` is
set when the process starts::

    SOLAR_FAULTS="settle.after=kill; claim.before=delay:0.5@3"

reads: kill this process (SIGKILL) the first time that it comes to
``settle.after``, and half a second of delay the third time that it comes to
``claim.before``.  With ``@*`` it is done each time.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

from solar_orch.errors import ConfigError, SolarError

LOG = logging.getLogger(__name__)

VARIABLE = "SOLAR_FAULTS"

#: What is committed, by the name that the two points before and after it begin with.
COMMITS: dict[str, str] = {
    "create": "a plan is written",
    "want": "a plan is to run",
    "stop": "a plan is stopped or paused",
    "steer": "a command changes the states of a plan's tasks",
    "delete": "a plan is deleted",
    "sweep": "some of what a deleted plan has left behind is deleted",
    "finish": "a plan has come to its end",
    "acquire": "a scheduler takes the lead of a plan",
    "renew": "a scheduler keeps its leads",
    "release": "a scheduler gives up the lead of a plan",
    "dispatch": "new attempts are recorded",
    "pass_over": "tasks whose condition does not hold are passed over",
    "refuse": "an attempt that cannot be sent ends",
    "expire": "an attempt that had no result in time ends, or is to be killed",
    "lose": "an attempt without a heartbeat is judged lost",
    "return": "a scheduler that stops takes back what nobody has claimed",
    "claim": "a tasks worker takes an attempt",
    "beat": "a tasks worker keeps its attempts alive",
    "show_output": "a tasks worker writes down what an attempt has written so far",
    "settle": "a tasks worker records an outcome",
    "hand_back": "a tasks worker gives back an attempt, run in part or not at all",
    "kill": "a wish to kill a task is recorded",
    "log": "the system log enters outcomes",
    "stage": "a change is staged",
    "discard": "staged changes are removed",
    "presence": "a worker says that it is up",
    "leave": "a worker says that it has stopped",
}

#: What is sent, likewise.
SENDS: dict[str, str] = {
    "send.tasks": "the scheduler sends a call to the tasks worker",
    "send.scheduler": "a worker sends a call to the scheduler",
    "send.system_log": "the tasks worker sends a call to the system log",
    "send.hint": "solar-orch tells the scheduler of a plan",
}

#: Points that stand alone.
SINGLE: dict[str, str] = {
    "answer": "a commit is done and its answer on the way; to raise here loses that answer",
    "receive.tasks": "the tasks worker has taken a call from its socket",
    "receive.scheduler": "the scheduler has taken a call from its socket",
    "receive.system_log": "the system log has taken a call from its socket",
}

#: Every point with what it is.
POINTS: dict[str, str] = {
    **{f"{name}.{moment}": f"{moment} {what}" for name, what in (COMMITS | SENDS).items()
       for moment in ("before", "after")},
    **SINGLE,
}  # fmt: skip

#: Seconds between two looks for the file of a ``hold``.
_PAUSE = 0.01


class Injected(SolarError):  # noqa: N818 - not an error of anyone's
    """What the action ``raise`` raises."""

    def __init__(self, point: str) -> None:
        self.point = point
        super().__init__(f"fault injected at {point}")


@dataclass(frozen=True)
class _Fault:
    action: Callable[[str, str], None]
    argument: str
    #: At which visit; None means at each.
    visit: int | None


def hit(point: str) -> None:
    """The process has come to this point.  Costs a function call when no faults are to be injected.

    May block, when told to, cooperatively where gevent has patched ``time``.

    :raises Injected: when told to
    """
    if _FAULTS:
        _meet(point)


def are_armed() -> bool:
    """Whether any are to be injected; spares who is at a point thousands of times a second its name."""
    return bool(_FAULTS)


def _meet(point: str) -> None:
    faults = _FAULTS.get(point)
    if not faults:
        return
    _VISITS[point] += 1
    for fault in faults:
        if fault.visit in (None, _VISITS[point]):
            fault.action(point, fault.argument)


# -- actions -----------------------------------------------------------------


def _kill(point: str, _argument: str) -> None:
    # Unbuffered, so that a test sees where the process died.
    os.write(sys.stderr.fileno(), f"fault: {point}: kill\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


#: Enters a state in which nothing else in this process is half done, such as a transaction of a thread.
_RESTS: list[Callable[[], AbstractContextManager[object]]] = []


def at_rest(rest: Callable[[], AbstractContextManager[object]]) -> None:
    """Register what is entered while this process is stopped at a point, and nowhere else."""
    _RESTS.append(rest)


def _stop(point: str, _argument: str) -> None:
    with ExitStack() as resting:
        for rest in _RESTS:
            resting.enter_context(rest())
        os.write(sys.stderr.fileno(), f"fault: {point}: stop\n".encode())
        os.kill(os.getpid(), signal.SIGSTOP)


def _delay(_point: str, seconds: str) -> None:
    time.sleep(float(seconds))


def _hold(_point: str, path: str) -> None:
    """Wait until there is a file `path`; that it waits is told by a file ``PATH.held``."""
    with open(f"{path}.held", "wb"):
        pass
    while not os.path.exists(path):
        time.sleep(_PAUSE)


def _raise(point: str, _argument: str) -> None:
    raise Injected(point)


#: What can be done at a point, by name.
ACTIONS: dict[str, Callable[[str, str], None]] = {
    "kill": _kill,
    "stop": _stop,
    "delay": _delay,
    "hold": _hold,
    "raise": _raise,
}


# -- reading -----------------------------------------------------------------


def parse(text: str) -> dict[str, list[_Fault]]:
    """Read the value of ``SOLAR_FAULTS``: point to what is done there.

    :raises ConfigError: if it is none
    """
    found: dict[str, list[_Fault]] = {}
    for item in filter(None, (part.strip() for part in text.split(";"))):
        point, equals, action = item.partition("=")
        action, _, visit = action.partition("@")
        action, _, argument = action.partition(":")
        if not equals or point not in POINTS:
            raise _mistake(text, f"there is no point {point!r}")
        if action not in ACTIONS:
            raise _mistake(text, f"there is no action {action!r}; there are: {', '.join(ACTIONS)}")
        if visit not in ("", "*") and not visit.isdecimal():
            raise _mistake(text, f"{visit!r} is not the number of a visit")
        if action == "delay" and not argument.replace(".", "", 1).isdecimal():
            raise _mistake(text, f"{argument!r} is no number of seconds")
        when = None if visit == "*" else int(visit or 1)
        found.setdefault(point, []).append(_Fault(ACTIONS[action], argument, when))
    return found


def _mistake(text: str, problem: str) -> ConfigError:
    return ConfigError(problem, option=VARIABLE, value=text, source="environment")


_FAULTS: dict[str, list[_Fault]] = {}
_VISITS: Counter[str] = Counter()


def arm(text: str | None) -> None:
    """Inject these faults in this process from now on; None or an empty text: none.

    :raises ConfigError: if `text` cannot be read
    """
    _FAULTS.clear()
    _VISITS.clear()
    if text:
        _FAULTS.update(parse(text))
        LOG.warning("faults are injected into this process: %s", text)
