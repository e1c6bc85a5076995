"""Plans, and the parts that they use, tested with the fixture ``solar``."""

from solar_orch.testing import task


def test_a_plan_goes_to_its_end(solar):
    ended = solar.run(
        task("build", "cmd", "echo release-7"),
        task("deploy", "cmd", "exit 3", after=["build"], retry=1),
        task("announce", "noop", after=["deploy"]),
    )
    assert ended.status == "failed"
    assert ended.states == {"build": "SUCCESS", "deploy": "ERROR", "announce": "PENDING"}
    assert ended.results["build"] == "release-7"
    assert (ended["deploy"]["errmsg"], ended["deploy"]["attempt"]) == ("exit code 3", 2)


def test_a_task_that_runs_is_killed(solar):
    with solar.running(task("serve", "cmd", "sleep 600"), task("log", "noop", after=["serve"])) as plan:
        plan.wait_for("serve", "INPROGRESS")
        plan.kill("serve")
    assert plan.look()["serve"]["errmsg"].startswith("cancelled")


def test_a_plan_outlives_a_restart(solar):
    with solar.running(task("slow", "cmd", f"until [ -e {solar.root}/go ]; do sleep 0.05; done")) as plan:
        plan.wait_for("slow", "INPROGRESS")
        solar.stop(timeout=0)
        (solar.root / "go").touch()
        ended = plan.end()  # begins a new host, which goes on with the plan
    assert ended.status == "finished"


def test_subscribers_are_told(solar):
    told = []
    solar.host.workers["tasks"].cmd.on_error(lambda ctxt, error, *args: told.append((args, str(error))))
    solar.run(task("fail", "cmd", "exit 3"))
    solar.wait_until(lambda: told, "the subscriber is told")
    assert told == [(("exit 3",), "exit code 3")]


def test_options_are_read_as_from_a_file(solar):
    solar.options(pool_size=1, target_limit=5)
    assert solar.host.executors["tasks"].pool_size == 1
