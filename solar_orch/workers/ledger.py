"""The claims of one tasks worker: taken before its calls, kept alive, settled after them."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from solar_orch.config import GROUP
from solar_orch.errors import DatabaseUnavailable, Interrupted, Rejected, describe
from solar_orch.plan.verdict import Verdict, after_failure
from solar_orch.states import State
from solar_orch.store.claims import Claim, Standing
from solar_orch.store.instance import is_of_this_machine
from solar_orch.workers import session
from solar_orch.workers.base import Worker
from solar_orch.workers.calls import TASK_SEPARATOR, Ctxt, Stopping, cancellation, task_id
from solar_orch.workers.guarding import end_attempts_of
from solar_orch.workers.orphans import end_orphans

LOG = logging.getLogger(__name__)

#: Bytes of JSON up to which a task's result is kept.
RESULT_LIMIT = 64 * 1024

#: Parts of a lease: between two heartbeats; that one may take; without one after which attempts are
#: ended by their worker; and then, should the worker not be able to, by the guard of its commands.
_INTERVAL = 1 / 3
_PATIENCE = 1 / 12
_GIVEN_UP_AFTER = 2 / 3
_FENCED_AFTER = 5 / 6

#: Seconds that what a lost attempt started on this host gets to be ended.
_END_TIMEOUT = session.GRACE + session.PATIENCE + 3.0


class Attempt(NamedTuple):
    """An attempt, as the calls of a tasks worker name it."""

    plan_uid: str
    task_name: str
    number: int

    @property
    def task_id(self) -> str:
        return task_id(self.plan_uid, self.task_name)


class AttemptLedger:
    """A :class:`~solar_orch.workers.calls.Ledger` over the attempts in the database.

    It serves any tasks driver: that an attempt runs at most once, that its
    outcome is durable before anyone is told, and that a lost lease ends it,
    is none of the driver's business.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._claims = worker.store.claims
        self._attempts = worker.store.attempts
        self._lease: float = worker.conf[GROUP].lease
        self._held: dict[Attempt, tuple[Claim, Ctxt]] = {}
        #: What may be claimed here, though nobody runs it: the answer was lost.
        self._doubtful: set[Attempt] = set()
        self._stopping: Stopping | None = None

    # -- calls -----------------------------------------------------------------

    def admit(self, ctxt: Ctxt) -> None:
        """Claim the attempt, and see to it that nothing of a lost one is left on this host.

        :raises Rejected: if it is not to be had (claimed before, replaced, or not wanted any more), or
            not to be run here
        :raises DatabaseUnavailable: if that cannot be found out
        """
        attempt = _attempt_of(ctxt)
        self._refuse_if_stopping()
        if attempt in self._doubtful:
            raise Rejected("an earlier claim of it is in doubt")
        begun = time.monotonic()
        try:
            claim = self._claims.claim(*attempt, plan_id=ctxt.get("plan_id"))
        except DatabaseUnavailable as error:
            # A doubled call may hold it by now.
            if error.in_doubt and attempt not in self._held:
                self._doubtful.add(attempt)
            raise
        if claim is None:
            raise Rejected("it was claimed before, replaced by another attempt, or is not wanted any more")
        self._held[attempt] = (claim, ctxt)
        try:
            self._prepare(claim, attempt, begun)
        except BaseException as error:
            # Kept alive without a call it would be in progress for ever.
            self._held.pop(attempt, None)
            if not isinstance(error, Rejected):
                self._doubtful.add(attempt)
            raise

    def settle(self, ctxt: Ctxt, result: Any, error: BaseException | None) -> bool:
        """Commit the outcome; False if it does not count.

        Tries for as long as the database is away, since the outcome is
        known here only, or until the worker has stopped.

        :raises DatabaseUnavailable: then
        """
        attempt = _attempt_of(ctxt)
        claim, _ = self._held[attempt]
        try:
            output = self._worker.take_output(ctxt)
            if isinstance(error, Interrupted):
                return self._hand_back(attempt, claim, str(error), output)
            return self._settle(attempt, claim, _verdict(claim, error), output, _kept(attempt, result))
        finally:
            self._held.pop(attempt, None)

    def record_kill(self, task_id: str, attempt: int | None, reason: str) -> None:
        """Make the wish to kill a task durable, so that it outlives this process.

        :raises DatabaseUnavailable: if that cannot be done
        """
        plan_uid, _, name = task_id.partition(TASK_SEPARATOR)
        self._attempts.kill(plan_uid, name, attempt, reason)

    def _refuse_if_stopping(self) -> None:
        if not getattr(self._worker.executor, "taking", True):
            raise Rejected("the worker stops")

    def _prepare(self, claim: Claim, attempt: Attempt, begun: float) -> None:
        """See to it that a claimed attempt may be run here.

        :param begun: when its claim was begun, by the monotonic clock
        :raises Rejected: if not; it is not held any more then
        """
        if not _is_alone(attempt, [lost for lost in claim.lost_workers if is_of_this_machine(lost)]):
            problem = "what an earlier attempt started on this host does not end"
            self._claims.give_up(claim, problem, self._worker.conf[GROUP].lost_limit)
            raise Rejected(problem)
        long_ago = time.monotonic() - begun > self._lease / 2
        if long_ago and not self._claims.beat([claim], patience=self._lease):
            # This process was stopped, and the attempt judged lost.
            raise Rejected("another has taken its place meanwhile")
        try:
            self._refuse_if_stopping()
        except Rejected as error:
            self._claims.give_back(claim, str(error))
            raise

    def _settle(
        self, attempt: Attempt, claim: Claim, verdict: Verdict, output: str | None = None, result: Any = None
    ) -> bool:
        def settle() -> Standing:
            return self._claims.settle(claim, verdict, output=output, result=result)

        standing = self._committed(attempt, verdict.state, settle)
        if not standing.counts:
            _log_stale(attempt, verdict.state, standing)
            return False
        # What goes as it should at once is not news: there may be thousands of them in a second.
        smooth = standing.status == State.SUCCESS and attempt.number == 1
        level = logging.DEBUG if smooth else logging.INFO
        if LOG.isEnabledFor(level):
            LOG.log(level, "%s: attempt %s: %s%s", attempt.task_id, attempt.number, standing.status,
                    f": {verdict.errmsg}" if verdict.errmsg else "")  # fmt: skip
        return True

    def _hand_back(self, attempt: Attempt, claim: Claim, why: str, output: str | None) -> bool:
        def hand_back() -> Standing:
            return self._claims.hand_back(claim, why, output=output)

        standing = self._committed(attempt, State.PENDING, hand_back)
        if not standing.counts:
            _log_stale(attempt, State.PENDING, standing)
            return False
        if standing.status == State.PENDING:
            LOG.info("%s: attempt %s was handed back", attempt.task_id, attempt.number)
            return False
        LOG.info("%s: attempt %s: %s", attempt.task_id, attempt.number, standing.status)
        return True

    def _committed(self, attempt: Attempt, state: State, commit: Callable[[], Standing]) -> Standing:
        """Commit as soon as the database lets it.

        :param state: that the task is then in
        :raises DatabaseUnavailable: if the worker has stopped before
        """
        in_doubt = False
        while True:
            try:
                standing = commit()
            except DatabaseUnavailable as error:
                if self._stopping is not None and self._stopping.is_set():
                    raise
                in_doubt = in_doubt or error.in_doubt
                LOG.warning("%s: the outcome of attempt %s is not recorded yet: %s",
                            attempt.task_id, attempt.number, error)  # fmt: skip
            else:
                if in_doubt and standing.status == state and standing.attempt == attempt.number:
                    return replace(standing, counts=True)
                return standing

    # -- heartbeat ---------------------------------------------------------------

    def keep_alive(self, stopping: Stopping) -> None:
        """Background function: the heartbeat of all claims, in one statement per interval.

        It also learns there which of them are to be killed, and ends those
        that were lost, or that cannot be kept because the database is away.
        """
        self._stopping = stopping
        pause = self._lease * _INTERVAL
        kept = time.monotonic()
        # Whoever takes an attempt's place asks the guard to see to it that it does not begin late.
        self._worker.process_guard.open()
        # The guard fences nothing before the first: a worker may be stopped before it comes to the next.
        self._worker.process_guard.beat(self._lease * _FENCED_AFTER)
        while not stopping.wait(pause):
            self._give_back_doubtful()
            if self._keep():
                kept = time.monotonic()
                self._worker.process_guard.beat(self._lease * _FENCED_AFTER)
                pause = self._lease * _INTERVAL
                continue
            # Sooner again, so that it is found out in time that none can be kept.
            pause = self._lease * _PATIENCE
            if time.monotonic() - kept > self._lease * _GIVEN_UP_AFTER:
                self._end(list(self._held), "the database could not be reached for most of a lease")

    def _keep(self) -> bool:
        """Beat once; whether all that is held is known to be kept, or lost."""
        held = dict(self._held)
        if not held:
            return True
        try:
            alive = self._claims.beat([claim for claim, _ in held.values()], patience=self._lease * _PATIENCE)
        except DatabaseUnavailable as error:
            LOG.warning("no heartbeat: %s", error)
            return False
        for attempt, (claim, ctxt) in held.items():
            number, kill = alive.get(claim.id, (0, None))
            if number != attempt.number:
                self._end([attempt], "another has taken its place")
            elif kill is not None:
                self._kill(attempt, cancellation(kill, ctxt))
        return True

    def _give_back_doubtful(self) -> None:
        for doubtful in self._doubtful - self._held.keys():
            try:
                if self._claims.disclaim(*doubtful):
                    LOG.warning("%s: attempt %s had been claimed without an answer and was given back",
                                doubtful.task_id, doubtful.number)  # fmt: skip
            except DatabaseUnavailable:
                return
            self._doubtful.discard(doubtful)

    def _end(self, attempts: Iterable[Attempt], why: str) -> None:
        for attempt in attempts:
            # False of one that has ended, and of which only the outcome is still to be recorded.
            if attempt in self._held and self._kill(attempt, Interrupted(why)):
                LOG.warning("%s: attempt %s is ended: %s", attempt.task_id, attempt.number, why)

    def _kill(self, attempt: Attempt, error: Exception) -> bool:
        executor = self._worker.executor
        return executor is not None and executor.kill(attempt.task_id, attempt.number, error)


