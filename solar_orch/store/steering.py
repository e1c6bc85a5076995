"""What commands do to plans: each verb is one transaction, which changes nothing where it is refused."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.engine import Connection

from solar_orch.errors import WrongState, some
from solar_orch.plan.filters import Choice
from solar_orch.states import DISPATCHABLE, PlanStatus, State, sources
from solar_orch.store.database import Database
from solar_orch.store.plans import PlanRow, end_running
from solar_orch.store.steered import ANEW, Steered, SteeredPlan, ToKill

T = TypeVar("T")

#: States of tasks that may begin anew: all but INPROGRESS.
_AT_REST = sources(State.PENDING) - {State.INPROGRESS}


@dataclass(frozen=True, slots=True)
class Cancelled(Steered):
    """What a cancel has done; what had not been claimed has ended at once."""

    to_kill: list[ToKill]


@dataclass(frozen=True, slots=True)
class Filtered:
    """The names of the tasks that will run, and of those that are SKIPPED; in topological order."""

    uid: str
    runs: list[str]
    skipped: list[str]


class Steering:
    """All methods block on the database and raise what ``Database`` raises.

    Each raises ``UnknownPlan`` if there is no such plan, ``UnknownTask`` if a
    task is named that the plan has not, and ``WrongState`` if the state of the
    plan, or of a task, does not allow it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def restart(self, uid: str) -> Steered:
        """Have a plan that is not running run all over again: all tasks are PENDING, and it is wanted."""

        def work(plan: SteeredPlan) -> Steered:
            plan.must_not_run()
            return plan.wanted(plan.anew(_AT_REST))

        return self._steer(uid, "restart", work)

    def reset(self, uid: str) -> Steered:
        """Have a plan that is not running look as if it never had: all tasks are PENDING."""

        def work(plan: SteeredPlan) -> Steered:
            plan.must_not_run()
            changed = plan.anew(_AT_REST)
            return plan.mark(changed, wanted=False, status=PlanStatus.PENDING)

        return self._steer(uid, "reset", work)

    def resume(self, uid: str) -> Steered:
        """Have a plan that has stopped or ended go on with what was SKIPPED."""

        def work(plan: SteeredPlan) -> Steered:
            if plan.row.wanted:
                raise WrongState(plan.uid, "is running already")
            if plan.row.status is PlanStatus.PENDING:
                raise WrongState(plan.uid, "has not been run yet", plan.advice("run-once", "start it"))
            changed = plan.anew({State.SKIPPED})
            failed = plan.names_in({State.ERROR})
            stopped = plan.row.status is PlanStatus.STOPPED
            # What failed may have been made NOOP since.
            waits = (stopped or not failed) and plan.names_in(DISPATCHABLE)
            if not changed and not waits:
                remedy = plan.advice("retry", "run again what has failed") if failed else ""
                raise WrongState(plan.uid, f"is {plan.row.status}, and none of its tasks is SKIPPED", remedy)
            return plan.wanted(changed)

        return self._steer(uid, "resume", work)

    def retry(self, uid: str, name: str | None = None) -> Steered:
        """Have tasks in ERROR, and all that hangs below them, run again; the plan may be running.

        :param name: of the one task that is meant; all in ERROR when None
        """

        def work(plan: SteeredPlan) -> Steered:
            if name is None:
                failed = plan.positions_in({State.ERROR})
                if not failed:
                    raise WrongState(plan.uid, f"is {plan.row.status}, and none of its tasks is in ERROR")
            else:
                position, state = plan.task(name)
                if state is not State.ERROR:
                    raise WrongState(plan.uid, f"can retry tasks in ERROR only, and {name} is {state}")
                failed = [position]
            below = plan.below(failed)
            if running := plan.names_in({State.INPROGRESS}, below):
                raise WrongState(
                    plan.uid,
                    f"is running {some(running)}, which would have to run again after what is retried",
                    f"wait for its end, or cancel it: solar-orch cancel {plan.uid} --task {running[0]}",
                )
            return plan.wanted(plan.anew(_AT_REST, [*failed, *below]))

        return self._steer(uid, "retry", work)

    def stop(self, uid: str) -> Steered:
        """Start nothing more of a running plan.

        What nobody has claimed becomes SKIPPED, what runs goes on to its end.
        """

        def work(plan: SteeredPlan) -> Steered:
            if not plan.row.wanted:
                raise plan.not_running(plan.advice("cancel", "kill what runs"))
            return Steered(plan.uid, end_running(plan.connection, plan.row.id, State.SKIPPED, plan.by))

        return self._steer(uid, "stop", work)

    def cancel(self, uid: str) -> Cancelled:
        """Stop a running plan, and have the attempts in progress killed.

        The wish to kill them is durable when this returns: their workers read it with the next heartbeat.
        """

        def work(plan: SteeredPlan) -> Cancelled:
            changed = 0
            if plan.row.wanted:
                changed = end_running(plan.connection, plan.row.id, State.SKIPPED, plan.by)
            elif not plan.in_progress:
                raise plan.not_running()
            return Cancelled(plan.uid, changed, plan.kill())

        return self._steer(uid, "cancel", work)

    def cancel_task(self, uid: str, name: str) -> Cancelled:
        """As :meth:`cancel`, but of one task in progress; its plan goes on."""

        def work(plan: SteeredPlan) -> Cancelled:
            position, state = plan.task(name)
            if state is not State.INPROGRESS:
                raise WrongState(plan.uid, f"can cancel tasks in progress only, and {name} is {state}")
            ended = plan.end_unclaimed(position)
            return Cancelled(plan.uid, ended, [] if ended else plan.kill(position))

        return self._steer(uid, "cancel", work)

    def noop(self, uid: str, names: Collection[str]) -> Steered:
        """Let tasks count as done, though they have not run; either all of these or none.

        The plan may be running, these tasks must not.
        """

        def work(plan: SteeredPlan) -> Steered:
            allowed = sources(State.NOOP)
            found = {name: plan.task(name) for name in names}
            for name, (_, state) in found.items():
                if state not in allowed:
                    problem = f"has {name} in {state}, and only what is {_either(allowed)} can become NOOP"
                    stop = f"cancel it: solar-orch cancel {plan.uid} --task {name}"
                    raise WrongState(plan.uid, problem, stop if state is State.INPROGRESS else "")
            places = [position for position, _ in found.values()]
            changed = plan.move(allowed, State.NOOP, places, values=ANEW)
            return plan.mark(changed)

        return self._steer(uid, "noop", work)

    def filter(
        self,
        uid: str,
        *,
        start: Collection[str] = (),
        end: Collection[str] = (),
        names: Collection[str] = (),
        targets: Collection[str] = (),
        dry_run: bool = False,
    ) -> Filtered:
        """Choose which tasks of a plan that is not running are to run; the others become SKIPPED.

        What has been SKIPPED before and is chosen now is PENDING again.  The
        parameters are those of :class:`~solar_orch.plan.filters.Filter`.

        :param dry_run: write nothing, only say what would become of it
        :raises CannotStart: if one that is named to start waits for what is neither visited nor chosen
        """

        filtered = None
        while filtered is None:
            # A large plan takes a while: meanwhile others may write.
            with self._database.read() as connection:
                plan = SteeredPlan(connection, uid, "filter")
                plan.must_not_run()
                subjects, choice = plan.choice(start, end, names, targets)
            runs, skipped = ([subjects[p].name for p in places] for places in (choice.runs, choice.skipped))
            filtered = Filtered(plan.uid, runs, skipped)
            if not dry_run and not self._apply(choice, plan.row):
                filtered = None
        return filtered

    def _apply(self, choice: Choice, seen: PlanRow) -> bool:
        """Let a plan be as it was chosen, unless it has been steered since it was seen."""

        def work(plan: SteeredPlan) -> bool:
            plan.must_not_run()
            if (plan.row.id, plan.row.revision) != (seen.id, seen.revision):
                return False
            plan.move({State.SKIPPED}, State.PENDING, choice.runs, values=ANEW)
            plan.move(DISPATCHABLE, State.SKIPPED, choice.skipped)
            plan.mark(0)
            return True

        return self._steer(seen.uid, "filter", work)

    def _steer(self, uid: str, verb: str, work: Callable[[SteeredPlan], T]) -> T:
        def steer(connection: Connection) -> T:
            return work(SteeredPlan(connection, uid, verb))

        return self._database.write(steer, "steer")


def _either(states: Collection[State]) -> str:
    *most, last = sorted(states)
    return f"{', '.join(most)} or {last}"
