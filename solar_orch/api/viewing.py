"""Plans, workers and the system log as they are looked at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from solar_orch.api.base import Verbs
from solar_orch.config import GROUP
from solar_orch.errors import InvalidChange
from solar_orch.states import State

if TYPE_CHECKING:
    from solar_orch.api.follow import Follower
    from solar_orch.store.events import EventRow
    from solar_orch.store.leases import Held
    from solar_orch.store.looks import TaskLook


@dataclass(frozen=True, slots=True)
class WorkerLook:
    """A worker that has registered and not said that it has stopped."""

    instance: str
    name: str
    host: str
    pid: int
    address: str
    #: When it started: Unix seconds by the database's clock.
    since: float
    #: Seconds since its last beat.
    age: float
    #: Number of attempts in progress that its process has claimed; 0 for those that claim none.
    load: int
    #: Whether its last beat is younger than a lease, and its process not known to be gone.
    up: bool


def _say_nothing(_: str) -> None:
    pass


class Viewing(Verbs):
    """All methods block on the database and raise what ``Database`` raises."""

    def workers(self) -> list[WorkerLook]:
        """The workers that are up, by name, and then those that have gone without a word."""
        loads = self.store.looks.loads()
        lease: float = self.conf[GROUP].lease
        found = [
            WorkerLook(
                row.instance,
                row.name,
                row.host,
                row.pid,
                row.address,
                row.started_at,
                max(0.0, row.age),
                loads.get(row.instance, 0) if row.name == "tasks" else 0,
                row.is_up(lease),
            )
            for row in self.store.workers.all()
        ]
        return sorted(found, key=lambda worker: (not worker.up, worker.name))

    def leases(self) -> list[Held]:
        """Which scheduler leads which plan, and since when; the latest plan first."""
        return self.store.leases.held()

    def task(self, uid: str, name: str) -> TaskLook:
        """One task as it stands.

        :raises UnknownPlan: if there is no such plan
        :raises UnknownTask: if it has no such task
        """
        return self.store.looks.task(self.store.plans.get(uid), name)

    def output(self, uid: str, task: str, *, note: Callable[[str], object] = _say_nothing) -> str:
        """What the latest attempt of a task has written, as much of it as is kept.

        While it runs its worker is asked, which takes a second at most.

        :param note: told, in a line, why there is nothing to be seen, or not the latest
        :raises UnknownPlan: if there is no such plan
        :raises UnknownTask: if it has no such task
        """
        from solar_orch.api.outputs import latest

        return latest(self.conf, self.store, uid, task, note)

    def follow_output(
        self, uid: str, task: str, *, note: Callable[[str], object] = _say_nothing
    ) -> Iterator[str]:
        """What an attempt of a task writes, piece by piece, until it has ended.

        It is the attempt in progress; of a task that is still to run the next
        one, for which it waits.  Sleeps between the pieces.

        :param note: as of :meth:`output`
        :raises UnknownPlan: if there is no such plan, or no longer
        :raises UnknownTask: if it has no such task
        """
        from solar_orch.api.outputs import follow

        return follow(self.conf, self.store, uid, task, note)

    def events(self, uid: str, task: str | None = None) -> Iterator[EventRow]:
        """Every transition of a plan so far, oldest first; they are read as they are taken.

        :param task: only those of the task of this name
        :raises UnknownPlan: if there is no such plan
        :raises UnknownTask: if it has no such task
        """
        plan = self.store.plans.get(uid)
        position = None if task is None else self.store.looks.task(plan, task).position
        return self.store.events.stream(plan.id, position)

    def is_over(self, uid: str) -> bool:
        """Whether nothing of a plan runs, and nothing will unless somebody steers it.

        :raises UnknownPlan: if there is no such plan
        """
        from solar_orch.api.wait import has_nothing_to_do, is_over

        plan = self.store.plans.get(uid)
        return is_over(self.store, plan.uid) or has_nothing_to_do(self.store, plan)

    def has_failed(self, uid: str) -> bool:
        """Whether a task of a plan is in ERROR, and that counts.

        :raises UnknownPlan: if there is no such plan
        """
        return self.store.looks.has_failed(self.store.plans.get(uid).id)

    def follow(
        self, uid: str, *, told: Collection[State] | None = None, since: int | None = None
    ) -> Follower:
        """What tells, each time that it is asked to look, how a plan has gone on.

        :param told: the states of which ends are told; all that end an attempt when None
        :param since: number of the event from which on ends are told; from now on when None
        :raises UnknownPlan: if there is no such plan
        """
        from solar_orch.api.follow import ENDS, Follower

        return Follower(self.store, uid, since, ENDS if told is None else told)

    # -- the system log ------------------------------------------------------------

    def stage(self, resource: str, action: str, diff: Any = None, tags: Sequence[str] = ()) -> int:
        """Stage a change; the task named ``resource.action`` carries it out.

        :param diff: what changes, any JSON value
        :return: the item's id
        :raises InvalidChange: if no task could have that name, or a tag cannot be shown
        """
        for what, text in (("resource", resource), ("action", action), *(("tag", tag) for tag in tags)):
            if not text or not text.isprintable():
                raise InvalidChange(f"{text!r} is no name of a {what}: it is empty, or cannot be printed")
        if "." in action:
            raise InvalidChange(
                f"the action {action!r} must not hold a dot: the task that carries it out is named "
                "RESOURCE.ACTION, and all before the last dot is the resource"
            )
        return self.store.log.stage(resource, action, diff, list(tags))

    def staged(self) -> list[dict[str, Any]]:
        """The changes that are still to be made, oldest first; ``state`` is ``staged`` or ``error``."""
        return [_item(row) for row in self.store.log.staged()]

    def history(self) -> list[dict[str, Any]]:
        """The changes that were made, oldest first."""
        return [_item(row) for row in self.store.log.history()]

    def discard(self, ids: Sequence[int] | None = None) -> list[int]:
        """Remove staged changes, and return their ids.

        :param ids: of these items; all when None
        :raises UnknownItem: if one of them is not staged; nothing is removed then
        """
        return self.store.log.discard(ids)

    # -- names ---------------------------------------------------------------------

    def uids(self, prefix: str = "", limit: int = 100) -> list[str]:
        """The uids of plans that begin with `prefix`, the latest first, at most `limit` of them."""
        return self.store.looks.uids(prefix, limit)

    def task_names(self, uid: str, prefix: str = "", limit: int = 1000) -> list[str]:
        """The names of a plan's tasks that begin with `prefix`, at most `limit` of them.

        :raises UnknownPlan: if there is no such plan
        """
        return self.store.looks.names(self.store.plans.get(uid).id, prefix, limit)


#: What is told of a change.
ITEM_KEYS = (
    "id",
    "resource",
    "action",
    "diff",
    "tags",
    "state",
    "errmsg",
    "plan_uid",
    "created_at",
    "changed_at",
)


def _item(row: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ITEM_KEYS}
