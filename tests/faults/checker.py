"""Whether what a database and the marks of commands tell of a run is what was promised.

The events are replayed one by one: they are every transition, in the order in which it became durable.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from harness import Site

from solar_orch.config import GROUP
from solar_orch.states import TRANSITIONS, VISITED, State
from solar_orch.store.log import OUTCOMES
from solar_orch.store.schema import edges

#: A command that notes its beginning and its end, and that another one of its task runs at the same time:
#: whatever it starts holds the lock, so that it is found even if it was killed.
_GUARDED = """\
exec 9>>"$SITE/lock.$SOLAR_PLAN_UID.$SOLAR_TASK_NAME"
flock -n 9 || echo "! $SOLAR_PLAN_UID $SOLAR_TASK_NAME $SOLAR_ATTEMPT" >> "$SITE/marks"
echo "+ $SOLAR_PLAN_UID $SOLAR_TASK_NAME $SOLAR_ATTEMPT" >> "$SITE/marks"
{body}
echo "- $SOLAR_PLAN_UID $SOLAR_TASK_NAME $SOLAR_ATTEMPT" >> "$SITE/marks"
"""


def guarded(body: str = ":") -> str:
    """A command that runs `body` and tells the checker of it."""
    return _GUARDED.format(body=body)


@dataclass
class Findings:
    """What a check has found."""

    #: What is not as promised, one sentence each.
    broken: list[str] = field(default_factory=list)
    attempts: int = 0
    #: Attempts that ended without an outcome: lost, handed back, or taken back.
    repeated: int = 0
    lost: int = 0
    doubled: int = 0
    overlapped: int = 0

    def __iadd__(self, other: Findings) -> Findings:
        self.broken += other.broken
        for name in ("attempts", "repeated", "lost", "doubled", "overlapped"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


def check(site: Site, uid: str, allowed: Mapping[str, Iterable[str]] | None = None) -> Findings:
    """Check a plan that is over.

    :param allowed: task name to the states that it may have ended in; SUCCESS for those that are not named
    """
    found = Findings()
    plan = site.store.plans.get(uid)
    rows = site.store.plans.tasks(plan.id)
    _Replay(site, rows, _parents(site, plan.id), found).run(site.store.events.all(plan.id))
    _check_ends(rows, allowed or {}, found)
    _check_marks(site, uid, rows, found)
    _check_log(site, uid, plan.id, found)
    return found


def _parents(site: Site, plan_id: int) -> dict[int, list[int]]:
    parents: dict[int, list[int]] = collections.defaultdict(list)
    with site.store.database.read() as connection:
        for child, parent in connection.execute(
            sa.select(edges.c.child, edges.c.parent).where(edges.c.plan_id == plan_id)
        ):
            parents[child].append(parent)
    return parents


class _Replay:
    """Follows the events."""

    def __init__(
        self, site: Site, rows: list[dict[str, Any]], parents: Mapping[int, list[int]], found: Findings
    ) -> None:
        self._rows = {row["position"]: row for row in rows}
        self._parents = parents
        self._found = found
        self._state = dict.fromkeys(self._rows, State.PENDING)
        self._attempt = dict.fromkeys(self._rows, 0)
        conf = site.conf[GROUP]
        self._max_inprogress = int(site.env.get("OS_ORCHESTRATION__MAX_INPROGRESS", conf.max_inprogress))
        self._target_limit = int(site.env.get("OS_ORCHESTRATION__TARGET_LIMIT", conf.target_limit))

    def run(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            self._follow(event["position"], State(event["old"]), State(event["new"]), event["attempt"])
            if event["message"] and "was lost with its worker" in event["message"]:
                self._found.lost += 1
        for position, state in self._state.items():
            if state == State.INPROGRESS:
                self._complain(position, "is in progress for ever")
            if state != self._rows[position]["status"]:
                self._complain(position, f"is {self._rows[position]['status']}, by its events {state}")

    def _follow(self, position: int, old: State, new: State, attempt: int) -> None:
        if self._state[position] != old:
            self._complain(position, f"went from {old}, but was {self._state[position]}")
        if new not in TRANSITIONS[old]:
            self._complain(position, f"went from {old} to {new}")
        if new == State.INPROGRESS:
            self._begin(position, attempt)
        elif attempt != self._attempt[position]:
            self._complain(
                position, f"attempt {attempt} ended while {self._attempt[position]} was the latest"
            )
        if old == State.INPROGRESS and new == State.PENDING:
            self._found.repeated += 1
        self._state[position] = new

    def _begin(self, position: int, attempt: int) -> None:
        self._found.attempts += 1
        if attempt != self._attempt[position] + 1:
            self._complain(position, f"attempt {attempt} came after {self._attempt[position]}")
        self._attempt[position] = attempt
        early = [parent for parent in self._parents.get(position, ()) if self._state[parent] not in VISITED]
        if early:
            self._complain(position, f"began before {[self._rows[parent]['name'] for parent in early]} ended")
        self._check_limits(position)

    def _check_limits(self, position: int) -> None:
        this = self._rows[position]
        running = [
            row for at, row in self._rows.items() if self._state[at] == State.INPROGRESS and at != position
        ]
        if len(running) >= self._max_inprogress:
            self._complain(position, "began beyond max_inprogress")
        same = [row for row in running if row["target"] is not None and row["target"] == this["target"]]
        if len(same) >= self._target_limit:
            self._complain(position, f"began beyond the limit of target {this['target']}")
        if this["type_limit"] is not None:
            kind = this["resource_type"] or this["type"]
            alike = [row for row in running if (row["resource_type"] or row["type"]) == kind]
            if len(alike) >= this["type_limit"]:
                self._complain(position, f"began beyond the limit of type {kind}")

    def _complain(self, position: int, what: str) -> None:
        self._found.broken.append(f"{self._rows[position]['name']} {what}")


def _check_ends(rows: list[dict[str, Any]], allowed: Mapping[str, Iterable[str]], found: Findings) -> None:
    for row in rows:
        states = set(allowed.get(row["name"], ("SUCCESS",)))
        if row["status"] not in states:
            found.broken.append(
                f"{row['name']} ended in {row['status']} and not in {states}: {row['errmsg']}"
            )


def _check_marks(site: Site, uid: str, rows: list[dict[str, Any]], found: Findings) -> None:
    begun: collections.Counter[tuple[str, int]] = collections.Counter()
    ended: set[tuple[str, int]] = set()
    path = site.root / "marks"
    for line in path.read_text().splitlines() if path.exists() else []:
        sign, plan, name, attempt = line.split(" ")
        if plan != uid:
            continue
        if sign == "!":
            found.overlapped += 1
            found.broken.append(f"{name}: attempt {attempt} overlapped with another")
        elif sign == "+":
            begun[name, int(attempt)] += 1
        else:
            ended.add((name, int(attempt)))
    for row in rows:
        is_guarded = any(isinstance(arg, str) and "$SITE/marks" in arg for arg in row["args"])
        if row["status"] == State.SUCCESS and is_guarded and (row["name"], row["attempt"]) not in ended:
            found.broken.append(f"{row['name']} is in SUCCESS, but its command has not come to its end")
    for (name, attempt), times in begun.items():
        if times > 1:
            found.doubled += 1
            found.broken.append(f"{name}: attempt {attempt} was run {times} times")


def _check_log(site: Site, uid: str, plan_id: int, found: Findings) -> None:
    """The log of a plan that is over is complete; whoever calls has waited for that, see ``log_is_complete``."""
    ended = _outcomes(site, plan_id)
    entered = [(row["task_name"], row["attempt"], row["status"]) for row in site.store.log.outcomes(uid)]
    if sorted(entered) != sorted(ended):
        missing, surplus = set(ended) - set(entered), set(entered) - set(ended)
        found.broken.append(f"the system log lacks {missing} and has {surplus} ({len(entered)} entries)")


def _outcomes(site: Site, plan_id: int) -> list[tuple[str, int, str]]:
    return [
        (event["name"], event["attempt"], event["new"])
        for event in site.store.events.all(plan_id)
        if event["old"] == State.INPROGRESS and event["new"] in OUTCOMES
    ]


def log_is_complete(site: Site, uid: str) -> bool:
    """Whether the system log has as many outcomes as there are."""
    plan = site.store.plans.get(uid)
    return len(site.store.log.outcomes(uid)) >= len(_outcomes(site, plan.id))