def _attempt_of(ctxt: Ctxt) -> Attempt:
    """The attempt that a call is.

    :raises Rejected: if it is none
    """
    try:
        attempt = Attempt(ctxt["plan_uid"], ctxt["task_name"], ctxt["attempt"])
        given = ctxt["task_id"]
    except KeyError as error:
        raise Rejected(f"ctxt lacks {error}") from None
    if given != attempt.task_id:
        raise Rejected(f"its task_id should be {attempt.task_id}")
    return attempt


def _is_alone(attempt: Attempt, lost: list[str]) -> bool:
    """Whether nothing is left of what earlier attempts started on this host; ends it.

    :param lost: the instances of this host under which such attempts were lost
    """
    earlier = attempt.number - 1
    for instance in lost:
        if not end_attempts_of(instance, attempt.task_id, earlier, _END_TIMEOUT):
            return False
    return not lost or end_orphans(attempt.plan_uid, attempt.task_name, earlier)


def _log_stale(attempt: Attempt, outcome: State, standing: Standing) -> None:
    now = f"attempt {standing.attempt} is {standing.status}" if standing.attempt else "the plan is gone"
    LOG.warning("%s: stale result of attempt %s dropped (%s): %s",
                attempt.task_id, attempt.number, outcome, now)  # fmt: skip


def _verdict(claim: Claim, error: BaseException | None) -> Verdict:
    if error is None:
        return Verdict(State.SUCCESS)
    retriable = getattr(error, "retriable", not isinstance(error, Rejected))
    return after_failure(claim.failures, claim.retry, describe(error), retriable=retriable)


def _kept(attempt: Attempt, result: Any) -> Any:
    """The result, if it is a JSON value of a bounded size; else None."""
    if result is None:
        return None
    try:
        size = len(json.dumps(result, allow_nan=False))
    except Exception as error:  # it may be of any class, with methods of its own
        LOG.warning("%s: the result of attempt %s is not kept, as it is no JSON value: %s",
                    attempt.task_id, attempt.number, describe(error))  # fmt: skip
        return None
    if size > RESULT_LIMIT:
        LOG.warning("%s: the result of attempt %s is not kept: it has %d bytes as JSON, and %d is the limit",
                    attempt.task_id, attempt.number, size, RESULT_LIMIT)  # fmt: skip
        return None
    return result
