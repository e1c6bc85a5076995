"""The claims of one tasks worker: taken before its calls, kept alive, settled after them."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

from solar_orch.config import GROUP
from solar_orch.errors import DatabaseUnavailable, Interrupted, Rejected, SolarError
from solar_orch.plan.verdict import Verdict, after_failure
from solar_orch.states import State
from solar_orch.store.claims import Claim, Standing
from solar_orch.store.instance import is_of_this_machine
from solar_orch.workers import session
from solar_orch.workers.base import Worker
from solar_orch.workers.calls import TASK_SEPARATOR, Ctxt, Stopping, cancellation
from solar_orch.workers.guarding import end_attempts_of
from solar_orch.workers.orphans import end_orphans

LOG = logging.getLogger(__name__)

#: Bytes of JSON up to which a task's result is kept.
RESULT_LIMIT = 64 * 1024
#: Characters of a task's error that are kept: its beginning.
ERRMSG_LIMIT = 16 * 1024

#: Parts of a lease: between two heartbeats; that one may take; without one after which attempts are
#: ended by their worker; and then, should the worker not be able to, by the guard of its commands.
_INTERVAL = 1 / 3
_PATIENCE = 1 / 12
_GIVEN_UP_AFTER = 2 / 3
_FENCED_AFTER = 5 / 6

#: Seconds that what a lost attempt started on this host gets to be ended.
_END_TIMEOUT = session.GRACE + session.PATIENCE + 3.0

_Key = tuple[str, int]


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
        self._held: dict[_Key, tuple[Claim, Ctxt]] = {}
        #: Claims of which the answer was lost: (plan uid, task name, attempt).
        self._doubtful: set[tuple[str, str, int]] = set()
        self._stopping: Stopping | None = None

    # -- calls -----------------------------------------------------------------

    def admit(self, ctxt: Ctxt) -> None:
        """Claim the attempt, and see to it that nothing of a lost one is left on this host.

        :raises Rejected: if it is not to be had: claimed before, replaced, or not wanted any more
        :raises DatabaseUnavailable: if that cannot be found out
        """
        try:
            plan_uid, name, attempt = ctxt["plan_uid"], ctxt["task_name"], ctxt["attempt"]
        except KeyError as error:
            raise Rejected(f"ctxt lacks {error}") from None
        try:
            claim = self._claims.claim(plan_uid, name, attempt)
        except DatabaseUnavailable as error:
            if error.in_doubt:
                self._doubtful.add((plan_uid, name, attempt))
            raise
        if claim is None:
            raise Rejected("it was claimed before, replaced by another attempt, or is not wanted any more")
        key = (ctxt["task_id"], attempt)
        self._held[key] = (claim, ctxt)
        if not _is_alone(ctxt, [lost for lost in claim.lost_workers if is_of_this_machine(lost)]):
            problem = "what an earlier attempt started on this host does not end"
            self._settle(key, claim, Verdict(State.ERROR, problem, failed=True))
            raise Rejected(problem)

    def settle(self, ctxt: Ctxt, result: Any, error: BaseException | None) -> bool:
        """Commit the outcome; False if it does not count.

        Tries for as long as the database is away, since the outcome is
        known here only, or until the worker has stopped.

        :raises DatabaseUnavailable: then
        """
        key = (ctxt["task_id"], ctxt["attempt"])
        claim, _ = self._held[key]
        try:
            output = self._worker.take_output(ctxt)
            if isinstance(error, Interrupted):
                return self._hand_back(key, claim, str(error), output)
            return self._settle(key, claim, _verdict(claim, error), output, _kept(result))
        finally:
            # Kept alive without a call it would be in progress for ever.
            self._held.pop(key, None)

    def record_kill(self, task_id: str, attempt: int | None, reason: str) -> None:
        """Make the wish to kill a task durable, so that it outlives this process.

        :raises DatabaseUnavailable: if that cannot be done
        """
        plan_uid, _, name = task_id.partition(TASK_SEPARATOR)
        self._attempts.kill(plan_uid, name, attempt, reason)

    def _settle(
        self, key: _Key, claim: Claim, verdict: Verdict, output: str | None = None, result: Any = None
    ) -> bool:
        standing = self._committed(
            key, lambda: self._claims.settle(claim, verdict, output=output, result=result)
        )
        if not standing.counts:
            _log_stale(key, verdict.state, standing)
            return False
        LOG.info("%s: attempt %s: %s%s", *key, verdict.state, f": {verdict.errmsg}" if verdict.errmsg else "")
        return True

    def _hand_back(self, key: _Key, claim: Claim, why: str, output: str | None) -> bool:
        standing = self._committed(key, lambda: self._claims.hand_back(claim, why, output=output))
        if not standing.counts:
            _log_stale(key, State.PENDING, standing)
            return False
        if standing.status == State.PENDING:
            LOG.info("%s: attempt %s was handed back", *key)
            return False
        LOG.info("%s: attempt %s: %s", *key, standing.status)
        return True

    def _committed(self, key: _Key, commit: Any) -> Standing:
        try:
            while True:
                try:
                    standing: Standing = commit()
                except DatabaseUnavailable as error:
                    if self._stopping is not None and self._stopping.is_set():
                        raise
                    LOG.warning("%s: the outcome of attempt %s is not recorded yet: %s", *key, error)
                else:
                    return standing
        finally:
            del self._held[key]

    # -- heartbeat ---------------------------------------------------------------

    def keep_alive(self, stopping: Stopping) -> None:
        """Background function: the heartbeat of all claims, in one statement per interval.

        It also learns there which of them are to be killed, and ends those
        that were lost, or that cannot be kept because the database is away.
        """
        self._stopping = stopping
        pause = self._lease * _INTERVAL
        kept = time.monotonic()
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
                self._end(dict(self._held), "the database could not be reached for most of a lease")

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
        for key, (claim, ctxt) in held.items():
            attempt, kill = alive.get(claim.id, (0, None))
            if attempt != claim.attempt:
                self._end({key: (claim, ctxt)}, "another has taken its place")
            elif kill is not None:
                self._kill(key, cancellation(kill, ctxt))
        return True

    def _give_back_doubtful(self) -> None:
        for doubtful in list(self._doubtful):
            try:
                if self._claims.disclaim(*doubtful):
                    LOG.warning("%s: attempt %s had been claimed without an answer and was given back",
                                f"{doubtful[0]}{TASK_SEPARATOR}{doubtful[1]}", doubtful[2])  # fmt: skip
            except DatabaseUnavailable:
                return
            self._doubtful.discard(doubtful)

    def _end(self, held: dict[_Key, tuple[Claim, Ctxt]], why: str) -> None:
        for key in held.keys() & self._held.keys():
            # False of one that has ended, and of which only the outcome is still to be recorded.
            if self._kill(key, Interrupted(why)):
                LOG.warning("%s: attempt %s is ended: %s", *key, why)

    def _kill(self, key: _Key, error: Exception) -> bool:
        return self._worker.executor is not None and self._worker.executor.kill(*key, error)


def _is_alone(ctxt: Ctxt, lost: list[str]) -> bool:
    """Whether nothing is left of what earlier attempts started on this host; ends it.

    :param lost: the instances of this host under which such attempts were lost
    """
    earlier = ctxt["attempt"] - 1
    for instance in lost:
        if not end_attempts_of(instance, ctxt["task_id"], earlier, _END_TIMEOUT):
            return False
    return not lost or end_orphans(ctxt["plan_uid"], ctxt["task_name"], earlier)


def describe(error: BaseException) -> str:
    """An error as a task's errmsg: SolarErrors speak for themselves, of others the type helps."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception as problem:
        text = f"its text cannot be had ({type(problem).__name__})"
    if not isinstance(error, SolarError) or not text:
        text = f"{name}: {text}" if text else name
    # Neither a database nor a message takes surrogates, which come with names of files that are no UTF-8.
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= ERRMSG_LIMIT else f"{text[:ERRMSG_LIMIT]} ... ({len(text)} characters)"


def _log_stale(key: _Key, outcome: State, standing: Standing) -> None:
    now = f"attempt {standing.attempt} is {standing.status}" if standing.attempt else "the plan is gone"
    LOG.warning("%s: stale result of attempt %s dropped (%s): %s", *key, outcome, now)


def _verdict(claim: Claim, error: BaseException | None) -> Verdict:
    if error is None:
        return Verdict(State.SUCCESS)
    retriable = getattr(error, "retriable", not isinstance(error, Rejected))
    return after_failure(claim.failures, claim.retry, describe(error), retriable=retriable)


def _kept(result: Any) -> Any:
    """The result, if it is a JSON value of a bounded size; else None."""
    try:
        return result if len(json.dumps(result, allow_nan=False)) <= RESULT_LIMIT else None
    except Exception as error:  # it may be of any class, with methods of its own
        LOG.debug("a result is no JSON value: %r", error)
        return None
