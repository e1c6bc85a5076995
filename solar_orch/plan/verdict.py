"""What becomes of a task when an attempt has failed, or ended without an outcome.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from solar_orch.errors import ExecutionTimeout, Killed
from solar_orch.plan.model import OnLost
from solar_orch.states import SETTLED, State

#: Reason of a kill: no result within the task's ``timeout``.  Any other reason is a text for its error.
TIMED_OUT = "@timeout"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state that a task is in after an attempt."""

    state: State
    errmsg: str | None = None
    #: Whether the attempt counts as one that failed.
    failed: bool = False


def after_failure(failures: int, retry: int, errmsg: str, *, retriable: bool = True) -> Verdict:
    """After an attempt that failed.

    :param failures: attempts that had failed before
    :param retry: further attempts that the task may have
    """
    again = retriable and failures < retry
    return Verdict(State.ERROR_RETRY if again else State.ERROR, errmsg, failed=True)


def after_kill(reason: str, failures: int, retry: int, timeout: float | None) -> Verdict:
    """After an attempt that was ended because somebody wished so.

    :param reason: :data:`TIMED_OUT`, which counts as a failure; after anything else no more is tried
    :param timeout: of the task, seconds
    """
    if reason == TIMED_OUT:
        return after_failure(failures, retry, str(ExecutionTimeout(timeout or 0.0, "timeout")))
    return after_failure(failures, retry, str(Killed(reason)), retriable=False)


def with_wish(
    kill: str | None, failures: int, retry: int, timeout: float | None, otherwise: Verdict
) -> Verdict:
    """What a wish to kill makes of an attempt that ends in another way, and not for good.

    :param kill: the reason of the wish, None if there is none
    :param otherwise: the verdict without it
    """
    if kill is None or otherwise.state in SETTLED:
        return otherwise
    return after_kill(kill, failures, retry, timeout)


def after_interruption(what: str, on_lost: OnLost) -> Verdict:
    """After an attempt that was ended by no fault of its own, or of which nobody knows how far it came.

    :param what: what happened, for the error of a task that is not to be run again
    """
    if on_lost == OnLost.ERROR:
        return Verdict(State.ERROR, f"{what}; it is not run again (on_lost: error)")
    return Verdict(State.PENDING)


def after_loss(what: str, on_lost: OnLost, losses: int, lost_limit: int) -> Verdict:
    """After an attempt whose worker is gone.

    :param losses: attempts that were lost, with this one
    :param lost_limit: with so many the task is given up
    """
    if losses >= lost_limit and on_lost == OnLost.RERUN:
        return Verdict(State.ERROR, f"{what}; {losses} attempts were lost, and no more are made")
    return after_interruption(what, on_lost)


def are_enough(succeeded: int, total: int, percent: float) -> bool:
    """What ``fault_tolerance`` asks of the tasks right before it.

    :param percent: the share of them that must have succeeded
    """
    return succeeded * 100 >= percent * total
