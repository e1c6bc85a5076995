"""Parts of third parties that misbehave: what is promised of plans holds all the same."""

from __future__ import annotations

import json
import re
import signal

import packages
import pytest
import sqlalchemy as sa
from checker import check, guarded, log_is_complete
from harness import Site, gated, plan, task, wait_until
from keeper import Keeper, Part

from solar_orch.store.schema import tasks

DRIVERS = "solar.orchestration.drivers.tasks"
HOOKS = "solar.orchestration.hooks.tasks.construct"

#: A driver that knows nothing of claims, heartbeats and kills, nor of good manners.
ODD_DRIVER = """
    import os

    import gevent
    from gevent.monkey import get_original

    from solar_orch.workers.base import Worker
    from solar_orch.workers.tasks import Tasks


    class Unheard(BaseException):
        pass


    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no text")


    class Evil(dict):
        def items(self):
            raise RuntimeError("no items")

        __iter__ = keys = values = items


    def fail(ctxt, what):
        kinds = {
            "error": RuntimeError("odd"),
            "exit": SystemExit(7),
            "interrupt": KeyboardInterrupt(),
            "greenlet exit": gevent.GreenletExit(),
            "unheard": Unheard("of"),
            "mute": Mute(),
            "surrogate": RuntimeError("caf\\udce9"),
            "large": RuntimeError("x" * 20_000_000),
        }
        raise kinds[what]


    def give(ctxt, what):
        circle = []
        circle.append(circle)
        return {
            "object": object(),
            "bytes": b"bytes",
            "nan": float("nan"),
            "circle": circle,
            "keys": {(1, 2): 3},
            "evil": Evil(one=1),
            "surrogate": "caf\\udce9",
            "large": "x" * 20_000_000,
            "number": 10**5000,
        }[what]


    class Odd(Worker):
        name = "tasks"

        def fail(self, ctxt, what):
            fail(ctxt, what)

        def give(self, ctxt, what):
            return give(ctxt, what)

        def never(self, ctxt):
            gevent.sleep(1e6)

        def first_never(self, ctxt):
            if ctxt["attempt"] == 1:
                gevent.sleep(1e6)

        def deaf(self, ctxt):
            try:
                gevent.sleep(1e6)
            except BaseException:
                pass
            return "deaf"

        def deaf_for_ever(self, ctxt):
            while ctxt["attempt"] == 1:
                try:
                    gevent.sleep(1e6)
                except BaseException:
                    pass


    class Blocking(Tasks):
        def block(self, ctxt):
            # All of the process, not the greenlet.
            while ctxt["attempt"] == 1 and not os.path.exists(os.environ["SITE"] + "/gate"):
                get_original("time", "sleep")(0.02)


    def not_a_class(conf, clients):
        return Odd(conf, clients)
"""


@pytest.fixture
def odd(site: Site) -> None:
    """Have the drivers above to choose from; ``odd`` is chosen."""
    drivers = {"odd": "odd_driver:Odd", "blocking": "odd_driver:Blocking", "wrong": "odd_driver:not_a_class"}
    packages.install(site, "odd-driver", {DRIVERS: drivers}, {"odd_driver": ODD_DRIVER})
    site.set(tasks_driver="odd", lease=1.5, resend_interval=0.5)


def assert_kept(site: Site, uid: str, **allowed: set[str]) -> None:
    """What was promised of a plan, which is over."""
    wait_until(lambda: log_is_complete(site, uid), "all outcomes in the system log")
    assert check(site, uid, {name.replace("_", "-"): states for name, states in allowed.items()}).broken == []


def results(site: Site, uid: str) -> dict[str, object]:
    """Task name to its result."""
    query = sa.select(tasks.c.name, tasks.c.result).where(tasks.c.plan_id == site.store.plans.get(uid).id)
    with site.store.database.read() as connection:
        return {row.name: row.result for row in connection.execute(query)}


# -- drivers -------------------------------------------------------------------------------


