"""The parent: it begins children, begins them again, and stops them.

It blocks the signals that concern it and takes them one by one: no handler, thread or
greenlet runs beside it, so that it can fork at any time.
"""

from __future__ import annotations

import itertools
import logging
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from solar_orch.errors import ExitCode, SolarError
from solar_process_runner.child import Child
from solar_process_runner.options import GROUP

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.executors.base import Executor

LOG = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_TAKEN = (*STOP_SIGNALS, signal.SIGCHLD)

#: Exit codes of a child that would only fail again.
_FINAL = (ExitCode.USAGE, ExitCode.ADDRESS_IN_USE)
#: Seconds beyond ``drain_timeout`` after which a child that does not end is killed.
_MARGIN = 20.0
#: Seconds that children get after a second signal, and seconds between reminders.
_AT_ONCE, _REMIND = 8.0, 0.25
#: How many times a delay is doubled at most; further than that no float reaches.
_DOUBLINGS = 1000
#: Seconds between looks, should a signal be missed.
_LOOK = 5.0


class WorkerDied(SolarError):  # noqa: N818 - as Killed and Interrupted of solar-orch
    """A worker has died, and is not begun again.

    :param worker: its name
    :param code: its exit code, negative for the number of a signal
    :param epitaph: how it has ended
    :param restarts: how many times in a row it has been begun again before
    """

    def __init__(self, worker: str, code: int, epitaph: str, restarts: int) -> None:
        self.worker = worker
        self.code = code
        # What is wrong with one worker is wrong with the whole.
        self.exit_code = ExitCode(code) if code in _FINAL else ExitCode.FAILURE
        self.epitaph = epitaph
        self.restarts = restarts
        again = f", after {restarts} restarts in a row" if restarts else ""
        super().__init__(f"the {worker} worker has died{again}: {epitaph}")


@dataclass
class _Place:
    """Where one worker's process stands."""

    name: str
    executor: Executor
    child: Child | None = None
    begun_at: float = 0.0
    #: When it is to be begun again; None while it runs.
    due: float | None = 0.0
    restarts: int = 0

    @property
    def drain_order(self) -> int:
        return self.executor.worker.drain_order

    @property
    def runs(self) -> bool:
        return self.child is not None and not self.child.has_ended()


def restart_delay(restarts: int, first: float, most: float) -> float:
    """Seconds until a worker is begun again that has been so a number of times in a row."""
    return min(first * 2.0 ** min(restarts, _DOUBLINGS), most)


class Supervisor:
    """Runs executors in processes until it is told to stop; see :func:`solar_process_runner.runner.run`."""

    def __init__(self, executors: Mapping[str, Executor], conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._options = conf[GROUP]
        self._places = [_Place(name, executor) for name, executor in executors.items()]
        self._failure: WorkerDied | None = None
        self._stop_signals = 0

    def run(self) -> None:
        """Run all until a signal comes, or one is given up; then stop them.  Blocks.

        :raises WorkerDied: if one is given up
        :raises SolarError: after a second signal
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _TAKEN)
        try:
            while not self._stop_signals and self._failure is None:
                self._begin_what_is_due()
                self._wait(self._seconds_until_due())
                self._look_for_deaths()
            self._stop_in_order()
        finally:
            self._kill(self._places)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if self._failure is not None:
            raise self._failure
        if self._stop_signals > 1:
            raise SolarError("ended at once by a second signal; what was running will be run again")

    def _wait(self, seconds: float) -> None:
        """Wait for a signal, for so many seconds at most."""
        found = signal.sigtimedwait(_TAKEN, max(0.0, seconds))
        if found is not None and found.si_signo in STOP_SIGNALS:
            self._stop_signals += 1
            LOG.info("received %s", signal.Signals(found.si_signo).name)
            if self._stop_signals == 2:
                LOG.warning("a second signal: ending at once")

    # -- running -----------------------------------------------------------------

    def _begin_what_is_due(self) -> None:
        now = time.monotonic()
        for place in self._places:
            if place.due is not None and place.due <= now:
                place.child = Child(place.name, place.executor, self._conf, _TAKEN)
                place.begun_at, place.due = now, None

    def _seconds_until_due(self) -> float:
        now = time.monotonic()
        return min([_LOOK, *(place.due - now for place in self._places if place.due is not None)])

    def _look_for_deaths(self) -> None:
        for place in self._places:
            if place.due is None and not place.runs and not self._stop_signals:
                self._note_death(place)

    def _note_death(self, place: _Place) -> None:
        assert place.child is not None
        code, epitaph = place.child.code, place.child.epitaph()
        if time.monotonic() - place.begun_at >= self._options.restart_reset:
            place.restarts = 0
        if code in _FINAL or place.restarts >= self._options.restart_limit:
            self._failure = self._failure or WorkerDied(place.name, code, epitaph, place.restarts)
            LOG.error("%s", self._failure)
            return
        delay = restart_delay(place.restarts, self._options.restart_delay, self._options.restart_delay_max)
        place.restarts += 1
        place.due = time.monotonic() + delay
        LOG.warning("%s has died (%s) and is begun again in %g s", place.name, epitaph, delay)

    # -- stopping ----------------------------------------------------------------

    def _stop_in_order(self) -> None:
        places = sorted(self._places, key=lambda place: place.drain_order)
        for _, group in itertools.groupby(places, key=lambda place: place.drain_order):
            if self._is_hurried:
                break
            stopped = [place for place in group if place.runs]
            LOG.info("stopping %s", ", ".join(place.name for place in stopped) or "none that runs")
            self._stop(stopped)
        if self._is_hurried:
            self._end_at_once()

    @property
    def _is_hurried(self) -> bool:
        return self._stop_signals > 1

    def _stop(self, places: list[_Place]) -> None:
        """Have some children stop; returns when they have ended, or there is a second signal."""
        _send(places, signal.SIGTERM)
        deadline = time.monotonic() + self._conf.orchestration.drain_timeout + _MARGIN
        while any(place.runs for place in places) and time.monotonic() < deadline:
            self._wait(min(_LOOK, deadline - time.monotonic()))
            if self._is_hurried:
                return
        self._kill(places)

    def _end_at_once(self) -> None:
        """Have all that run end beside each other: one that does not must not take the time of the others."""
        deadline = time.monotonic() + _AT_ONCE
        while any(place.runs for place in self._places) and time.monotonic() < deadline:
            _send(self._places, signal.SIGTERM)  # a child that has heard of it twice ends at once
            self._wait(_REMIND)
        self._kill(self._places)

    def _kill(self, places: Iterable[_Place]) -> None:
        for place in places:
            if place.runs and place.child is not None:
                LOG.error("%s does not end, and is killed", place.name)
                place.child.send(signal.SIGKILL)
        while any(place.runs for place in places):
            self._wait(_LOOK)


def _send(places: Iterable[_Place], number: signal.Signals) -> None:
    for place in places:
        if place.child is not None:
            place.child.send(number)
