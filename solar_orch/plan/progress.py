"""How a plan progresses: a pure machine, events in, decisions out.

It is told of every change of a task's state in the order in which the
changes became durable, and says what is to be done now.  It reads no clock:
`now` is handed in, in seconds of any monotonic clock.  The end of a task
costs work in proportion to its own edges (and the logarithm of the queue).
"""

from __future__ import annotations

import enum
import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from solar_orch.plan.graph import longest_below
from solar_orch.plan.limits import Key, Limited, Limits, Rule
from solar_orch.plan.model import retry_delay
from solar_orch.states import DISPATCHABLE, VISITED, State


class Subject(Limited, Protocol):
    """What the machine is told of a task when a plan is loaded."""

    @property
    def status(self) -> State: ...
    @property
    def tolerant(self) -> bool:
        """Whether it runs although predecessors failed, once none of them can go on."""

    @property
    def ignored(self) -> bool:
        """Whether its failure counts as visited, and as no failure of the plan."""

    @property
    def attempt(self) -> int: ...
    @property
    def claimed(self) -> bool: ...
    @property
    def weight(self) -> float | None:
        """None: the length of the longest path below it."""

    @property
    def timeout(self) -> float | None: ...
    @property
    def dispatched_for(self) -> float | None:
        """Seconds since the attempt in progress was dispatched."""

    @property
    def retry_delay(self) -> float: ...
    @property
    def retry_delay_max(self) -> float | None: ...
    @property
    def failures(self) -> int:
        """Failed attempts, the one that led to ERROR_RETRY included, since it was last made PENDING anew."""

    @property
    def ended_for(self) -> float | None:
        """Seconds since the last attempt ended; None if unknown."""


# -- decisions ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Record a new attempt of this task and send it."""

    position: int
    #: The state that the task is in.
    state: State


