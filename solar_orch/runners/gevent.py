"""The runner that runs all executors in greenlets of this process, and stops them on a signal."""

from __future__ import annotations

import itertools
import logging
import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import gevent
from gevent import monkey
from gevent.event import Event

from solar_orch.errors import SolarError
from solar_orch.executors.base import Executor

if TYPE_CHECKING:
    from oslo_config import cfg

LOG = logging.getLogger(__name__)

#: The signals on which everything is stopped.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: Seconds after a second signal at which the process ends, whatever still runs.
HARD_LIMIT = 8.0
#: Seconds that an executor gets beyond the time in which it was to stop.
MARGIN = 20.0
#: Waits are cut into pieces of this many seconds: a loop without any timer would be taken for deadlocked.
_LONG = 60.0
#: Seconds between looks whether all take calls.
_SOON = 0.01


class StoppedAtOnce(SolarError):  # noqa: N818 - as Interrupted and Killed
    """A second signal ended what was still running."""

    def __init__(self) -> None:
        super().__init__("ended at once by a second signal; what was running will be run again")


def run(executors: Mapping[str, Executor], conf: cfg.ConfigOpts) -> None:
    """Run all executors until SIGTERM, SIGINT, or the failure of one; blocks.

    They are begun in their order; when one has failed, or a signal has come,
    those that have not been begun are not run.

    A signal stops them in the order of ``worker.drain_order``, each with
    ``drain_timeout`` seconds for what it runs.  A second signal ends all at
    once; should that not be done within ``HARD_LIMIT`` seconds, the process
    exits with code 1.  Signals are handled only if this is the main thread,
    and as before once this has returned.

    :param executors: by worker name
    :param conf: its ``[orchestration] drain_timeout`` is used
    :raises StoppedAtOnce: after a second signal
    :raises Exception: that with which the first executor failed, after all have stopped
    :raises SolarError: if an executor returned without having been asked to stop, or does not stop
    """
    if not executors:
        LOG.warning("there is nothing to run")
        return
    _Run(executors, conf.orchestration.drain_timeout).serve()


