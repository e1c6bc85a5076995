"""Parts of other packages in real processes: task types, limits, and their options."""

from __future__ import annotations

import json

import packages
import pytest
from harness import Site, at_once, gated, marked, plan, task, wait_until

TASK_TYPES = "solar.orchestration.task_types"
LIMITS = "solar.orchestration.limits"
DRIVERS = "solar.orchestration.drivers.tasks"
HOOKS = "solar.orchestration.hooks.tasks.construct"
RUNNERS = "solar.orchestration.runners"

TYPES = """
    import gevent
    from oslo_config import cfg

    from solar_orch.errors import TaskError
    from solar_orch.workers import task_types
    from solar_orch.workers.base import Worker

    def greet(ctxt, name, *, loud=False):
        greeting = f"{task_types.conf().greetings.word} {name}"
        task_types.output(ctxt).write(greeting.encode() + b"\\n")
        return greeting.upper() if loud else greeting

    def refuse(ctxt):
        raise TaskError("not today")

    def last(ctxt):
        task_types.output(ctxt).write(b"begun\\n")
        gevent.sleep(3600)

    def shell(ctxt, command):
        return task_types.run_command(ctxt, command)

    def list_opts():
        return [("greetings", [cfg.StrOpt("word", default="hello")])]

    class Foreign(Worker):
        "Has no type of its own, and no control to kill with."
        name = "tasks"

    def hook(worker, clients):
        def note(ctxt, result, *args, **kwargs):
            with open(worker.conf.orchestration.state_dir + "/greeted", "a") as file:
                file.write(f"{ctxt['task_name']} {args} {kwargs} {result}\\n")
        worker.greet.on_success(note)
"""


@pytest.fixture(params=["solar", "foreign"])
def greeting(request: pytest.FixtureRequest, site: Site) -> Site:
    """A site with task types of another package, at either driver."""
    packages.install(
        site,
        "greetings",
        {
            TASK_TYPES: {name: f"greetings:{name}" for name in ("greet", "refuse", "last", "shell")},
            DRIVERS: {"foreign": "greetings:Foreign"},
            HOOKS: {"note": "greetings:hook"},
        },
        {"greetings": TYPES},
    )
    site.set(tasks_driver=request.param)
    return site


def test_a_task_type_of_another_package_is_one_of_the_worker(greeting: Site):
    greeting.env["OS_GREETINGS__WORD"] = "hey"
    greeting.worker()
    ended = greeting.run(
        plan(
            task("greeting", "greet", "you", kwargs={"loud": True}),
            task("refused", "refuse", retry=1),
            task("wrong", "greet", "a", "b"),
            task("commanded", "shell", "echo $SOLAR_TASK_NAME"),
        )
    )
    assert ended["greeting"]["status"] == "SUCCESS"
    assert ended["greeting"]["output"] == "hey you\n"
    assert (ended["refused"]["status"], ended["refused"]["errmsg"]) == ("ERROR", "not today")
    assert ended.attempts["refused"] == 2
    assert "it takes greet(name, *, loud=False)" in ended["wrong"]["errmsg"]
    assert ended.attempts["wrong"] == 1
    assert ended["commanded"]["output"] == "commanded\n"
    [line] = (greeting.state / "greeted").read_text().splitlines()
    assert line == "greeting ('you',) {'loud': True} HEY YOU"


def test_it_is_ended_by_its_time_limit_and_by_a_kill(greeting: Site):
    greeting.worker()
    uid = greeting.want(
        plan(
            task("limited", "last", timelimit=0.3),
            task("killed", "last"),
            task("commanded", "shell", f"{marked(gated())}"),
        )
    )
    wait_until(lambda: greeting.look(uid).states["limited"] == "ERROR")
    greeting.wait_for_mark("commanded")
    assert greeting.orch("cancel", uid).returncode == 0
    ended = greeting.ended(uid)
    assert "timelimit" in ended["limited"]["errmsg"]
    assert ended["limited"]["output"] == "begun\n"
    assert (ended.states["killed"], ended.states["commanded"]) == ("ERROR", "ERROR")
    assert greeting.commands() == []


def test_its_options_may_be_wrong_and_are_told_as_all(greeting: Site):
    packages.install(
        greeting,
        "strict",
        {TASK_TYPES: {"strict": "strict:strict"}},
        {
            "strict": """
            from oslo_config import cfg
            def strict(ctxt): ...
            def list_opts():
                return [("strict", [cfg.IntOpt("size")])]
            """
        },
    )
    greeting.env["OS_STRICT__SIZE"] = "large"
    said = greeting.refused_worker()
    assert "option size = 'large'" in said
    assert "OS_STRICT__SIZE" in said


