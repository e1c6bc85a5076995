"""kill -9 at every fault point, with the worker started again each time; no point is left out.

One process after the other is armed with one point and dies there, in the
midst of the plans that those before it have left behind.  At the end a
worker without faults finishes all of them, and all are checked.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from checker import Findings, check, guarded, log_is_complete
from harness import PATIENCE, WORKERS, Process, Site, plan, task, wait_until

from solar_orch import faults
from solar_orch.executors import wire
from solar_orch.extensions import make_client

OPTIONS = {
    "lease": 1.2,
    "lost_limit": 1000,
    "poll_interval": 0.2,
    "resend_interval": 0.4,
    "send_timeout": 0.5,
    "drain_timeout": 0,
}

#: Runs in its first attempt until it is ended, or all is to end, and in others ends by itself.
_LONG_ONCE = guarded(
    'n=0; until [ "$SOLAR_ATTEMPT" != 1 ] || [ -e "$SITE/gate" ] || [ $n -ge 300 ]; do sleep 0.2; n=$((n+1)); done'
)


@dataclass(frozen=True)
class Scenario:
    """How a worker is brought to a point."""

    #: The tasks of the plan that it is given; task name to the states they may end in, if not SUCCESS.
    tasks: Callable[[], list[dict[str, object]]]
    allowed: dict[str, set[str]]
    #: What is done when its long command runs.
    then: Callable[[Site, str, Process], None] | None = None
    #: Whether the command's first worker is another one, which is killed.
    inherited: bool = False


def everyday() -> list[dict[str, object]]:
    """Enough to come to all points that belong to any plan, the heartbeat of a command among them."""
    return [
        task("first", "cmd", guarded("sleep 0.6")),
        task("second", "cmd", guarded(), after=["first"]),
        task("third", "noop", after=["first"]),
    ]


def long_once() -> list[dict[str, object]]:
    """Has more ready tasks than are dispatched: something waits when it is stopped."""
    return [task("long", "cmd", _LONG_ONCE, retry=100), task("next", "noop", after=["long"])]


def late_once() -> list[dict[str, object]]:
    return [task("long", "cmd", _LONG_ONCE, retry=100, timeout=0.6)]


def conditional() -> list[dict[str, object]]:
    return [
        task("first", "cmd", guarded()),
        task("second", "noop", after=["first"], when="${tasks.first.result} == 'what no command prints'"),
        task("third", "noop", after=["second"]),
    ]


def unsendable() -> list[dict[str, object]]:
    return [task("large", "noop", [0] * (wire.MAX_ITEMS + 1)), task("small")]


def _terminate(site: Site, uid: str, process: Process) -> None:
    process.send(signal.SIGTERM)


def _kill_task(site: Site, uid: str, process: Process) -> None:
    client = make_client(site.conf, "tasks")
    client.kill({}, f"{uid}~long", None, "not today")
    client.close(1)


def _show_output(site: Site, uid: str, process: Process) -> None:
    client = make_client(site.conf, "tasks")
    client.show_output({}, f"{uid}~long")
    client.close(1)


def _soft_stop(site: Site, uid: str, process: Process) -> None:
    client = make_client(site.conf, "scheduler")
    client.soft_stop({}, uid)
    client.close(1)


EVERYDAY = Scenario(everyday, {})
STOPPED = Scenario(long_once, {}, _terminate)
SCENARIOS = {
    "release": STOPPED,
    "return": STOPPED,
    "leave": STOPPED,
    "hand_back": STOPPED,
    "pass_over": Scenario(conditional, {"second": {"NOOP"}}),
    "refuse": Scenario(unsendable, {"large": {"ERROR"}}),
    "expire": Scenario(late_once, {}),
    "lose": Scenario(long_once, {}, inherited=True),
    "show_output": Scenario(long_once, {}, _show_output),
    # A wish that was not recorded is gone with its message.
    "kill.before": Scenario(
        long_once, {"long": {"ERROR", "SUCCESS"}, "next": {"PENDING", "SUCCESS"}}, _kill_task
    ),
    "kill.after": Scenario(long_once, {"long": {"ERROR"}, "next": {"PENDING"}}, _kill_task),
    "stop.before": Scenario(long_once, {}, _soft_stop),
    # What was lost afterwards is not run again.
    "stop.after": Scenario(long_once, {"long": {"PENDING", "SUCCESS"}, "next": {"SKIPPED"}}, _soft_stop),
}

#: Name of a commit or send to the worker that makes it; the rest is made by every worker, or by none.
OWNERS = {
    "tasks": [
        "claim",
        "beat",
        "settle",
        "show_output",
        "hand_back",
        "kill",
        "send.scheduler",
        "send.system_log",
    ],
    "scheduler": [
        *("acquire", "renew", "release", "dispatch", "refuse", "expire", "lose", "return", "finish", "stop"),
        *("pass_over", "send.tasks"),
    ],
    "system_log": ["log", "presence", "leave"],
}
#: Those of the commands.
COMMANDS = ["create", "want", "steer", "delete", "sweep", "send.hint", "stage", "discard"]


def points_of(*names: str) -> list[str]:
    return [f"{name}.{moment}" for name in names for moment in ("before", "after")]


def points_of_worker(worker: str) -> list[str]:
    return [*points_of(*OWNERS[worker]), f"receive.{worker}", *(["answer"] if worker == "tasks" else [])]


def test_every_point_is_exercised_below() -> None:
    workers = [point for worker in WORKERS for point in points_of_worker(worker)]
    assert sorted([*workers, *points_of(*COMMANDS)]) == sorted(faults.POINTS)


class Lives:
    """The plans of one test, and the processes that die over them."""

    def __init__(self, site: Site) -> None:
        self.site = site
        #: What runs beside them, by worker name.
        self.others: dict[str, Process] = {}
        self.plans: dict[str, dict[str, set[str]]] = {}

    def die_at(self, point: str, worker: str | None) -> None:
        """Have a process die at `point`: that of this worker, or the one of all."""
        scenario = SCENARIOS.get(point) or SCENARIOS.get(point.rpartition(".")[0], EVERYDAY)
        uid = self.site.want(plan(*scenario.tasks(), name=point.replace(".", "-")))
        self.plans[uid] = scenario.allowed
        if scenario.inherited:
            self._leave_running(uid)
        names = [] if worker is None else [f"--worker={worker}"]
        process = self.site.begin_worker(*names, faults=f"{point}=kill")
        if scenario.then is not None:
            wait_until(lambda: self._runs(uid) or process.code is not None, f"the command for {point}")
            if worker is not None:
                process.wait_for(f" {worker}: ready at ")
            scenario.then(self.site, uid, process)
        wait_until(
            lambda: process.code is not None, lambda: f"{point} is not exercised:\n{process.log[-3000:]}"
        )
        assert process.code == -signal.SIGKILL, process.log
        assert f"fault: {point}: kill" in process.log

    def finish(self) -> Findings:
        """Wait for the end of all plans, and check them."""
        self.site.open()
        found = Findings()
        for uid, allowed in self.plans.items():
            self.site.ended(uid)
            wait_until(lambda uid=uid: log_is_complete(self.site, uid), "all outcomes in the system log")
            found += check(self.site, uid, allowed)
        return found

    def _runs(self, uid: str) -> bool:
        return any(mark.plan == uid and mark.begins for mark in self.site.marks)

    def _leave_running(self, uid: str) -> None:
        """Have workers begin with the plan, and kill them; those that belong there are started again."""
        began = [self.site.worker(name) for name in ("tasks", "scheduler") if name not in self.others]
        wait_until(lambda: self._runs(uid), f"the command of {uid}")
        for process in began:
            process.kill()
        if "tasks" in self.others:
            self.others["tasks"].kill()
            self.others["tasks"] = self.site.worker("tasks")


@pytest.fixture
def lives(site: Site) -> Lives:
    site.set(**OPTIONS)
    return Lives(site)


@pytest.mark.timeout(300)
def test_a_worker_that_dies_at_any_point_is_followed_by_one_that_goes_on(lives: Lives) -> None:
    for worker in WORKERS:
        for point in points_of_worker(worker):
            lives.die_at(point, None)
    last = lives.site.worker()
    assert lives.finish().broken == []
    assert last.stop() == 0
    assert lives.site.others() == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("worker", WORKERS)
def test_one_of_three_workers_that_dies_at_any_point_is_replaced(lives: Lives, worker: str) -> None:
    lives.others = {name: lives.site.worker(name) for name in WORKERS if name != worker}
    for point in points_of_worker(worker):
        lives.die_at(point, worker)
    last = lives.site.worker(worker)
    assert lives.finish().broken == []
    assert [process.stop() for process in [*lives.others.values(), last]] == [0, 0, 0]
    assert lives.site.others() == []


# -- commands ----------------------------------------------------------------------------


def died(process: Process, point: str) -> None:
    assert process.wait(PATIENCE) == -signal.SIGKILL, process.log
    assert f"fault: {point}: kill" in process.log


def test_what_a_command_has_committed_stands_though_it_was_killed(site: Site) -> None:
    site.set(**OPTIONS)
    worker = site.worker()
    file = site.write("plan.yaml", plan(*everyday()))
    for moment, made in (("before", 0), ("after", 1)):
        died(site.start("solar-orch", "create", file, faults=f"create.{moment}=kill"), f"create.{moment}")
        assert len(site.store.plans.summaries()) == made
    for point, wanted in (("want.before", False), ("want.after", True)):
        died(site.start("solar-orch", "run-once", "last", faults=f"{point}=kill"), point)
        assert site.store.plans.get("last").wanted is wanted
    uid = site.store.plans.get("last").uid
    assert site.ended(uid).status == "finished"
    for point in points_of("send.hint"):
        other = site.create(plan(*everyday(), name="other"))
        died(site.start("solar-orch", "run-once", other, faults=f"{point}=kill"), point)
        assert site.ended(other).status == "finished"
        wait_until(lambda other=other: log_is_complete(site, other), "all outcomes in the system log")
        assert check(site, other).broken == []
    assert worker.code is None


def test_a_verb_that_was_killed_has_changed_all_or_nothing(site: Site) -> None:
    uid = site.create(plan(task("good", status="SUCCESS"), task("bad", after=["good"], status="ERROR")))
    for moment, states in (("before", ["SUCCESS", "ERROR"]), ("after", ["PENDING", "PENDING"])):
        died(site.start("solar-orch", "reset", uid, faults=f"steer.{moment}=kill"), f"steer.{moment}")
        assert list(site.look(uid).states.values()) == states
    other = site.create(plan(task("other"), name="other"))
    for point, plans in (("delete.before", 2), ("delete.after", 1), ("sweep.before", 0), ("sweep.after", 0)):
        victim = uid if point.startswith("delete") else other
        if point == "sweep.after":
            victim = site.create(plan(*everyday()))
        died(site.start("solar-orch", "delete", victim, faults=f"{point}=kill"), point)
        assert len(site.store.plans.summaries()) == plans
    assert site.orch("prune", "--older-than", "1h").returncode == 0
    with site.store.database.read() as connection:
        for table in ("tasks", "edges", "events"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0


def test_a_change_is_staged_or_discarded_or_it_is_not(site: Site) -> None:
    for moment, staged in (("before", 0), ("after", 1)):
        point = f"stage.{moment}"
        died(site.start("solar-orch", "log", "stage", "web1", "restart", faults=f"{point}=kill"), point)
        assert len(site.store.log.staged()) == staged
    for moment, staged in (("before", 1), ("after", 0)):
        point = f"discard.{moment}"
        died(site.start("solar-orch", "log", "discard", "--all", faults=f"{point}=kill"), point)
        assert len(site.store.log.staged()) == staged
