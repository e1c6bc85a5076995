"""One plan while a command steers it: what it allows, what it holds, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from solar_orch.errors import WrongState, some
from solar_orch.plan.filters import Choice, Filter, choose
from solar_orch.plan.verdict import TIMED_OUT, after_kill
from solar_orch.states import PlanStatus, State
from solar_orch.store import raw
from solar_orch.store.database import db_now
from solar_orch.store.instance import command
from solar_orch.store.loading import load
from solar_orch.store.plans import PlanRow, find
from solar_orch.store.schema import plans, tasks
from solar_orch.store.transitions import move
from solar_orch.store.unknown import unknown_task

#: The columns of a task that is to begin anew.  Not `attempt`, which fences, nor `lost_workers`, whose
#: commands may be running yet.
ANEW: dict[str, Any] = {
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


class SteeredPlan:
    """One plan within the transaction of a verb.

    :param verb: named in the events of what it changes
    """

    def __init__(self, connection: Connection, uid: str, verb: str) -> None:
        self.connection = connection
        self.row: PlanRow = find(connection, uid)
        self.uid = self.row.uid
        self.by = command(verb)
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
            raise unknown_task(self.connection, self.row.id, self.uid, name)
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
                raise unknown_task(self.connection, self.row.id, self.uid, name)
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
        return self.move(olds, State.PENDING, positions, values=ANEW)

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


def _targets(known: Collection[str | None]) -> str:
    names = sorted(target for target in known if target is not None)
    return f"there are: {some(names)}" if names else "none of its tasks has one"