RACKS = """
    from oslo_config import cfg

    class Racks:
        "So many tasks of one rack at once; the rack is what stands before the dash of a target."

        def __init__(self, conf):
            self._most = conf.racks.at_once

        def allows(self, plan, running, candidate):
            return sum(self.group(plan, task) == self.group(plan, candidate) for task in running) < self._most

        def group(self, plan, candidate):
            return (candidate.target or "").partition("-")[0]

    def list_opts():
        return [("racks", [cfg.IntOpt("at_once", default=1, min=1)])]
"""


@pytest.fixture
def racks(site: Site) -> Site:
    packages.install(site, "racks", {LIMITS: {"racks": "racks:Racks"}}, {"racks": RACKS})
    site.set(limits="racks")
    return site


def fleet() -> dict[str, object]:
    return plan(
        *(
            task(f"{rack}-{number}", "cmd", marked("sleep 0.1"), target=f"{rack}-{number}")
            for rack in ("north", "south")
            for number in range(3)
        )
    )


def test_a_limit_of_another_package_is_kept_to(racks: Site):
    racks.env["OS_RACKS__AT_ONCE"] = "2"
    racks.worker()
    ended = racks.run(fleet())
    assert set(ended.states.values()) == {"SUCCESS"}
    for rack in ("north", "south"):
        assert at_once(racks.marks, [f"{rack}-{number}" for number in range(3)]) <= 2


def test_a_rehearsal_knows_of_it(racks: Site):
    path = racks.write("fleet.yaml", fleet())
    done = racks.orch("run", path, "--dry-run", "--format", "json")
    assert done.returncode == 0, done.stderr
    waves = json.loads(done.stdout)["waves"]
    assert [len(wave) for wave in waves] == [2, 2, 2]
    assert {item["held_back_by"] for item in waves[1]} == {"limit racks"}


def test_a_limit_that_nobody_has_is_told_before_anything_runs(site: Site):
    site.set(limits="rackz")
    assert "solar.orchestration.limits: rackz: no package registers this name" in site.refused_worker()
    done = site.orch("run", site.write("plan.json", plan(task("a"))), "--dry-run")
    assert (done.returncode, done.stdout) == (2, "")
    assert "rackz" in done.stderr


def test_a_broken_part_that_is_not_selected_disturbs_nobody(site: Site):
    packages.install(
        site,
        "ruin",
        {
            LIMITS: {"ruin": "ruin:Limit"},
            RUNNERS: {"ruin": "ruin:run"},
            DRIVERS: {"ruin": "ruin:Tasks"},
            "solar.orchestration.executors": {"ruin": "ruin"},
        },
        {"ruin": "raise SystemExit('ruined')"},
    )
    site.worker()
    assert site.run(plan(task("a"))).status == "finished"


POST = """
    from solar_orch.executors import inline

    Executor, Client = inline.Executor, inline.Client

    def private_address(conf, path):
        with open(conf.orchestration.state_dir + "/asked", "a") as file:
            file.write(path + "\\n")
        return "post:" + path
"""


def test_run_has_the_executor_say_where_nobody_else_sends(site: Site):
    packages.install(site, "post", {"solar.orchestration.executors": {"post": "post"}}, {"post": POST})
    site.set(executor="post", runner="none")
    site.state.mkdir(mode=0o700)
    done = site.orch("run", site.write("plan.json", plan(task("a"))))
    assert done.returncode == 0, done.stderr
    paths = (site.state / "asked").read_text().splitlines()
    assert len(set(paths)) == 3


def test_a_namespace_that_nobody_reads_is_told_of_at_the_start(site: Site):
    packages.install(site, "typo", {"solar.orchestration.task_type": {"typo": "typo:run"}}, {"typo": "1 / 0"})
    worker = site.worker()
    assert "solar.orchestration.task_type: no host reads this namespace" in worker.log


def test_a_result_that_cannot_be_kept_is_told_of(site: Site):
    packages.install(
        site,
        "odd",
        {TASK_TYPES: {"odd": "odd:odd", "long": "odd:long"}},
        {"odd": "def odd(ctxt): return {1, 2}\ndef long(ctxt): return 'x' * 70_000"},
    )
    worker = site.worker()
    ended = site.run(plan(task("a", "odd"), task("b", "long")))
    assert set(ended.states.values()) == {"SUCCESS"}
    assert "the result of attempt 1 is not kept, as it is no JSON value: TypeError" in worker.log
    assert "it has 70002 bytes as JSON, and 65536 is the limit" in worker.log
