"""The claims of one tasks worker: taken before its calls, kept alive, settled after them."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

from solar_orch.config import GROUP
from solar_orch.errors import DatabaseUnavailable, Interrupted, Rejected, SolarError
from solar_orch.states import State
from solar_orch.store.attempts import Claim
from solar_orch.workers.base import Worker
from solar_orch.workers.calls import Ctxt, Stopping, cancellation

LOG = logging.getLogger(__name__)

#: Bytes of JSON up to which a task's result is kept.
RESULT_LIMIT = 64 * 1024


class AttemptLedger:
    """A :class:`~solar_orch.workers.calls.Ledger` over the attempts in the database.

    It serves any tasks driver: that an attempt runs at most once, that its
    outcome is durable before anyone is told, and that a lost lease ends it,
    is none of the driver's business.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._attempts = worker.store.attempts
        self._lease: float = worker.conf[GROUP].lease
        self._held: dict[tuple[str, int], tuple[Claim, Ctxt]] = {}

    def admit(self, ctxt: Ctxt) -> None:
        """Claim the attempt.

        :raises Rejected: if it is not to be had: claimed before, replaced, or not wanted any more
        """
        try:
            plan_uid, name, attempt = ctxt["plan_uid"], ctxt["task_name"], ctxt["attempt"]
        except KeyError as error:
            raise Rejected(f"ctxt lacks {error}") from None
        claim = self._attempts.claim(plan_uid, name, attempt)
        if claim is None:
            raise Rejected("it was claimed before, replaced by another attempt, or is not wanted any more")
        self._held[ctxt["task_id"], attempt] = (claim, ctxt)

    def settle(self, ctxt: Ctxt, result: Any, error: BaseException | None) -> bool:
        """Commit the outcome; False if it does not count."""
        key = (ctxt["task_id"], ctxt["attempt"])
        claim, _ = self._held[key]
        output = self._worker.take_output(ctxt)
        new = _state_after(claim, error)
        try:
            counts = self._attempts.settle(
                claim,
                new,
                # What is handed back has not failed.
                errmsg=None if error is None or new == State.PENDING else describe(error),
                output=output,
                result=_kept(result),
            )
        finally:
            del self._held[key]
        if not counts:
            LOG.warning("%s: stale result of attempt %s dropped (%s): it had ended or was replaced before",
                        ctxt["task_id"], ctxt["attempt"], new)  # fmt: skip
            return False
        if new == State.PENDING:
            LOG.info("%s: attempt %s was handed back", ctxt["task_id"], ctxt["attempt"])
            return False
        LOG.info("%s: attempt %s: %s%s", ctxt["task_id"], ctxt["attempt"], new,
                 f": {describe(error)}" if error is not None else "")  # fmt: skip
        return True

    def keep_alive(self, stopping: Stopping) -> None:
        """Background function: the heartbeat of all claims, in one statement per interval.

        It also learns there which of them are to be killed, and ends those
        that were lost, or that cannot be kept because the database is away.
        """
        kept = time.monotonic()
        while not stopping.wait(self._lease / 3):
            if not self._held:
                kept = time.monotonic()
                continue
            held = dict(self._held)
            try:
                alive = self._attempts.beat([claim for claim, _ in held.values()], patience=self._lease / 6)
            except DatabaseUnavailable as error:
                LOG.warning("no heartbeat: %s", error)
                if time.monotonic() - kept > self._lease * 2 / 3:
                    self._end(held, "the database could not be reached for most of a lease")
                continue
            kept = time.monotonic()
            for key, (claim, ctxt) in held.items():
                attempt, kill = alive.get(claim.id, (0, None))
                if attempt != claim.attempt:
                    self._end({key: (claim, ctxt)}, "another has taken its place")
                elif kill is not None:
                    self._kill(key, cancellation(kill, ctxt))

    def _end(self, held: dict[tuple[str, int], tuple[Claim, Ctxt]], why: str) -> None:
        for key in held.keys() & self._held.keys():
            LOG.warning("%s: attempt %s is ended: %s", *key, why)
            self._kill(key, Interrupted(why))

    def _kill(self, key: tuple[str, int], error: Exception) -> None:
        if self._worker.executor is not None:
            self._worker.executor.kill(*key, error)


def describe(error: BaseException) -> str:
    """An error as a task's errmsg: SolarErrors speak for themselves, of others the type helps."""
    text = str(error)
    if isinstance(error, SolarError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _state_after(claim: Claim, error: BaseException | None) -> State:
    if error is None:
        return State.SUCCESS
    if isinstance(error, Interrupted):
        return State.PENDING
    retriable = getattr(error, "retriable", not isinstance(error, Rejected))
    return State.ERROR_RETRY if retriable and claim.failures < claim.retry else State.ERROR


def _kept(result: Any) -> Any:
    """The result, if it is a JSON value of a bounded size; else None."""
    try:
        return result if len(json.dumps(result, allow_nan=False)) <= RESULT_LIMIT else None
    except (TypeError, ValueError, RecursionError):
        return None
