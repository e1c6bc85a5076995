"""What commands do to plans: each verb is one transaction, which changes nothing where it is refused."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from solar_orch.errors import UnknownTask, WrongState, some
from solar_orch.plan.filters import Choice, Filter, choose
from solar_orch.plan.verdict import TIMED_OUT, after_kill
from solar_orch.states import DISPATCHABLE, PlanStatus, State, sources
from solar_orch.store import raw
from solar_orch.store.database import Database, db_now
from solar_orch.store.instance import command
from solar_orch.store.loading import load
from solar_orch.store.plans import PlanRow, end_running, find
from solar_orch.store.schema import plans, tasks
from solar_orch.store.transitions import move

T = TypeVar("T")

#: Names of tasks among which those are looked for that may have been meant.
_MOST_COMPARED = 20_000

#: The columns of a task that is to begin anew.  Not `attempt`, which fences, nor `lost_workers`, whose
#: commands may be running yet.
_ANEW: dict[str, Any] = {
    "failures": 0,
    "losses": 0,
    "errmsg": None,
    "worker": None,
    "kill": None,
    "dispatched_at": None,
    "start_time": None,
    "end_time": None,
    "output": None,
    "result": sa.null(),
}


@dataclass(frozen=True, slots=True)
class Steered:
    """What a verb has done."""

    uid: str
    #: Number of tasks whose state it has changed.
    changed: int


@dataclass(frozen=True, slots=True)
class ToKill:
    """An attempt in progress that is to be killed; its worker may be told of it."""

    name: str
    attempt: int
    reason: str


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

        def work(plan: _Plan) -> Steered:
            plan.must_not_run()
            return plan.wanted(plan.anew(sources(State.PENDING) - {State.INPROGRESS}))

        return self._steer(uid, "restart", work)

    def reset(self, uid: str) -> Steered:
        """Have a plan that is not running look as if it never had: all tasks are PENDING."""

        def work(plan: _Plan) -> Steered:
            plan.must_not_run()
            changed = plan.anew(sources(State.PENDING) - {State.INPROGRESS})
            return plan.mark(changed, wanted=False, status=PlanStatus.PENDING)

        return self._steer(uid, "reset", work)

    def resume(self, uid: str) -> Steered:
        """Have a plan that has stopped or ended go on with what was SKIPPED."""

        def work(plan: _Plan) -> Steered:
            if plan.row.wanted:
                raise WrongState(plan.uid, "is running already")
            if plan.row.status is PlanStatus.PENDING:
                raise WrongState(plan.uid, "has not been run yet", plan.advice("run-once", "start it"))
            changed = plan.anew({State.SKIPPED})
            waits = plan.row.status is PlanStatus.STOPPED and plan.names_in(DISPATCHABLE)
            if not changed and not waits:
                remedy = (
                    plan.advice("retry", "run again what has failed") if plan.names_in({State.ERROR}) else ""
                )
                raise WrongState(plan.uid, f"is {plan.row.status}, and none of its tasks is SKIPPED", remedy)
            return plan.wanted(changed)

        return self._steer(uid, "resume", work)

    def retry(self, uid: str, name: str | None = None) -> Steered:
        """Have tasks in ERROR, and all that hangs below them, run again; the plan may be running.

        :param name: of the one task that is meant; all in ERROR when None
        """

        def work(plan: _Plan) -> Steered:
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
            return plan.wanted(plan.anew(sources(State.PENDING) - {State.INPROGRESS}, [*failed, *below]))

        return self._steer(uid, "retry", work)

    def stop(self, uid: str) -> Steered:
        """Start nothing more of a running plan.

        What nobody has claimed becomes SKIPPED, what runs goes on to its end.
        """

        def work(plan: _Plan) -> Steered:
            if not plan.row.wanted:
                raise plan.not_running(plan.advice("cancel", "kill what runs"))
            return Steered(plan.uid, end_running(plan.connection, plan.row.id, State.SKIPPED, plan.by))

        return self._steer(uid, "stop", work, "stop")

    def cancel(self, uid: str) -> Cancelled:
        """Stop a running plan, and have the attempts in progress killed.

        The wish to kill them is durable when this returns: their workers read it with the next heartbeat.
        """

        def work(plan: _Plan) -> Cancelled:
            changed = 0
            if plan.row.wanted:
                changed = end_running(plan.connection, plan.row.id, State.SKIPPED, plan.by)
            elif not plan.in_progress:
                raise plan.not_running()
            return Cancelled(plan.uid, changed, plan.kill())

        return self._steer(uid, "cancel", work)

    def cancel_task(self, uid: str, name: str) -> Cancelled:
        """As :meth:`cancel`, but of one task in progress; its plan goes on."""

        def work(plan: _Plan) -> Cancelled:
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

        def work(plan: _Plan) -> Steered:
            allowed = sources(State.NOOP)
            found = {name: plan.task(name) for name in names}
            for name, (_, state) in found.items():
                if state not in allowed:
                    problem = f"has {name} in {state}, and only what is {_either(allowed)} can become NOOP"
                    stop = f"cancel it: solar-orch cancel {plan.uid} --task {name}"
                    raise WrongState(plan.uid, problem, stop if state is State.INPROGRESS else "")
            places = [position for position, _ in found.values()]
            changed = plan.move(allowed, State.NOOP, places, values=_ANEW)
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

        def work(plan: _Plan) -> Filtered:
            plan.must_not_run()
            subjects, choice = plan.choice(start, end, names, targets)
            if not dry_run:
                plan.move({State.SKIPPED}, State.PENDING, choice.runs, values=_ANEW)
                plan.move(DISPATCHABLE, State.SKIPPED, choice.skipped)
                plan.mark(0)
            return Filtered(
                plan.uid, [subjects[p].name for p in choice.runs], [subjects[p].name for p in choice.skipped]
            )

        if dry_run:
            with self._database.read() as connection:
                return work(_Plan(connection, uid, "filter"))
        return self._steer(uid, "filter", work)

    def _steer(self, uid: str, verb: str, work: Callable[[_Plan], T], point: str = "steer") -> T:
        return self._database.write(lambda connection: work(_Plan(connection, uid, verb)), point)


class _Plan:
    """One plan within the transaction of a verb."""

    def __init__(self, connection: Connection, uid: str, verb: str) -> None:
        self.connection = connection
        self.row: PlanRow = find(connection, uid)
        self.uid = self.row.uid
        self.by = command(verb)
        self.verb = verb
        self.in_progress = len(self.positions_in({State.INPROGRESS}))

    # -- what it allows --------------------------------------------------------

    def must_not_run(self) -> None:
        if self.row.wanted:
            ends = f": {_in_progress(self.in_progress)}" if self.in_progress else ""
            raise WrongState(self.uid, f"is running{ends}", self.advice("stop", "stop or cancel it first"))
        if self.in_progress:
            problem = f"is {self.row.status}, but {_in_progress(self.in_progress)} still"
            raise WrongState(
                self.uid, problem, self.advice("cancel", "wait for the end of that, or cancel it")
            )

    def not_running(self, remedy: str = "") -> WrongState:
        if not self.in_progress:
            return WrongState(self.uid, f"is not running, it is {self.row.status}")
        return WrongState(
            self.uid, f"has been stopped already, and {_in_progress(self.in_progress)} still", remedy
        )

    def advice(self, verb: str, what: str) -> str:
        return f"{what}: solar-orch {verb} {self.uid}"

    # -- what it holds ---------------------------------------------------------

    def task(self, name: str) -> tuple[int, State]:
        """Position and state of a task."""
        query = sa.select(tasks.c.position, tasks.c.status).where(
            tasks.c.plan_id == self.row.id, tasks.c.name == name
        )
        row = self.connection.execute(query).one_or_none()
        if row is None:
            raise self._unknown(name)
        return row.position, State(row.status)

    def positions_in(self, states: Collection[State]) -> list[int]:
        return list(self.connection.execute(self._in(tasks.c.position, states)).scalars())

    def names_in(self, states: Collection[State], positions: Iterable[int] | None = None) -> list[str]:
        return list(self.connection.execute(self._in(tasks.c.name, states, positions)).scalars())

    def below(self, positions: Iterable[int]) -> set[int]:
        """All that waits for one of these, directly or not."""
        above, found = set(positions), set()
        children, parents = raw.execute(self.connection, _EDGES, (self.row.id,)).fetchone()
        # In topological order of the children: what is above one of them is known before.
        for child, parent in zip(json.loads(children), json.loads(parents), strict=True):
            if parent in above:
                above.add(child)
                found.add(child)
        return found

    def choice(
        self,
        start: Collection[str],
        end: Collection[str],
        names: Collection[str],
        targets: Collection[str],
    ) -> tuple[Sequence[Any], Choice]:
        graph = load(self.connection, self.row.id, lambda: None)
        positions = {task.name: task.position for task in graph.tasks}
        for name in (*start, *end, *names):
            if name not in positions:
                raise self._unknown(name)
        known = {task.target for task in graph.tasks}
        for target in targets:
            if target not in known:
                raise WrongState(self.uid, f"has no task for the target {target}", _targets(known))
        after: list[list[int]] = [[] for _ in graph.tasks]
        for child, parent in graph.edges:
            after[child].append(parent)
        wanted = Filter(
            [positions[name] for name in start],
            [positions[name] for name in end],
            [positions[name] for name in names],
            set(targets),
        )
        return graph.tasks, choose(graph.tasks, after, wanted)

    # -- what becomes of it ------------------------------------------------------

    def move(
        self,
        olds: Collection[State],
        new: State,
        positions: Iterable[int] | None = None,
        *conditions: sa.ColumnElement[bool],
        **more: Any,
    ) -> int:
        """Move its tasks, or those at `positions`; the number of those that were in one of the states."""
        where = [tasks.c.plan_id == self.row.id, *conditions]
        if positions is not None:
            where.append(_at(positions))
        return move(self.connection, olds, new, *where, by=self.by, **more)

    def anew(self, olds: Collection[State], positions: Iterable[int] | None = None) -> int:
        return self.move(olds, State.PENDING, positions, values=_ANEW)

    def mark(self, changed: int, **values: Any) -> Steered:
        """Have its leader see that it was steered."""
        statement = sa.update(plans).where(plans.c.id == self.row.id)
        self.connection.execute(statement.values(revision=plans.c.revision + 1, **values))
        return Steered(self.uid, changed)

    def wanted(self, changed: int) -> Steered:
        return self.mark(changed, wanted=True, status=PlanStatus.RUNNING)

    @property
    def _reason(self) -> str:
        return f"cancelled by {self.by}"

    def end_unclaimed(self, position: int) -> int:
        """End in ERROR the attempt of a task if nobody has claimed it; how many were that."""
        verdict = after_kill(self._reason, 0, 0, None)
        values = {"errmsg": verdict.errmsg, "failures": tasks.c.failures + 1, "end_time": db_now()}
        return self.move(
            {State.INPROGRESS},
            verdict.state,
            [position],
            tasks.c.worker.is_(None),
            values=values,
            message=verdict.errmsg,
        )

    def kill(self, position: int | None = None) -> list[ToKill]:
        """Record that attempts in progress are to be killed; the first wish stands, but outdoes a timeout."""
        conditions = [tasks.c.plan_id == self.row.id, tasks.c.status == State.INPROGRESS]
        if position is not None:
            conditions.append(tasks.c.position == position)
        statement = (
            sa.update(tasks)
            .where(*conditions)
            .values(kill=sa.func.coalesce(sa.func.nullif(tasks.c.kill, TIMED_OUT), self._reason))
            .returning(tasks.c.name, tasks.c.attempt, tasks.c.kill)
        )
        return [ToKill(*row) for row in self.connection.execute(statement)]

    # -- the inside ----------------------------------------------------------------

    def _in(
        self, column: sa.Column[Any], states: Collection[State], positions: Iterable[int] | None = None
    ) -> sa.Select[Any]:
        query = sa.select(column).where(tasks.c.plan_id == self.row.id, tasks.c.status.in_(sorted(states)))
        if positions is not None:
            query = query.where(_at(positions))
        return query.order_by(tasks.c.position)

    def _unknown(self, name: str) -> UnknownTask:
        query = sa.select(tasks.c.name).where(tasks.c.plan_id == self.row.id).limit(_MOST_COMPARED)
        names = self.connection.execute(query).scalars()
        return UnknownTask(self.uid, name, difflib.get_close_matches(name, names, n=3))


_EDGES = """
    SELECT json_group_array(child), json_group_array(parent)
    FROM (SELECT child, parent FROM edges WHERE plan_id = ? ORDER BY child)
"""


def _at(positions: Iterable[int]) -> sa.ColumnElement[bool]:
    """Holds of tasks at these places, however many there are."""
    given = sa.func.json_each(raw.array(positions)).table_valued("value")
    return tasks.c.position.in_(sa.select(given.c.value))


def _in_progress(number: int) -> str:
    return f"{number} task{' is' if number == 1 else 's are'} in progress"


def _either(states: Collection[State]) -> str:
    *most, last = sorted(states)
    return f"{', '.join(most)} or {last}"


def _targets(known: Collection[str | None]) -> str:
    names = sorted(target for target in known if target is not None)
    return f"there are: {some(names)}" if names else "none of its tasks has one"
