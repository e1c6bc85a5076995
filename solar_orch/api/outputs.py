"""What tasks have written, after they have ended and while they run.

What a running attempt has written is known to its worker only.  That is asked to write it down in the
database, and there it is read: so it makes no difference how calls are carried.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from solar_orch.api.presence import can_be_reached
from solar_orch.api.wait import is_over
from solar_orch.collector import collect_from_now_on
from solar_orch.extensions import address_of
from solar_orch.plan.excerpt import continuation
from solar_orch.states import SETTLED, State
from solar_orch.store.instance import is_of_this_machine

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.executors.base import Client
    from solar_orch.store import Store
    from solar_orch.store.looks import TaskLook
    from solar_orch.store.plans import PlanRow

LOG = logging.getLogger(__name__)

#: Told, in a line, why there is nothing to be seen.
Note = Callable[[str], object]

#: Seconds between looks into the database; between two askings; and for which the answer is waited for.
_LOOK = 0.1
_ASK = 0.5
_ANSWER = 1.0
#: Seconds that the worker may take to take the question.
_SEND = 1.0


def latest(conf: cfg.ConfigOpts, store: Store, uid: str, name: str, note: Note) -> str:
    """What the latest attempt of a task has written; blocks for a second or two if it is running.

    :raises UnknownPlan, UnknownTask: if there is none
    """
    plan = store.plans.get(uid)
    task = store.looks.task(plan, name)
    if task.status is State.INPROGRESS and task.worker is not None:
        with Asker(conf, store) as asker:
            if asker.ask(plan, task):
                return _answer(store, plan, task)
            note(_out_of_reach(task))
    elif task.attempt == 0 or task.status is State.INPROGRESS:
        note(f"{name} has not run yet")
    return task.output or ""


def _answer(store: Store, plan: PlanRow, asked: TaskLook) -> str:
    """The output once it has changed, or the attempt has ended, or after a while."""
    deadline = time.monotonic() + _ANSWER
    task = asked
    while task == asked and time.monotonic() < deadline:
        time.sleep(_LOOK / 2)
        task = store.looks.task(plan, asked.name)
    return task.output or ""


def follow(conf: cfg.ConfigOpts, store: Store, uid: str, name: str, note: Note) -> Iterator[str]:
    """What an attempt of a task writes, piece by piece, until it has ended.

    It is the one in progress, or the next where the task has not ended;
    blocks between the pieces.

    :raises UnknownPlan, UnknownTask: if there is none, or no longer
    """
    plan = store.plans.get(uid)
    task = store.looks.task(plan, name)
    return _Following(conf, store, plan, task, note).pieces()


class _Following:
    def __init__(self, conf: cfg.ConfigOpts, store: Store, plan: PlanRow, task: TaskLook, note: Note) -> None:
        self._conf = conf
        self._store = store
        self._plan = plan
        self._task = task
        self._note = note
        self._seen = 0
        self._asked = -_ASK
        self._has_noted = False

    def pieces(self) -> Iterator[str]:
        collect_from_now_on()
        while self._task.status not in SETTLED and self._task.status is not State.INPROGRESS:
            if is_over(self._store, self._plan.uid):
                self._note(f"the plan is over, and {self._task.name} has not run to an end")
                break
            self._look()
        attempt = self._task.attempt
        with Asker(self._conf, self._store) as asker:
            while self._task.status is State.INPROGRESS and self._task.attempt == attempt:
                # Bytes at the end that are no character may be the beginning of one.
                yield self._new((self._task.output or "").rstrip("\ufffd"))
                self._ask(asker)
                self._look()
        if self._task.attempt == attempt:
            yield self._new(self._task.output or "")
        else:
            self._note(f"attempt {attempt} has ended, and another has begun: its last output is gone")

    def _look(self) -> None:
        time.sleep(_LOOK)
        self._task = self._store.looks.task(self._plan, self._task.name)

    def _new(self, text: str) -> str:
        new, self._seen = continuation(text, self._seen)
        return new

    def _ask(self, asker: Asker) -> None:
        now = time.monotonic()
        if self._task.worker is None or now - self._asked < _ASK:
            return
        self._asked = now
        if not asker.ask(self._plan, self._task) and not self._has_noted:
            self._has_noted = True
            self._note(_out_of_reach(self._task))


class Asker:
    """Asks the workers of this host to write down what attempts have written so far; a context manager."""

    def __init__(self, conf: cfg.ConfigOpts, store: Store) -> None:
        self._conf = conf
        self._store = store
        #: By address.
        self._clients: dict[str, Client] = {}

    def __enter__(self) -> Asker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            with contextlib.suppress(Exception):
                client.close(_SEND)

    def ask(self, plan: PlanRow, task: TaskLook) -> bool:
        """Ask for the output of an attempt in progress; whether its worker can be asked from here."""
        address = self._address(task.worker or "")
        if address is None:
            return False
        try:
            client = self._client(address)
            # Not with a ctxt of the attempt: a worker that lacks the control could take it for a task.
            client.show_output({}, f"{plan.uid}~{task.name}", task.attempt)
        except Exception as error:
            LOG.debug("the tasks worker at %s was not asked: %s", address, error)
            return False
        return True

    def _address(self, instance: str) -> str | None:
        """Where that process takes calls, if that can be reached from here."""
        for row in self._store.workers.all("tasks"):
            if row.instance == instance:
                near = is_of_this_machine(instance) and row.address.startswith("ipc:")
                known = row.address == address_of(self._conf, "tasks")
                reached = (near or known) and can_be_reached(self._conf, row.address, [row])
                return row.address if reached else None
        return None

    def _client(self, address: str) -> Client:
        if address not in self._clients:
            from solar_orch.extensions import make_client

            self._clients[address] = client = make_client(self._conf, "tasks", address)
            client.send_timeout = _SEND
        return self._clients[address]


def _out_of_reach(task: TaskLook) -> str:
    return (
        f"{task.name} is run by {task.worker}, which cannot be asked from here: "
        "what it writes can be seen when it has ended"
    )
