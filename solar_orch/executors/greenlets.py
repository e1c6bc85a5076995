"""What the executors that ship have in common: calls run in greenlets of one process.

How calls arrive is left to subclasses.
"""

from __future__ import annotations

import contextvars
import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event

from solar_orch import faults
from solar_orch.errors import Interrupted, Killed, SolarError
from solar_orch.executors.drops import Drops
from solar_orch.executors.interruption import RunningCall
from solar_orch.executors.slots import Call, Slots
from solar_orch.workers.calls import Ctxt

if TYPE_CHECKING:
    from solar_orch.workers.base import Worker

LOG = logging.getLogger(__name__)

#: Calls that wait for a slot; more are dropped, and sent again by whoever wants them.
MAX_BACKLOG = 10_000
#: Controls that run at once; more are dropped.
MAX_CONTROLS = 1_000
#: Seconds that interrupted calls, and then background functions, get to end.
GRACE = 5.0
#: Seconds that each gets after it has been told a second time.
LAST_GRACE = 1.0
#: Waits are cut into pieces of this many seconds: a loop without any timer would be taken for deadlocked.
_LONG = 60.0
#: Seconds beyond which event loops cannot count.
_FOREVER = 1e8


class GreenletExecutor:
    """Runs the calls of one worker in greenlets; an :class:`~solar_orch.executors.base.Executor`.

    A subclass says how calls arrive: :meth:`open`, :meth:`receive`,
    :meth:`close_intake` and :meth:`release`.  It runs once, and all of its
    methods belong to one thread.

    :param worker: ``worker.conf.orchestration.pool_size`` says how many of its calls run at once
    :param address: where its calls arrive
    """

    def __init__(self, worker: Worker, address: str) -> None:
        self.worker = worker
        self.address = address
        self.pool_size: int = worker.conf.orchestration.pool_size
        self.drops = Drops(worker.name)
        self._call_ended = Event()
        self._slots = Slots(self._make, self.pool_size, self._call_ended.set)
        self._calls = self._slots.running
        self._backlog = self._slots.waiting
        self._controls: dict[Any, RunningCall] = {}
        self._context = contextvars.Context()
        self._taking = False
        #: Whether the process is stopping, though calls may still be taken.
        self.forewarned = False
        self._begun = False
        self._failure: BaseException | None = None
        self._deadline = math.inf
        self._stop_asked = Event()
        self._stopping = Event()
        self._finished = Event()

    @property
    def dropped(self) -> int:
        """Messages that were dropped: malformed, unknown, or too many."""
        return self.drops.total

    @property
    def stopping(self) -> bool:
        """Whether it has been asked to stop, or has failed."""
        return bool(self._stop_asked.is_set())

    @property
    def taking(self) -> bool:
        """Whether calls are taken; if not, what is still to be admitted need not be made."""
        return self._taking

    # -- the contract of an executor -------------------------------------

    def run(self) -> None:
        """Serve until stopped; see :meth:`solar_orch.executors.base.Executor.run`."""
        if self._begun:
            raise SolarError(f"{self.worker.name}: this executor has run already; make a new one")
        self._begun = True
        try:
            if not self._stop_asked.is_set():
                self._serve()
        finally:
            self._finished.set()
        if self._failure is not None:
            raise self._failure

    def stop(self, timeout: float) -> None:
        """Drain and end; see :meth:`solar_orch.executors.base.Executor.stop`.

        Blocks for at most `timeout` and some 15 seconds more, which are for calls
        and background functions that take no notice.
        """
        timeout = min(max(0.0, timeout), _FOREVER)
        self._ask_to_stop(timeout)
        if self._begun and not self._finished.wait(timeout + 3 * (GRACE + LAST_GRACE)):
            LOG.error("%s: did not end in time", self.worker.name)

    def refuse(self) -> None:
        """Take no new calls from now on, and let those go that wait for a slot; returns at once."""
        if self._taking:
            self._taking = False
            if self._backlog:
                LOG.info("%s: %d waiting calls are let go", self.worker.name, len(self._backlog))
            self._backlog.clear()

    def forewarn(self) -> None:
        """Note that :meth:`stop` will come, after others have been stopped; returns at once."""
        self.forewarned = True

    def kill(self, task_id: str, attempt: int | None = None, error: Exception | None = None) -> bool:
        """End a running call; see :meth:`solar_orch.executors.base.Executor.kill`.

        A call that waits for a slot is left alone: when its turn comes,
        its claim decides.
        """
        running = [call for call in self._calls.values() if call.is_of(task_id, attempt)]
        # A call that was delivered twice runs twice until one of the two is refused: all are meant.
        return bool([call for call in running if call.cancel(error or Killed())])

    def interruptible(self, ctxt: Ctxt) -> AbstractContextManager[None]:
        """The context in which the calling greenlet's call can be killed, and its time limit runs.

        :raises Cancelled: inside it, at any point where the greenlet waits,
            or at entry if the call was killed before
        """
        current = gevent.getcurrent()
        call = self._calls.get(current) or self._controls.get(current)
        return call or RunningCall(ctxt, killable=False)

    # -- calls -----------------------------------------------------------

    def accept(self, name: str, ctxt: Any, args: Any, kwargs: Any) -> bool:
        """Take one call that has arrived; returns at once and raises nothing, whatever it is given.

        ``pool_size`` calls are made at once, and 10,000 may wait; what comes beyond
        that is dropped, counted, and sent again by whoever still wants it.

        :return: whether calls wait for others to end, so that who brings more should give way to them
        """
        if not self._taking:
            return False
        if faults.are_armed():
            faults.hit(f"receive.{self.worker.name}")
        mistake = _mistake(ctxt, args, kwargs)
        if mistake:
            self.drops.add("malformed calls", mistake)
        elif not self._answers(name):
            self.drops.add("calls of unknown methods", name)
        elif misfit := self._misfit(name, ctxt, args, kwargs):
            self.drops.add("malformed calls", misfit)
        elif name in self.worker.controls:
            self._take_control(Call(name, ctxt, args, kwargs))
        else:
            self._take_call(Call(name, ctxt, args, kwargs))
        return self._slots.are_full

    def _answers(self, name: str) -> bool:
        if name.startswith("_"):
            return False
        return name in self.worker.methods or bool(getattr(self.worker, "answers_unknown", False))

    def _misfit(self, name: str, ctxt: Any, args: Any, kwargs: Any) -> str | None:
        """Why a call of which nobody is told the outcome cannot be made; an attempt ends with that error."""
        is_attempt = self.worker.ledger is not None and name not in self.worker.controls
        method = None if is_attempt else self.worker.methods.get(name)
        return None if method is None else method.misfit(ctxt, args, kwargs)

    def _take_control(self, call: Call) -> None:
        if len(self._controls) >= MAX_CONTROLS:
            self.drops.add("controls beyond those that run at once", call.name)
            return
        greenlet = gevent.spawn(self._make_control, call)
        self._controls[greenlet] = RunningCall(call.ctxt, killable=False)

    def _take_call(self, call: Call) -> None:
        if len(self._slots) < self.pool_size + MAX_BACKLOG:
            self._slots.take(call)
        else:
            self.drops.add("calls beyond those that may wait", call.name)

    def _make_control(self, call: Call) -> None:
        try:
            self._make(call)
        finally:
            del self._controls[gevent.getcurrent()]
            self._call_ended.set()

    def _make(self, call: Call) -> None:
        try:
            # In a context of its own, since the next call may be made in the same greenlet.
            self._context.copy().run(self.worker.call, *call, interruptible=self.interruptible)
        except BaseException as error:
            # Nothing that ends a call may end the process, SystemExit among them.
            LOG.exception("%s: %s: the call broke off: %s", self.worker.name, call.name, type(error).__name__)

    # -- serving ---------------------------------------------------------

    def _serve(self) -> None:
        receiver, backgrounds = None, []
        try:
            self.open()
            self._context = contextvars.copy_context()
            self._taking = not self.stopping
            receiver = gevent.spawn(self._guard, "the receiver", self._receive_always)
            backgrounds = [
                gevent.spawn(
                    self._guard, getattr(function, "__qualname__", repr(function)), function, self._stopping
                )
                for function in self.worker.backgrounds
            ]
            LOG.info("%s: ready at %s", self.worker.name, self.address)
            while not self._stop_asked.wait(_LONG):
                pass
        finally:
            self._ask_to_stop(math.inf if self.stopping else 0.0)
            try:
                self._end(receiver, backgrounds)
            finally:
                self._slots.close()
                self.release()

    def _guard(self, what: str, function: Callable[..., None], *args: Any) -> None:
        """Run `function`; if it breaks, so does the executor."""
        try:
            function(*args)
        except BaseException as error:
            if self._stopping.is_set() and isinstance(error, gevent.GreenletExit):
                return
            if isinstance(error, SolarError):
                LOG.error("%s: %s failed: %s", self.worker.name, what, error)
            else:
                LOG.error("%s: %s failed", self.worker.name, what, exc_info=error)
            if not isinstance(error, Exception):
                # As it is, it would end the process in another way, or seem to be no error.
                error = SolarError(f"{self.worker.name}: {what} was ended by {type(error).__name__}: {error}")
            self._failure = self._failure or error
            self._ask_to_stop(0.0)

    def _receive_always(self) -> None:
        try:
            self.receive()
        except gevent.GreenletExit:
            if not self.stopping:
                raise
        if not self.stopping:
            raise SolarError(f"{self.worker.name}: no more calls are received")

    def _ask_to_stop(self, timeout: float) -> None:
        self.refuse()
        self._deadline = min(self._deadline, time.monotonic() + timeout)
        self._stop_asked.set()
        self._call_ended.set()

    # -- ending ----------------------------------------------------------

    def _end(self, receiver: Any, backgrounds: list[Any]) -> None:
        if receiver is not None:
            receiver.kill(block=True, timeout=LAST_GRACE)
        try:
            self.close_intake()
        except Exception:
            LOG.exception("%s: %s could not be closed", self.worker.name, self.address)
        self.drops.tell_rest()
        self._drain()
        self._interrupt()
        self._stopping.set()
        gevent.joinall(backgrounds, timeout=GRACE)
        late = [greenlet for greenlet in backgrounds if not greenlet.dead]
        if late:
            LOG.warning(
                "%s: %d background functions do not return and are killed", self.worker.name, len(late)
            )
            gevent.killall(late, block=True, timeout=LAST_GRACE)

    def _running(self) -> list[RunningCall]:
        return [*self._calls.values(), *self._controls.values()]

    def _drain(self) -> None:
        if self._running():
            LOG.info("%s: %d running calls get time to end", self.worker.name, len(self._running()))
        # What shortens the deadline also wakes this.
        while self._running() and time.monotonic() < self._deadline:
            self._wait_for_an_end(self._deadline)

    def _interrupt(self) -> None:
        running = self._running()
        if not running:
            return
        LOG.warning("%s: %d calls still run and are interrupted", self.worker.name, len(running))
        for call in running:
            call.cancel(Interrupted("the worker stops"))
        self._wait_for_all(GRACE)
        stubborn = [call for call in self._running() if call.is_inside]
        for call in stubborn:
            call.insist(Interrupted("the worker stops"))
        if stubborn:
            self._wait_for_all(LAST_GRACE)
        if self._running():
            LOG.error("%s: %d calls do not end and are left behind", self.worker.name, len(self._running()))

    def _wait_for_all(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._running() and time.monotonic() < deadline:
            self._wait_for_an_end(deadline)

    def _wait_for_an_end(self, deadline: float) -> None:
        self._call_ended.clear()
        self._call_ended.wait(min(_LONG, max(0.0, deadline - time.monotonic())))

    # -- how calls arrive ------------------------------------------------

    def open(self) -> None:
        """Begin to listen.  What it raises, :meth:`run` raises, after the two methods below."""

    def receive(self) -> None:
        """Give what arrives to :meth:`accept` until killed; to return is to fail, even after ``refuse()``."""
        while not self._stop_asked.wait(_LONG):
            pass

    def close_intake(self) -> None:
        """Listen no more; running calls are then drained.  Also called if :meth:`open` failed."""

    def release(self) -> None:
        """Let go of the address, last of all.  Also called if :meth:`open` failed."""


#: Types of what others than the method itself read from a call's context.
_FIELDS: dict[str, tuple[type, ...]] = {
    "task_id": (str,),
    "task_name": (str,),
    "plan_uid": (str,),
    "plan_id": (int,),
    "attempt": (int,),
    "timeout": (int, float, type(None)),
    "env": (dict,),
    "cwd": (str,),
    "secrets": (list,),
}
#: What a database can count to.
_MAX_ATTEMPT = 2**63 - 1


def _mistake(ctxt: object, args: object, kwargs: object) -> str | None:
    if not isinstance(ctxt, dict):
        return f"ctxt is {type(ctxt).__name__}"
    if not isinstance(args, (list, tuple)):
        return f"args is {type(args).__name__}"
    if not isinstance(kwargs, dict):
        return f"kwargs is {type(kwargs).__name__}"
    if kwargs and not all(isinstance(name, str) for name in kwargs):
        return "kwargs has a name that is no text"
    return _mistake_in_ctxt(ctxt)


def _mistake_in_ctxt(ctxt: Mapping[Any, Any]) -> str | None:
    for field, types in _FIELDS.items():
        if field in ctxt and type(ctxt[field]) not in types:
            return f"{field} of ctxt is {type(ctxt[field]).__name__}"
    if not 0 <= ctxt.get("attempt", 0) <= _MAX_ATTEMPT:
        return "attempt of ctxt is beyond all that there can be"
    return None
