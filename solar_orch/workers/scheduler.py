"""The scheduler driver that ships: leads plans, a thin shell around ``plan.progress``."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import gevent
from gevent.event import Event

from solar_orch.config import GROUP
from solar_orch.errors import DatabaseUnavailable, NotCarried, Rejected, UnknownPlan
from solar_orch.store.instance import is_known_dead
from solar_orch.store.leases import Lease
from solar_orch.workers.base import Worker
from solar_orch.workers.beats import BeatWatch
from solar_orch.workers.calls import Ctxt, Stopping
from solar_orch.workers.leader import Leader
from solar_orch.workers.outbox import Outbox

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.executors.base import Client

LOG = logging.getLogger(__name__)


class Scheduler(Worker):
    """Leads plans: picks what may run, records the attempt, sends it to the tasks worker.

    Its methods only hint at what stands in the database, which is looked at
    every ``poll_interval`` seconds in any case.
    """

    name: ClassVar[str] = "scheduler"
    drain_order: ClassVar[int] = 80

    def __init__(self, conf: cfg.ConfigOpts, clients: Mapping[str, Client]) -> None:
        super().__init__(conf, clients)
        self._leaders: dict[int, Leader] = {}
        self._hinted: set[str] = set()
        #: Whether a plan may have been steered, which is seen by its revision and not among its events.
        self._steered = False
        # A tasks worker that is away must not hold up the lead.
        self._outbox = Outbox(clients["tasks"], "tasks", self._not_carried)
        self._wake = Event()
        lease, poll_interval = conf[GROUP].lease, conf[GROUP].poll_interval
        self._rivals: BeatWatch[int] = BeatWatch(lease, max(lease / 2, 2 * poll_interval))
        #: Plans that this scheduler leads no more, though by the database it may.
        self._dropped: set[int] = set()
        self.background(self._lead)
        self.background(self._renew)
        self.background(self._outbox.send_always)
        self.background(self._wake_at_end)

    # -- methods -----------------------------------------------------------------

    def next(self, ctxt: Ctxt, plan_uid: str) -> None:
        """Look at this plan now: it may have become wanted, or been steered."""
        self._steered = True
        self._hint(plan_uid)

    def update_next(self, ctxt: Ctxt, status: str, errmsg: str | None = None) -> None:
        """The task of `ctxt` has ended, durably, with this status."""
        self._hint(ctxt.get("plan_uid"))

    def soft_stop(self, ctxt: Ctxt, plan_uid: str) -> None:
        """Start nothing more of this plan: what has not been claimed becomes SKIPPED."""
        try:
            self.store.plans.stop(_uid(plan_uid))
        except UnknownPlan as error:
            LOG.warning("%s", error)
        self._steered = True
        self._hint(plan_uid)

    # -- background ----------------------------------------------------------------

    def _hint(self, plan_uid: object) -> None:
        self._hinted.add(_uid(plan_uid))
        self._wake.set()

    def _lead(self, stopping: Stopping) -> None:
        """The one greenlet that moves plans on."""
        poll_interval = self.conf[GROUP].poll_interval
        next_poll = 0.0
        while not stopping.is_set():
            now = time.monotonic()
            hinted, self._hinted = self._hinted, set()
            steered, self._steered = self._steered, False
            led = {leader.uid for leader in self._leaders.values()}
            polled = now >= next_poll or steered or not hinted <= led
            try:
                if polled:
                    next_poll = now + poll_interval
                    self._look_around(now)
            except DatabaseUnavailable as error:
                LOG.warning("no plans can be led: %s", error)
            self._advance_all([leader for leader in self._leaders.values()
                               if polled or leader.uid in hinted or leader.is_due(now)], now)  # fmt: skip
            if not self._hinted:
                self._wake.wait(max(self._next_deadline(next_poll) - time.monotonic(), 0.0))
            self._wake.clear()
        self._resign_all()

    def _look_around(self, now: float) -> None:
        """Take the lead of plans that have none, and notice plans that were steered or lost."""
        mine = self.store.leases.mine()
        for plan_id, leader in list(self._leaders.items()):
            led = mine.get(plan_id)
            if led is None or led.epoch != leader.epoch:
                self._lose_lead(plan_id, leader)
            elif led.revision != leader.revision:
                leader.stale = True
        for plan_id in self._dropped & mine.keys():
            if plan_id not in self._leaders:
                self._lead_plan(plan_id, mine[plan_id].uid, mine[plan_id].epoch)
        self._dropped -= mine.keys()
        leases = {lease.plan_id: lease for lease in self.store.leases.open()}
        silent = set(
            self._rivals.expired(
                {i: (lease.epoch, lease.beat) for i, lease in leases.items() if lease.owner is not None}, now
            )
        )
        for plan_id, lease in leases.items():
            if lease.owner is None or plan_id in silent or is_known_dead(lease.owner):
                self._take_lead(lease)

    def _take_lead(self, lease: Lease) -> None:
        try:
            epoch = self.store.leases.acquire(lease)
        except DatabaseUnavailable:
            self._dropped.add(lease.plan_id)
            raise
        if epoch is None:
            return
        if lease.owner is not None:
            LOG.warning("%s: taking the lead over from %s, which is silent", lease.uid, lease.owner)
        else:
            LOG.info("%s: leading it", lease.uid)
        self._lead_plan(lease.plan_id, lease.uid, epoch)

    def _lead_plan(self, plan_id: int, uid: str, epoch: int) -> None:
        self._leaders[plan_id] = Leader(
            self.store, self.conf, plan_id, uid, epoch, self._outbox.put, self._dispatching, self.limits
        )

    def _dispatching(self) -> bool:
        # What the tasks worker beside this one hands back as it stops must not be sent to it again.
        return not getattr(self.executor, "forewarned", False)

    def _advance_all(self, leaders: Sequence[Leader], now: float) -> None:
        if len(leaders) == 1:
            self._advance(leaders[0], now)
        else:
            # At the same time, so that what they write is committed together.
            gevent.joinall([gevent.spawn(self._advance, leader, now) for leader in leaders])

    def _advance(self, leader: Leader, now: float) -> None:
        try:
            if not leader.advance(now):
                self._leaders.pop(leader.plan_id, None)
        except DatabaseUnavailable as error:
            LOG.warning("%s: cannot go on for now: %s", leader.uid, error)
        except Exception:
            LOG.exception("%s: cannot go on; the plan is loaded anew", leader.uid)

    def _next_deadline(self, next_poll: float) -> float:
        deadlines = [d for leader in self._leaders.values() if (d := leader.deadline()) is not None]
        return min([next_poll, *deadlines])

    def _renew(self, stopping: Stopping) -> None:
        """Keep the leases; give up the lead of what could not be kept."""
        lease = self.conf[GROUP].lease
        renewed = time.monotonic()
        while not stopping.wait(lease / 3):
            # Only of these the answer tells: others may come while it is on its way.
            leaders = dict(self._leaders)
            try:
                kept = self.store.leases.renew(patience=lease / 6)
            except DatabaseUnavailable as error:
                LOG.warning("leases could not be renewed: %s", error)
                if time.monotonic() - renewed > lease * 2 / 3:
                    for leader in self._leaders.values():
                        LOG.warning("%s: the lead is given up, its lease may be another's by now", leader.uid)
                    self._dropped |= self._leaders.keys()
                    self._leaders.clear()
                continue
            renewed = time.monotonic()
            for plan_id, leader in leaders.items():
                if kept.get(plan_id) != leader.epoch and self._leaders.get(plan_id) is leader:
                    self._lose_lead(plan_id, leader)

    def _lose_lead(self, plan_id: int, leader: Leader) -> None:
        LOG.warning("%s: the lead was lost to another scheduler", leader.uid)
        self._leaders.pop(plan_id, None)
        self._dropped.add(plan_id)

    def _not_carried(self, ctxt: Ctxt, error: NotCarried) -> None:
        """A task whose arguments cannot be sent would wait for its claim for ever."""
        try:
            self.store.attempts.refuse(ctxt["plan_uid"], ctxt["task_name"], ctxt["attempt"], str(error))
        except DatabaseUnavailable as problem:
            LOG.warning("%s: %s", ctxt["task_id"], problem)
        self._hint(ctxt["plan_uid"])

    def _wake_at_end(self, stopping: Stopping) -> None:
        stopping.wait()
        self._wake.set()

    def _resign_all(self) -> None:
        for leader in self._leaders.values():
            try:
                leader.resign()
            except DatabaseUnavailable as error:
                LOG.warning("%s: the lease could not be released: %s", leader.uid, error)
        self._leaders.clear()


def _uid(given: object) -> str:
    if not isinstance(given, str):
        raise Rejected(f"the uid of a plan must be a text, not {type(given).__name__}")
    return given