@pytest.mark.usefixtures("odd")
def test_whatever_a_method_does_its_attempt_has_one_outcome(site: Site) -> None:
    worker = site.worker()
    failures = ["error", "exit", "interrupt", "greenlet exit", "unheard", "mute", "surrogate", "large"]
    gifts = ["object", "bytes", "nan", "circle", "keys", "evil", "surrogate", "large", "number"]
    uid = site.want(
        plan(
            *(task(f"fail-{what.replace(' ', '-')}", "fail", what) for what in failures),
            *(task(f"give-{what}", "give", what) for what in gifts),
            task("again", "fail", "error", retry=1),
            task("never", "never", timelimit=0.5),
            task("deaf", "deaf", timelimit=0.5),
            task("to-be-killed", "never"),
            task("wrong-arguments", "never", 1, 2, 3),
            task("unknown", "no_such_type"),
            task("last", "give", "object", after=[f"give-{what}" for what in gifts]),
        )
    )
    wait_until(lambda: site.look(uid)["to-be-killed"]["start_time"])
    site.store.attempts.kill(uid, "to-be-killed", None, "not today")
    ended = site.ended(uid)
    failed = {name for name in ended.states if name.startswith("fail-")}
    failed |= {"again", "never", "to-be-killed", "wrong-arguments", "unknown"}
    assert {name for name, state in ended.states.items() if state == "ERROR"} == failed
    assert {name for name, state in ended.states.items() if state == "SUCCESS"} == set(ended.states) - failed
    assert {name: attempt for name, attempt in ended.attempts.items() if attempt != 1} == {"again": 2}
    said = {name: task["errmsg"] for name, task in ended.tasks.items()}
    assert said["fail-error"] == "RuntimeError: odd"
    assert said["fail-exit"] == "SystemExit: 7"
    assert said["fail-interrupt"] == "KeyboardInterrupt"
    assert said["fail-greenlet-exit"] == "GreenletExit"
    assert said["fail-unheard"] == "Unheard: of"
    assert "Mute" in said["fail-mute"]
    assert "caf" in said["fail-surrogate"]
    assert said["fail-large"].startswith("RuntimeError: xxx")
    assert len(said["fail-large"]) < 100_000
    assert said["never"] == "ExecutionTimeout: timelimit of 0.5 s exceeded"
    assert said["to-be-killed"] == "not today"
    assert "unknown task type 'no_such_type'" in said["unknown"]
    kept = results(site, uid)
    # What it comes to in the end counts, though it was to come to it sooner.
    assert kept.pop("deaf") == "deaf"
    assert kept.pop("give-surrogate") == "caf\udce9"
    assert set(kept.values()) == {None}
    assert_kept(site, uid, **{name.replace("-", "_"): {"ERROR"} for name in failed})
    assert json.loads(site.orch("report", uid, "--format", "json").stdout)["status"] == "failed"
    assert worker.stop() == 0, worker.log


@pytest.mark.usefixtures("odd")
def test_what_a_foreign_driver_was_running_when_it_was_killed_is_run_again(site: Site) -> None:
    first = site.worker()
    uid = site.want(plan(task("first", "first_never"), task("next", "give", "object", after=["first"])))
    wait_until(lambda: site.look(uid)["first"]["start_time"])
    first.kill()
    second = site.worker()
    assert site.ended(uid).attempts == {"first": 2, "next": 1}
    assert_kept(site, uid)
    assert second.stop() == 0


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize("apart", [False, True], ids=["one-process", "scheduler-apart"])
def test_a_driver_that_blocks_its_process_costs_time_and_nothing_else(site: Site, apart: bool) -> None:
    site.set(tasks_driver="blocking")
    names = [["scheduler", "system_log"], ["tasks"]] if apart else [[]]
    workers = [site.worker(*each) for each in names]
    long_once = guarded('[ "$SOLAR_ATTEMPT" != 1 ] || sleep 30')
    uid = site.want(
        plan(
            task("long", "cmd", long_once),
            task("short", "cmd", guarded()),
            task("block", "block", after=["short"]),
            task("next", "cmd", guarded(), after=["block", "long"]),
        )
    )
    site.wait_for_mark("long")
    # The guard ends the command meanwhile, since somebody else may be about to run it again.
    wait_until(lambda: "sleep 30" not in site.commands(), "the end of the command")
    if apart:
        wait_until(lambda: {site.look(uid).attempts[name] for name in ("long", "block")} == {2})
    site.open()
    ended = site.ended(uid)
    assert set(ended.states.values()) == {"SUCCESS"}
    assert ended.attempts == {"long": 2, "short": 1, "block": 2 if apart else 1, "next": 1}
    assert_kept(site, uid)
    for worker in reversed(workers):
        assert worker.stop() == 0, worker.log
    assert site.others() == []


