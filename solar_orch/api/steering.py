"""Plans steered: begun anew, gone on with, stopped, cut down and deleted."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from solar_orch.api.base import Verbs
from solar_orch.states import PlanStatus
from solar_orch.workers.calls import Ctxt, task_id

if TYPE_CHECKING:
    from solar_orch.executors.base import Client
    from solar_orch.store.steered import Steered
    from solar_orch.store.steering import Cancelled, Filtered


class Steering(Verbs):
    """All methods block on the database and raise what ``Database`` raises.

    What they have done is durable when they return, and a scheduler that is
    up has been told.  Those that take a plan's uid raise ``UnknownPlan`` if
    there is none, and ``WrongState`` where its state, or that of a task, does
    not allow what is asked for; those that take names of tasks raise
    ``UnknownTask``.  Nothing is changed then.
    """

    def restart(self, uid: str) -> Steered:
        """Run a plan all over again: all of its tasks are PENDING.  It must not be running."""
        return self._told(self.store.steering.restart(uid))

    def reset(self, uid: str) -> Steered:
        """Let all tasks of a plan be PENDING, as if it had never run.  It must not be running."""
        return self._told(self.store.steering.reset(uid))

    def resume(self, uid: str) -> Steered:
        """Go on with what is SKIPPED of a plan that was stopped or has ended."""
        return self._told(self.store.steering.resume(uid))

    def retry(self, uid: str, task: str | None = None) -> Steered:
        """Run again what is in ERROR, and all that hangs below it; the plan may be running.

        :param task: the name of the one task that is meant; all in ERROR when None
        """
        return self._told(self.store.steering.retry(uid, task))

    def stop(self, uid: str) -> Steered:
        """Start nothing more of a running plan: what nobody has claimed becomes SKIPPED, the rest goes on."""
        return self._told(self.store.steering.stop(uid))

    def cancel(self, uid: str, task: str | None = None) -> Cancelled:
        """Stop a running plan and have what runs killed.

        Does not wait until it is dead.  A tasks worker that is up on this host
        is told; others read the wish with their next heartbeat, within a third of a lease.

        :param task: the name of the one task that is to be killed; the plan goes on then
        """
        steering = self.store.steering
        cancelled = steering.cancel(uid) if task is None else steering.cancel_task(uid, task)
        if cancelled.to_kill:
            # Imports gevent, which those that only look can do without.
            from solar_orch.api.presence import hint

            hint(self.conf, self.store, "tasks", lambda client: _tell(client, cancelled))
        self._hint(cancelled.uid)
        return cancelled

    def noop(self, uid: str, tasks: Collection[str]) -> Steered:
        """Let these tasks count as done without having run: all of them, or none if one is not to be had.

        The plan may be running, the tasks must not.
        """
        return self._told(self.store.steering.noop(uid, tasks))

    def filter(
        self,
        uid: str,
        *,
        start: Collection[str] = (),
        end: Collection[str] = (),
        tasks: Collection[str] = (),
        targets: Collection[str] = (),
        dry_run: bool = False,
    ) -> Filtered:
        """Choose which tasks of a plan are to run; the others become SKIPPED.  It must not be running.

        Chosen is what both `start` and `end` choose, and `tasks` besides; of
        that `targets` are kept.  Without any of them all tasks are chosen.
        What was SKIPPED before and is chosen now is PENDING again.

        :param start: names of tasks from which all paths are walked, as far as all else that a task on them
            waits for is visited
        :param end: names of tasks that are chosen with all that they wait for
        :param tasks: names of single tasks
        :param targets: only tasks with one of these targets
        :param dry_run: write nothing, only say what would become of it
        :raises CannotStart: if one of `start` or `tasks` waits for what is neither visited nor chosen
        """
        filtered = self.store.steering.filter(
            uid, start=start, end=end, names=tasks, targets=targets, dry_run=dry_run
        )
        if not dry_run:
            self._hint(filtered.uid)
        return filtered

    def delete(self, uid: str) -> str:
        """Delete a plan that is not running, with its tasks and events; its own uid.

        The history of the system log stays.
        """
        return self.store.deletion.delete(uid)

    def prune(
        self, older_than: float, statuses: Sequence[PlanStatus] = (), *, dry_run: bool = False
    ) -> Iterator[str]:
        """Delete plans that are not running and of which nothing has happened for long, one by one.

        :param older_than: seconds since a plan's last event, or since it was made
        :param statuses: only plans with one of these; all when empty
        :param dry_run: delete nothing, only say what would be deleted
        :return: the uid of each, when it is deleted; what is steered meanwhile is left
        """
        if not dry_run:
            self.store.deletion.sweep()
        for uid in self.store.deletion.old(older_than, statuses):
            if dry_run or self.store.deletion.delete_old(uid, older_than, statuses):
                yield uid

    def _told(self, steered: Steered) -> Steered:
        self._hint(steered.uid)
        return steered


def _tell(client: Client, cancelled: Cancelled) -> None:
    for attempt in cancelled.to_kill:
        ctxt: Ctxt = {
            "task_id": task_id(cancelled.uid, attempt.name),
            "task_name": attempt.name,
            "plan_uid": cancelled.uid,
            "attempt": attempt.attempt,
        }
        client.kill(ctxt, ctxt["task_id"], attempt.attempt, attempt.reason)
