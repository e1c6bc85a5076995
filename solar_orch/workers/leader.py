"""Leading one plan: feeding its machine with events, and carrying out what it decides."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import gevent

from solar_orch.config import GROUP
from solar_orch.errors import ExecutionTimeout
from solar_orch.plan.progress import CheckClaim, Dispatch, Expire, Finish, Progress
from solar_orch.plan.templates import TemplateError
from solar_orch.plan.verdict import TIMED_OUT
from solar_orch.states import State
from solar_orch.store.attempts import Dispatch as Attempt
from solar_orch.workers.ages import Ages
from solar_orch.workers.calls import Ctxt, task_id
from solar_orch.workers.inputs import Inputs
from solar_orch.workers.limits import made_for

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.contracts.parts import Limit
    from solar_orch.store import Store

LOG = logging.getLogger(__name__)

#: ``send(method, ctxt, *args, **kwargs)`` to the tasks worker; queues and returns.
Send = Callable[..., None]


class Leader:
    """One plan under one epoch of its lease.

    The database is the truth: the machine is fed with its events, and what
    the machine decides is made durable before it is sent.

    :param send: queues a call for the tasks worker
    :param dispatching: whether new attempts are to be made
    :param limits: those that the configuration names, by their names
    """

    def __init__(
        self,
        store: Store,
        conf: cfg.ConfigOpts,
        plan_id: int,
        uid: str,
        epoch: int,
        send: Send,
        dispatching: Callable[[], bool],
        limits: Mapping[str, Limit] = MappingProxyType({}),
    ) -> None:
        self.plan_id = plan_id
        self.uid = uid
        self.epoch = epoch
        #: Set when what the machine believes may be wrong; it is loaded anew before it decides again.
        self.stale = True
        self.revision = -1
        self._store = store
        self._conf = conf[GROUP]
        self._limits = limits
        self._send = send
        self._dispatching = dispatching
        self._machine: Progress | None = None
        self._names: list[str] = []
        self._inputs: Inputs | None = None
        #: Positions of the tasks that have a condition.
        self._conditional: frozenset[int] = frozenset()
        self._wanted = False
        self._finished = False
        self._cursor = 0
        self._ages = Ages()

    def advance(self, now: float) -> bool:
        """Do all that can be done now.  Blocks on the database.

        :param now: monotonic seconds
        :return: False when there is nothing left to lead; the lease has been released then
        """
        if self.stale and not self._load(now):
            return False
        self.stale = True  # until this has gone through without an exception
        while True:
            machine = self._machine
            assert machine is not None
            for event in self._store.events.after(self.plan_id, self._cursor, but_starts=True):
                self._take(machine, event.position, event.attempt, event.new, now)
                self._cursor = event.id
            self._ages.note_look(now)
            if not self._wanted and machine.in_progress == 0:
                self._store.leases.release(self.plan_id, self.epoch)
                return False
            if not self._carry_out(machine, now):
                break
            if self._finished:
                return False
        self.stale = False
        return True

    def _take(self, machine: Progress, position: int, attempt: int, state: State, now: float) -> None:
        machine.changed(position, attempt, state, now)
        self._ages.note(position, attempt, state, now)

    def deadline(self) -> float | None:
        """Monotonic time at which :meth:`advance` has something to do by itself; None if never."""
        return self._machine.deadline() if self._machine is not None else None

    def is_due(self, now: float) -> bool:
        """Whether :meth:`advance` has something to do, though nobody has told of anything."""
        deadline = self.deadline()
        return self.stale or (deadline is not None and deadline <= now)

    def resign(self) -> None:
        """Hand back what nobody has claimed and release the lease.  Blocks on the database."""
        self._store.attempts.take_back(self.plan_id, self.epoch)
        self._store.leases.release(self.plan_id, self.epoch)

    def _load(self, now: float) -> bool:
        loaded = self._store.plans.load(self.plan_id, _give_way)
        if loaded is None:
            return False
        _give_way()
        tasks = self._ages.corrected(loaded.graph.tasks, now)
        self._machine = Progress(
            tasks,
            loaded.graph.edges,
            max_inprogress=self._conf.max_inprogress,
            target_limit=self._conf.target_limit,
            resend_interval=self._conf.resend_interval,
            now=now,
            rules=made_for(self.uid, tasks, self._limits),
        )
        self._names = [task.name for task in loaded.graph.tasks]
        self._conditional = frozenset(task.position for task in loaded.graph.tasks if task.conditional)
        self._inputs = Inputs(self._store, self.plan_id, loaded.plan.env, loaded.plan.cwd)
        self._wanted = loaded.plan.wanted
        self.revision = loaded.plan.revision
        self._cursor = loaded.last_event
        self._finished = False
        return True

    def _carry_out(self, machine: Progress, now: float) -> bool:
        """Whether anything was done that may let more be decided."""
        decisions = machine.decide(now, wanted=self._wanted, dispatching=self._dispatching())
        dispatches: dict[int, State] = {}
        checks: dict[int, int] = {}
        expired: list[Expire] = []
        for decision in decisions:
            match decision:
                case Dispatch(position, state):
                    dispatches[position] = state
                case CheckClaim(position, attempt):
                    checks[position] = attempt
                case Expire():
                    expired.append(decision)
                case Finish(failed):
                    self._finish(failed, now)
                    return True
        went_otherwise = bool(dispatches) and self._dispatch(machine, dispatches, now)
        if checks:
            self._send_again(machine, checks, now)
        for decision in expired:
            self._expire(decision)
        return bool(expired) or went_otherwise

    def _dispatch(self, machine: Progress, positions: dict[int, State], now: float) -> bool:
        """Make attempts and send them; whether the state of a task became another one by that."""
        verdicts = self._judge(positions)
        untrue = {p: state for p, state in positions.items() if verdicts.get(p) is False}
        passed_over = self._pass_over(untrue) if untrue else set()
        to_run = {p: state for p, state in positions.items() if p not in untrue}
        made = self._make(to_run) if to_run else []
        for attempt in made:
            self._take(machine, attempt.position, attempt.attempt, State.INPROGRESS, now)
        undecided = {p: why for p, why in verdicts.items() if isinstance(why, str)}
        for attempt in made:
            if attempt.position in undecided:
                self._refuse(attempt, undecided[attempt.position])
        self._send_all([attempt for attempt in made if attempt.position not in undecided])
        for position in positions.keys() - {attempt.position for attempt in made} - passed_over:
            machine.refused(position)
        return bool(passed_over or undecided)

    def _make(self, positions: dict[int, State]) -> list[Attempt]:
        return self._store.attempts.dispatch(self.plan_id, self.epoch, positions, revision=self.revision)

    def _judge(self, positions: dict[int, State]) -> dict[int, bool | str]:
        """Of those that have a condition whether it holds, or why that cannot be said."""
        # Of one that is tried again it did hold.
        asked = [p for p, state in positions.items() if p in self._conditional and state == State.PENDING]
        return self._inputs.judge(asked) if asked and self._inputs is not None else {}

    def _pass_over(self, positions: dict[int, State]) -> set[int]:
        passed_over = self._store.attempts.pass_over(
            self.plan_id, self.epoch, positions, revision=self.revision
        )
        for position in passed_over:
            LOG.info("%s: its condition does not hold", task_id(self.uid, self._names[position]))
        return passed_over

    def _refuse(self, attempt: Attempt, why: str) -> None:
        LOG.error("%s: attempt %s: %s", task_id(self.uid, attempt.name), attempt.attempt, why)
        self._store.attempts.refuse(self.uid, attempt.name, attempt.attempt, why)

    def _send_again(self, machine: Progress, checks: dict[int, int], now: float) -> None:
        attempts = self._store.attempts.unclaimed(self.plan_id, checks)
        for attempt in attempts:
            LOG.info("%s: attempt %s has not been claimed; sending it again",
                     task_id(self.uid, attempt.name), attempt.attempt)  # fmt: skip
            machine.check_again(attempt.position, attempt.attempt, now)
        self._send_all(self._decided(attempts))

    def _decided(self, attempts: Sequence[Attempt]) -> list[Attempt]:
        """Those of which it can be said whether they are to run; the others end.

        Who made them may have died before it ended those.
        """
        asked = [attempt.position for attempt in attempts if attempt.position in self._conditional]
        verdicts = self._inputs.judge(asked) if asked and self._inputs is not None else {}
        decided = []
        for attempt in attempts:
            verdict = verdicts.get(attempt.position)
            if isinstance(verdict, str):
                self._refuse(attempt, verdict)
            else:
                decided.append(attempt)
        return decided

    def _expire(self, decision: Expire) -> None:
        name = self._names[decision.position]
        errmsg = str(ExecutionTimeout(decision.timeout, "timeout"))
        if not self._store.attempts.expire(
            self.plan_id, self.epoch, decision.position, decision.attempt, errmsg
        ):
            # It is running: the wish to kill it is in the database, this only makes it quick.
            ctxt: Ctxt = {
                "task_id": task_id(self.uid, name),
                "task_name": name,
                "plan_uid": self.uid,
                "attempt": decision.attempt,
                "timeout": decision.timeout,
            }
            self._send("kill", ctxt, ctxt["task_id"], decision.attempt, TIMED_OUT)
        LOG.warning("%s: attempt %s: %s", task_id(self.uid, name), decision.attempt, errmsg)

    def _finish(self, failed: bool, now: float) -> None:
        self._finished = self._store.plans.finish(self.plan_id, self.epoch, self.revision, failed)
        if self._finished:
            LOG.info("%s: %s", self.uid, "failed" if failed else "finished")
            return
        known = self.revision
        if not self._load(now):
            self._finished = True  # it has been deleted
        elif self.revision == known:
            # Not steered meanwhile, so led by somebody else.
            self._wanted = False

    def _send_all(self, attempts: Sequence[Attempt]) -> None:
        if not attempts or self._inputs is None:
            return
        for attempt, given in zip(attempts, self._inputs.fill(attempts), strict=True):
            if isinstance(given, TemplateError):
                self._refuse(attempt, f"its arguments cannot be filled in: {given}")
            else:
                self._send_attempt(*given)

    def _send_attempt(self, attempt: Attempt, extra: Ctxt) -> None:
        ctxt: Ctxt = {
            "task_id": task_id(self.uid, attempt.name),
            "task_name": attempt.name,
            "plan_uid": self.uid,
            "plan_id": self.plan_id,
            "attempt": attempt.attempt,
            "timelimit": attempt.timelimit,
            "timeout": attempt.timeout,
            "target": attempt.target,
        }
        ctxt.update(extra)
        self._send(attempt.type, ctxt, *attempt.args, **attempt.kwargs)


def _give_way() -> None:
    """Let other greenlets have their turn: a large plan takes its time."""
    gevent.sleep(0)