@pytest.mark.usefixtures("odd")
def test_a_driver_that_is_no_worker_is_refused(site: Site) -> None:
    line = site.refused_worker(tasks_driver="wrong")
    assert f"{DRIVERS}: wrong from odd-driver 1.0: must be a class that derives from" in line
    assert "but is the function not_a_class" in line


# -- hooks ---------------------------------------------------------------------------------

BAD_HOOK = """
    import os

    class Unheard(BaseException):
        pass

    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    def hook(worker, clients):
        exec(os.environ["MISCHIEF"])
"""


def test_a_hook_that_raises_ends_the_start_in_one_line(site: Site) -> None:
    packages.install(site, "bad-hook", {HOOKS: {"bad": "bad_hook:hook"}}, {"bad_hook": BAD_HOOK})
    for mischief in ("raise RuntimeError('not\\ntoday')", "raise Unheard", "raise Mute"):
        site.env["MISCHIEF"] = mischief
        line = site.refused_worker()
        assert f"{HOOKS}: bad from bad-hook 1.0: hook failed: " in line, mischief
        assert not site.runtime.exists()
    site.env["MISCHIEF"] = "pass"
    worker = site.worker()
    assert site.run(plan(task("only"))).status == "finished"
    assert worker.stop() == 0


#: What it returns is nobody's business; its subscribers do what the names of tasks say.
BAD_SUBSCRIBERS = """
    import gevent

    from solar_orch.errors import Rejected

    def act(moment, ctxt):
        name = ctxt.get("task_name", "")
        if name == f"{moment}-raises":
            raise RuntimeError(name)
        if name == f"{moment}-rejects":
            raise Rejected(name)
        if name == f"{moment}-exits":
            raise SystemExit(name)
        if name == f"{moment}-leaves":
            raise gevent.GreenletExit(name)
        if name == f"{moment}-never":
            gevent.sleep(1e6)

    def hook(worker, clients):
        worker.for_all.before(lambda ctxt: act("before", ctxt))
        worker.for_all.on_success(lambda ctxt, result, *args, **kwargs: act("success", ctxt))
        worker.for_all.on_error(lambda ctxt, error, *args, **kwargs: act("error", ctxt))
        worker.for_all.after(lambda ctxt: act("after", ctxt))
        return {"no": object}
"""


def install_bad_subscribers(site: Site) -> None:
    """Before the hook that ships, whose own subscribers come after them or never."""
    packages.install(
        site, "bad-subscribers", {HOOKS: {"a": "bad_subscribers:hook"}}, {"bad_subscribers": BAD_SUBSCRIBERS}
    )