@dataclass(frozen=True, slots=True)
class CheckClaim:
    """See whether this attempt was claimed; if not, send it again."""

    position: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Expire:
    """This attempt has had no result within its `timeout`: end it."""

    position: int
    attempt: int
    timeout: float


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing runs and nothing more can."""

    #: Whether a task is in ERROR whose failure counts.
    failed: bool


Decision = Dispatch | CheckClaim | Expire | Finish


#: Limits of one kind that get their turn when a task ends, so that an end costs no more where many wait; the
#: others get it at the next ends.
_MOST_FREED = 100


class _Timer(enum.IntEnum):
    """What is to be done about an attempt at some time."""

    CHECK_CLAIM = 0
    EXPIRE = 1
    #: The attempt failed; the next one may be made.
    RETRY = 2


class _Standing(enum.Enum):
    """What a task means to those that wait for it."""

    OPEN = enum.auto()
    PASSED = enum.auto()
    #: Unless somebody steers it, it will not be passed.
    HOPELESS = enum.auto()


_OPEN, _PASSED, _HOPELESS = _Standing


class _Node:
    __slots__ = (
        "attempt",
        "blocked",
        "children",
        "counted",
        "delayed",
        "entry",
        "failures",
        "keys",
        "missing",
        "position",
        "queued",
        "refused",
        "standing",
        "state",
        "subject",
        "waits",
        "weight",
    )

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.position = subject.position
        self.state = subject.status
        self.attempt = subject.attempt
        self.failures = subject.failures
        self.weight = subject.weight or 0.0
        self.children: list[int] = []
        #: The limits that concern it; None until they are asked for.
        self.keys: tuple[Key, ...] | None = None
        #: Number of predecessors that it has to wait for.
        self.missing = 0
        #: Number of predecessors that are hopeless.
        self.blocked = 0
        self.standing = _OPEN
        #: Whether it counts for the limits.
        self.counted = False
        #: Whether the delay after a failure has not passed yet.
        self.delayed = False
        #: Whether a dispatch was refused; what made it impossible is yet to arrive as an event.
        self.refused = False
        #: Whether nothing but limits and a delay keeps it from starting, see `should_wait`.
        self.waits = False
        #: Whether it has a valid entry in the ready queue or among the parked.
        self.queued = False
        #: Raised whenever its entry becomes void.
        self.entry = 0

    def should_wait(self) -> bool:
        """What `waits` has to be."""
        return self.state in DISPATCHABLE and self.missing == 0 and not self.counted

    def should_stand(self) -> _Standing:
        """What `standing` has to be."""
        if self.state in VISITED:
            return _PASSED
        if self.state in DISPATCHABLE:
            return _HOPELESS if self.blocked and not self.subject.tolerant else _OPEN
        if self.state == State.INPROGRESS:
            return _OPEN
        return _PASSED if self.state == State.ERROR and self.subject.ignored else _HOPELESS

    def note_predecessor(self, old: _Standing, new: _Standing) -> None:
        """One of those before it stands differently now."""
        self.blocked += (new is _HOPELESS) - (old is _HOPELESS)
        self.missing += self._waits_for(new) - self._waits_for(old)

    def _waits_for(self, standing: _Standing) -> bool:
        return standing is _OPEN or (standing is _HOPELESS and not self.subject.tolerant)


class Progress:
    """The state of one plan that is being led.

    :param subjects: the tasks; `position` of each is its index
    :param edges: (child, parent) positions
    :param now: seconds of the monotonic clock that all further calls use
    :param resend_interval: seconds after which an attempt is checked for a claim
    :param rules: limits besides those that are counted
    """

    def __init__(
        self,
        subjects: Sequence[Subject],
        edges: Iterable[tuple[int, int]],
        *,
        max_inprogress: int,
        target_limit: int,
        resend_interval: float,
        now: float,
        rules: Sequence[Rule] = (),
    ) -> None:
        self._nodes = [_Node(subject) for subject in subjects]
        self._limits = Limits(max_inprogress, target_limit, rules)
        self._resend_interval = resend_interval
        #: (-weight, position, entry) of tasks that may start as far as predecessors and delays go.
        self._ready: list[tuple[float, int, int]] = []
        #: The same, of those that a full limit keeps from starting, by that limit.
        self._parked: dict[Key, list[tuple[float, int, int]]] = {}
        #: Keys with parked tasks, by what frees them, see `_freed_by`.
        #: The one that has waited longest for its turn comes first.
        self._parked_by: dict[tuple[object, object], dict[Key, None]] = {}
        #: (due, position, attempt, what)
        self._timers: list[tuple[float, int, int, _Timer]] = []
        self._errors = 0
        #: Number of nodes that wait.
        self._waiting = 0
        for child, parent in edges:
            self._nodes[parent].children.append(child)
            self._nodes[child].missing += 1
        self._weigh()
        for node in self._nodes:
            self._enter(node, now, loading=True)

    # -- events ----------------------------------------------------------------

    def changed(self, position: int, attempt: int, state: State, now: float) -> None:
        """A task's state became `state`, durably.  Old news, and repeated news, change nothing."""
        node = self._nodes[position]
        if attempt < node.attempt or (attempt == node.attempt and state == node.state):
            return
        self._leave(node, state)
        node.attempt = attempt
        node.state = state
        self._enter(node, now)

    # -- decisions -------------------------------------------------------------

    def decide(self, now: float, *, wanted: bool = True, dispatching: bool = True) -> list[Decision]:
        """What is to be done now.

        :param wanted: False while the plan is stopped: then nothing is dispatched or finished
        :param dispatching: False when there is nobody to dispatch to: then only that is not done

        A task that is to be dispatched counts as in progress from here on:
        if its dispatch turns out impossible, :meth:`refused` takes that back.
        """
        decisions = self._due(now)
        if not wanted:
            return decisions
        if dispatching:
            decisions.extend(self._dispatches())
        if not decisions and self.finished:
            return [Finish(self._errors > 0)]
        return decisions

    def refused(self, position: int) -> None:
        """A dispatch that was decided was not made; the task stays as it was, but out of the queue.

        What made it impossible (another state of the task, a lost lease)
        arrives as an event or ends the lead.
        """
        node = self._nodes[position]
        if node.counted and node.state != State.INPROGRESS:
            node.refused = True
            self._uncount(node)
            self._reconsider(node)

    @property
    def finished(self) -> bool:
        """Nothing runs and nothing more can start."""
        return self._limits.in_progress == 0 and self._waiting == 0

    @property
    def in_progress(self) -> int:
        """Number of tasks in progress."""
        return self._limits.in_progress

    def deadline(self) -> float | None:
        """When :meth:`decide` has something to do at the latest if nothing changes; None if never."""
        return self._timers[0][0] if self._timers else None

    def states(self) -> list[State]:
        """The state of each task by position, as this machine believes it."""
        return [node.state for node in self._nodes]

    # -- the inside ------------------------------------------------------------

    def _weigh(self) -> None:
        """Give those without a weight the length of the longest path below them."""
        if all(node.subject.weight is not None for node in self._nodes):
            return
        below = longest_below([node.children for node in self._nodes])
        for node, length in zip(self._nodes, below, strict=True):
            if node.subject.weight is None:
                node.weight = length

    def _enter(self, node: _Node, now: float, *, loading: bool = False) -> None:
        """Take into account the state that the node is in now."""
        if node.state == State.ERROR and not node.subject.ignored:
            self._errors += 1
        elif node.state == State.INPROGRESS:
            if not node.counted:
                node.counted = True
                self._limits.add(node.subject)
            self._set_timers(node, now, loading)
        elif node.state == State.ERROR_RETRY:
            if not loading:
                node.failures += 1
            self._delay(node, now, loading)
        self._reconsider(node)
        if node.should_stand() is not node.standing:
            self._change_standing(node)

    def _leave(self, node: _Node, new: State) -> None:
        """Take back what `_enter` did for the state that the node is leaving."""
        if node.state == State.ERROR and not node.subject.ignored:
            self._errors -= 1
        if new == State.PENDING and node.state != State.INPROGRESS:
            # Neither lost nor handed back: somebody wants it to begin anew.
            node.failures = 0
        node.delayed = node.refused = False
        if node.counted and new != State.INPROGRESS:
            self._uncount(node)

    def _change_standing(self, node: _Node) -> None:
        """Let it stand as it should, and those below it whose standing depends on that."""
        changing = [node]
        while changing:
            node = changing.pop()
            old, new = node.standing, node.should_stand()
            if old is new:
                continue
            node.standing = new
            for position in node.children:
                child = self._nodes[position]
                child.note_predecessor(old, new)
                self._reconsider(child)
                if old is _HOPELESS or new is _HOPELESS:
                    changing.append(child)

    def _reconsider(self, node: _Node) -> None:
        """After any change of the node: let it wait, and be in the queue, exactly if it should."""
        waits = node.should_wait()
        if waits != node.waits:
            node.waits = waits
            self._waiting += 1 if waits else -1
        queued = waits and not node.delayed and not node.refused
        if queued and not node.queued:
            heapq.heappush(self._ready, (-node.weight, node.position, node.entry))
        elif node.queued and not queued:
            node.entry += 1
        node.queued = queued

    def _uncount(self, node: _Node) -> None:
        node.counted = False
        self._limits.remove(node.subject)
        for source in self._limits.sources(node.subject):
            self._free(source)

    def _free(self, source: tuple[object, object]) -> None:
        """Give their turn to limits for which one of their tasks has ended."""
        freed = 0
        for key in list(self._parked_by.get(source, ())):
            # Those that hold nothing any more do not count.
            freed += self._unpark(key)
            if freed == _MOST_FREED:
                return

    def _dispatches(self) -> list[Dispatch]:
        chosen: list[Dispatch] = []
        while self._ready and not self._limits.full:
            entry = heapq.heappop(self._ready)
            node = self._nodes[entry[1]]
            if entry[2] != node.entry:
                self._pass_on(node)
                continue
            blocking = self._limits.blocking(node.subject, self._keys(node))
            if blocking is not None:
                self._park(node, entry, blocking)
                continue
            node.counted = True
            self._limits.add(node.subject)
            self._reconsider(node)
            chosen.append(Dispatch(node.position, node.state))
            if self._limits.has_rules:
                # The end that let this one go may have made room for others as well.
                self._pass_on(node)
        return chosen

    def _park(self, node: _Node, entry: tuple[float, int, int], blocking: Key) -> None:
        heapq.heappush(self._parked.setdefault(blocking, []), entry)
        self._parked_by.setdefault(_source(blocking), {})[blocking] = None
        self._pass_on(node)

    def _pass_on(self, node: _Node) -> None:
        """Leave to others the place for which a limit may have let this task go."""
        for key in self._keys(node):
            if not self._limits.is_full(key):
                self._unpark(key)

    def _keys(self, node: _Node) -> Iterable[Key]:
        """The limits that concern a task."""
        if not self._limits.has_rules:
            return self._limits.keys(node.subject)
        if node.keys is None:
            node.keys = tuple(self._limits.keys(node.subject))
        return node.keys

    def _unpark(self, key: Key) -> bool:
        """Let the first task that this limit holds try again; False if there is none."""
        queue = self._parked.get(key)
        if queue is None:
            return False
        found = False
        while queue and not found:
            entry = heapq.heappop(queue)
            found = entry[2] == self._nodes[entry[1]].entry
            if found:
                heapq.heappush(self._ready, entry)
        holders = self._parked_by[_source(key)]
        del holders[key]
        if queue:
            holders[key] = None
        else:
            del self._parked[key]
        if not holders:
            del self._parked_by[_source(key)]
        return found

    def _set_timers(self, node: _Node, now: float, loading: bool) -> None:
        subject = node.subject
        # What a former leader may or may not have sent is looked at right away.
        unsent = loading and not subject.claimed
        check = now if unsent else now + self._resend_interval
        self._set_timer(check, node.position, node.attempt, _Timer.CHECK_CLAIM)
        if subject.timeout is not None:
            left = _left(subject.timeout, subject.dispatched_for if loading else None)
            self._set_timer(now + left, node.position, node.attempt, _Timer.EXPIRE)

    def _delay(self, node: _Node, now: float, loading: bool) -> None:
        """Keep a task whose attempt failed from the next one until its delay has passed."""
        subject = node.subject
        delay = retry_delay(subject.retry_delay, subject.retry_delay_max, node.failures)
        left = _left(delay, subject.ended_for if loading else None)
        if left > 0:
            node.delayed = True
            self._set_timer(now + left, node.position, node.attempt, _Timer.RETRY)

    def _set_timer(self, due: float, position: int, attempt: int, what: _Timer) -> None:
        heapq.heappush(self._timers, (due, position, attempt, what))

    def _due(self, now: float) -> list[Decision]:
        """What is due of attempts in progress; delays that have passed are over from here on."""
        due: list[Decision] = []
        while self._timers and self._timers[0][0] <= now:
            _, position, attempt, what = heapq.heappop(self._timers)
            node = self._nodes[position]
            if node.attempt != attempt:
                continue
            if what == _Timer.RETRY:
                node.delayed = False
                self._reconsider(node)
            elif node.state == State.INPROGRESS:
                due.append(_decision(what, node))
        return due

    def check_again(self, position: int, attempt: int, now: float) -> None:
        """An attempt was sent again: check it again after the resend interval."""
        self._set_timer(now + self._resend_interval, position, attempt, _Timer.CHECK_CLAIM)


def _left(whole: float, elapsed: float | None) -> float:
    """What is left of some seconds, of which some may have passed by the wall clock."""
    # One that was moved must neither prolong them nor end them before they began.
    return min(max(whole - (elapsed or 0.0), 0.0), whole)


def _decision(what: _Timer, node: _Node) -> Decision:
    if what == _Timer.EXPIRE:
        return Expire(node.position, node.attempt, node.subject.timeout or 0.0)
    return CheckClaim(node.position, node.attempt)


def _source(key: Key) -> tuple[object, object]:
    """What must end for the limit to have room: keys of one type differ in their number only."""
    return (key[0], key[1])