class _Run:
    def __init__(self, executors: Mapping[str, Executor], drain_timeout: float) -> None:
        self._executors = executors
        self._drain_timeout = drain_timeout
        self._stopping = False
        self._begun: set[str] = set()
        self._forced = False
        self._signals = 0
        self._over = False
        self._failure: BaseException | None = None
        self._changed = Event()
        self._greenlets: dict[str, Any] = {}
        self._stopper: Any = None

    def serve(self) -> None:
        with self._signal_handlers():
            try:
                for name, executor in self._executors.items():
                    self._greenlets[name] = greenlet = gevent.spawn(self._run_one, name, executor)
                    greenlet.rawlink(self._note_change)
                telling = gevent.spawn(self._tell_when_ready)
                try:
                    self._wait_until_ended()
                finally:
                    telling.kill()
            except BaseException:
                # KeyboardInterrupt, or this greenlet is being killed: nobody will stop them otherwise.
                self._stop_all(0.0)
                raise
            finally:
                self._over = True
        if self._failure is not None:
            raise self._failure
        if self._forced:
            raise StoppedAtOnce
        LOG.info("all have stopped")

    # -- running ---------------------------------------------------------

    def _run_one(self, name: str, executor: Executor) -> None:
        if self._stopping:
            # Of processes that are started at once, the one that gets the first address must get all.
            return
        self._begun.add(name)
        try:
            executor.run()
            # Whoever embeds the host may stop an executor without asking the runner.
            if not self._stopping and not getattr(executor, "stopping", False):
                raise SolarError(f"the executor of {name} ended without having been asked to")
            LOG.info("%s has stopped", name)
        except BaseException as error:
            self._fail(name, error)

    def _tell_when_ready(self) -> None:
        """One line for whoever waits for all of it; an executor that does not tell is taken for ready."""
        while not all(getattr(executor, "taking", True) for executor in self._executors.values()):
            gevent.sleep(_SOON)
        if not self._stopping:
            LOG.info("ready: %s", ", ".join(self._executors))

    def _note_change(self, _greenlet: object) -> None:
        self._changed.set()

    def _fail(self, name: str, error: BaseException) -> None:
        if isinstance(error, SolarError):
            LOG.error("%s failed: %s", name, error)
        else:
            LOG.error("%s failed", name, exc_info=error)
        if not isinstance(error, Exception):
            error = SolarError(f"the executor of {name} was ended by {type(error).__name__}: {error}")
        self._failure = self._failure or error
        self._begin_stop(f"{name} failed")

    def _wait_until_ended(self) -> None:
        while not self._all_ended() and not self._is_stuck():
            self._changed.clear()
            self._changed.wait(_LONG)
        if self._stopper is not None:
            self._stopper.join(MARGIN)

    def _all_ended(self) -> bool:
        return all(greenlet.dead for greenlet in self._greenlets.values())

    def _is_stuck(self) -> bool:
        """All have been stopped, and still one does not return."""
        if self._stopper is None or not self._stopper.dead:
            return False
        gevent.joinall(list(self._greenlets.values()), timeout=MARGIN)
        late = [name for name, greenlet in self._greenlets.items() if not greenlet.dead]
        if late:
            self._failure = self._failure or SolarError(f"these executors do not end: {', '.join(late)}")
        return bool(late)

    # -- stopping --------------------------------------------------------

    def _begin_stop(self, why: str) -> None:
        if not self._stopping:
            self._stopping = True
            LOG.info("stopping: %s", why)
            self._tell("forewarn", self._executors)
            # Those that are stopped first start nothing more, even before their turn in the loop comes.
            self._tell("refuse", next(iter(_groups(self._executors)), []))
            self._stopper = gevent.spawn(self._stop_in_order)
            self._stopper.rawlink(self._note_change)

    def _tell(self, what: str, names: Iterable[str]) -> None:
        """Call a method that executors may have, or not."""
        for name in names:
            tell = getattr(self._executors[name], what, None)
            if tell is not None:
                tell()

    def _stop_in_order(self) -> None:
        for names in _groups(self._executors):
            LOG.info("stopping %s", ", ".join(names))
            greenlets = [gevent.spawn(self._stop_one, name, self._drain_timeout) for name in names]
            gevent.joinall(greenlets, timeout=self._drain_timeout + MARGIN)

    def _stop_all(self, timeout: float) -> None:
        greenlets = [gevent.spawn(self._stop_one, name, timeout) for name in self._executors]
        gevent.joinall(greenlets, timeout=timeout + MARGIN)

    def _stop_one(self, name: str, timeout: float) -> None:
        if name not in self._begun:
            return
        try:
            self._executors[name].stop(timeout)
        except Exception:
            LOG.exception("%s could not be stopped", name)

    def _end_at_once(self) -> None:
        LOG.warning("a second signal: ending at once")
        self._forced = True
        _start_thread(self._exit_unless_over)
        self._stop_all(0.0)

    def _exit_unless_over(self) -> None:
        # A thread of the system's, because the event loop may be what hangs.  It must not log: a
        # lock of logging may be held by a greenlet.
        _sleep(HARD_LIMIT)
        if not self._over:
            os._exit(1)

    # -- signals ---------------------------------------------------------

    def _on_signal(self, number: int) -> None:
        self._signals += 1
        name = signal.Signals(number).name
        if self._signals == 1:
            LOG.info("received %s", name)
            self._begin_stop(name)
        elif not self._forced:
            self._end_at_once()

    @contextmanager
    def _signal_handlers(self) -> Iterator[None]:
        if not gevent.get_hub().loop.default:
            LOG.debug("not the main thread: signals are left alone")
            yield
            return
        handlers = [gevent.signal_handler(number, self._on_signal, number) for number in STOP_SIGNALS]
        try:
            yield
        finally:
            for handler in handlers:
                handler.cancel()
            for number in STOP_SIGNALS:
                _restore(number)


def _restore(number: int) -> None:
    """Bring back Python's handler: the event loop leaves the system's default behind."""
    handler = signal.getsignal(number)
    if handler is not None:
        signal.signal(number, handler)


def _groups(executors: Mapping[str, Executor]) -> list[list[str]]:
    """Names by drain order, the lowest first; those that are stopped together in one list."""

    def order(name: str) -> int:
        return executors[name].worker.drain_order

    return [list(names) for _, names in itertools.groupby(sorted(executors, key=order), key=order)]


# What gevent's patching, if it was done, has put aside.
_start_thread_original = monkey.get_original("_thread", "start_new_thread")
_sleep = monkey.get_original("time", "sleep")


def _start_thread(function: Any) -> None:
    try:
        _start_thread_original(function, ())
    except RuntimeError:
        LOG.exception("no thread can be started to end the process in %g s", HARD_LIMIT)