def test_subscribers_that_misbehave_change_no_outcome(site: Site) -> None:
    install_bad_subscribers(site)
    worker = site.worker()
    kinds = ("raises", "rejects", "exits", "leaves")
    good = [f"{moment}-{kind}" for moment in ("success", "after") for kind in kinds]
    good += ["before-raises", "before-exits"]
    uid = site.want(
        plan(
            *(task(name, "cmd", guarded()) for name in good),
            *(task(f"error-{kind}", "cmd", guarded("exit 1")) for kind in kinds),
            task("before-rejects", "cmd", guarded(), retry=3),
            task("before-leaves", "cmd", guarded(), retry=3),
            task("before-never", "cmd", guarded(), timelimit=0.5),
            task("last", "cmd", guarded(), after=good),
        )
    )
    ended = site.ended(uid)
    failed = {"before-rejects", "before-leaves", "before-never", *(f"error-{kind}" for kind in kinds)}
    assert {name for name, state in ended.states.items() if state == "ERROR"} == failed
    assert set(ended.attempts.values()) == {1}
    assert ended["before-rejects"]["errmsg"] == "before-rejects"
    assert ended["before-never"]["errmsg"] == "ExecutionTimeout: timelimit of 0.5 s exceeded"
    # What may be meant for the whole call ends it.
    assert ended["before-leaves"]["errmsg"] == "GreenletExit: before-leaves"
    assert not {"before-rejects", "before-leaves", "before-never"} & {mark.task for mark in site.marks}
    assert_kept(site, uid, **{name.replace("-", "_"): {"ERROR"} for name in failed})
    for moment, told in (
        ("before", "before"),
        ("success", "on_success"),
        ("error", "on_error"),
        ("after", "after"),
    ):
        for kind in kinds:
            if f"{moment}-{kind}" not in failed or moment == "error":
                assert re.search(rf"~{moment}-{kind}: subscriber .* failed {told} the call", worker.log)
    assert worker.stop() == 0, worker.log


@pytest.mark.usefixtures("odd")
def test_calls_and_subscribers_that_take_no_notice_of_anything_do_not_keep_their_process(site: Site) -> None:
    install_bad_subscribers(site)
    site.set(drain_timeout=0.1)
    first = site.worker()
    uid = site.want(
        plan(
            task("success-never", "give", "object"),
            task("error-never", "fail", "error"),
            task("after-never", "give", "object"),
            task("deaf", "deaf_for_ever", timelimit=0.1, after=["success-never", "after-never"]),
        )
    )
    # The outcomes of those whose subscribers hang are known, and the plan goes on.
    wait_until(lambda: site.look(uid)["deaf"]["start_time"])
    wait_until(lambda: site.look(uid)["error-never"]["status"] == "ERROR")
    first.send(signal.SIGTERM)
    assert first.wait() == 0, first.log
    assert "4 calls do not end and are left behind" in first.log
    second = site.worker()
    assert site.ended(uid).attempts == {"success-never": 1, "error-never": 1, "after-never": 1, "deaf": 2}
    assert_kept(site, uid, error_never={"ERROR"})
    assert second.stop() == 0


# -- background functions ----------------------------------------------------------------------

BREAKING = """
    import os

    def hook(worker, clients):
        breaking = os.environ["SITE"] + "/break"

        @worker.background
        def watch(stopping):
            while not stopping.wait(0.05):
                if os.path.exists(breaking):
                    os.unlink(breaking)
                    raise RuntimeError("broken")
"""


def test_a_background_function_that_raises_ends_the_process_and_the_next_goes_on(site: Site) -> None:
    packages.install(site, "breaking", {HOOKS: {"breaking": "breaking:hook"}}, {"breaking": BREAKING})
    uid = site.want(
        plan(
            task("gate", "cmd", guarded(gated())),
            *(task(f"t{n}", "cmd", guarded("sleep 0.05"), after=["gate"] if n % 2 else []) for n in range(8)),
        )
    )
    with Keeper(site, [Part()]) as keeper:
        for deaths in (1, 2):
            wait_until(
                lambda deaths=deaths: len({m.attempt for m in site.marks if m.task == "gate"}) == deaths
            )
            site.open("break")
            wait_until(lambda deaths=deaths: keeper.deaths == deaths, "the next")
        site.open()
        ended = site.ended(uid)
        assert set(ended.states.values()) == {"SUCCESS"}
        # More if it was dispatched again before the whole process stopped; those attempts never ran.
        assert ended.attempts["gate"] >= 3
        assert_kept(site, uid)
    assert [process.code for process in site.processes] == [1, 1, 0]
    for process in site.processes[:2]:
        assert "hook.<locals>.watch failed" in process.log
        assert "solar-worker: error: RuntimeError: broken" in process.log
    # What ran was handed back.
    assert check(site, uid).lost == 0
    assert site.others() == []
