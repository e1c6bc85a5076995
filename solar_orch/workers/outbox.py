"""Calls to other workers that must not hold up the one who makes them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event

from solar_orch import faults
from solar_orch.errors import NoPeer, NotCarried, SolarError
from solar_orch.workers.calls import Ctxt, Stopping

if TYPE_CHECKING:
    from solar_orch.executors.base import Client

LOG = logging.getLogger(__name__)

#: Calls that wait; more are dropped, the oldest first.
MAX_WAITING = 10_000


class Outbox:
    """A queue before one client, emptied by :meth:`send_always` in a greenlet of its own.

    For calls that are hints: when nobody takes them they are dropped, and
    what they tell is found in the database.

    :param client: where the calls go
    :param name: of the worker behind it
    :param laziness: seconds for which calls are gathered before they are sent
    :param not_carried: ``function(ctxt, error)``, told of a call whose arguments cannot be sent at all
    """

    def __init__(
        self,
        client: Client,
        name: str,
        not_carried: Callable[[Ctxt, NotCarried], None] | None = None,
        *,
        laziness: float = 0.0,
    ) -> None:
        self._client = client
        self._name = name
        self._laziness = laziness
        self._not_carried = not_carried
        self._waiting: deque[tuple[str, Ctxt, Sequence[Any], Mapping[str, Any]]] = deque(maxlen=MAX_WAITING)
        self._filled = Event()

    def put(self, method: str, ctxt: Ctxt, /, *args: Any, **kwargs: Any) -> None:
        """Queue one call; returns at once."""
        self._waiting.append((method, ctxt, args, kwargs))
        self._filled.set()

    def send_always(self, stopping: Stopping) -> None:
        """Background function: send what is put until stopped, and then what is left."""
        waker = gevent.spawn(self._wake_at_end, stopping)
        try:
            while not stopping.is_set():
                self._filled.wait()
                if self._laziness:
                    stopping.wait(self._laziness)
                self._filled.clear()
                self._send_waiting()
        finally:
            waker.kill()

    def _wake_at_end(self, stopping: Stopping) -> None:
        stopping.wait()
        self._filled.set()

    def _send_waiting(self) -> None:
        while self._waiting:
            method, ctxt, args, kwargs = self._waiting.popleft()
            if faults.are_armed():
                faults.hit(f"send.{self._name}.before")
            try:
                # Not getattr: a task type may be named like an attribute of the client.
                type(self._client).__getattr__(self._client, method)(ctxt, *args, **kwargs)
            except NoPeer as error:
                LOG.warning("%s: %s of attempt %s was not taken: %s",
                            ctxt.get("task_id", "-"), method, ctxt.get("attempt", "-"), error)  # fmt: skip
                self._waiting.clear()
            except SolarError as error:
                LOG.error("%s: %s of attempt %s could not be sent: %s",
                          ctxt.get("task_id", "-"), method, ctxt.get("attempt", "-"), error)  # fmt: skip
                if isinstance(error, NotCarried) and self._not_carried is not None:
                    self._not_carried(ctxt, error)
            except Exception:
                # Of a client of another package, which must not end this worker: what is lost is sent again.
                LOG.exception("%s: %s of attempt %s could not be sent",
                              ctxt.get("task_id", "-"), method, ctxt.get("attempt", "-"))  # fmt: skip
            if faults.are_armed():
                faults.hit(f"send.{self._name}.after")
