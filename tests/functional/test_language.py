"""What the plan language means when a plan runs: results, conditions, failures that are borne, secrets."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from harness import Site, wait_until

from solar_orch.plan.model import OnError, Plan, Task
from solar_orch.states import State


def run(site: Site, *tasks: Task, **plan: Any) -> dict[str, dict[str, Any]]:
    """Run a plan of these tasks to its end; its tasks by name, as the database has them."""
    uid = site.store.plans.create(Plan("plan", list(tasks), **plan), wanted=True)
    site.worker()
    site.ended(uid)
    return {row["name"]: row for row in site.store.plans.tasks(site.store.plans.get(uid).id)}


def cmd(name: str, command: Any, *after: str, **fields: Any) -> Task:
    return Task(name, "cmd", [command], after=list(after), **fields)


def states(rows: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: row["status"] for name, row in rows.items()}


def test_a_result_is_one_word_of_a_command_below_and_a_value_elsewhere(site: Site):
    rows = run(
        site,
        cmd("say", 'echo "it\'s; echo \\$HOME"'),
        cmd("bare", "printf '%s|' ${tasks.say.result} x", "say"),
        cmd("quoted", "printf '%s|' \"<${tasks.say.result}>\" '(${tasks.say.result})'", "say"),
        cmd("list", ["printf", "%s|", "${tasks.say.result}"], "say"),
        cmd("literal", "X=1; printf '%s' \"$${X}\" $X"),
        Task(
            "echo",
            "echo",
            [{"deep": "${tasks['say'].result}", "none": "${tasks.say.result.part}"}],
            after=["say"],
        ),
    )
    word = "it's; echo $HOME"
    assert rows["bare"]["output"] == f"{word}|x|"
    assert rows["quoted"]["output"] == f"<{word}>|({word})|"
    assert rows["list"]["output"] == f"{word}|"
    assert rows["literal"]["output"] == "11"
    assert rows["echo"]["result"] == {"deep": word, "none": None}


def test_what_a_result_holds_is_never_a_reference_itself(site: Site):
    site.env["TOKEN"] = "hidden-token"
    rows = run(
        site,
        cmd("say", "printf '%s' '$${env.TOKEN} $${'"),
        cmd("use", "printf '%s' ${tasks.say.result}; test ${env.TOKEN} = hidden-token", "say"),
    )
    assert states(rows) == {"say": "SUCCESS", "use": "SUCCESS"}
    assert rows["use"]["output"] == "${env.TOKEN} ${"


def test_a_condition_decides_whether_a_task_runs(site: Site):
    rows = run(
        site,
        cmd("count", "echo 5"),
        Task(
            "more",
            "noop",
            after=["count"],
            when="${tasks.count.result} > 4 and not ${tasks.count.result} == '6'",
        ),
        Task("less", "noop", after=["count"], when="${tasks.count.result} < 5"),
        Task("below", "noop", after=["less"]),
        Task("wrong", "noop", after=["count"], when="${tasks.count.result} < null"),
    )
    assert states(rows) == {
        "count": "SUCCESS",
        "more": "SUCCESS",
        "less": "NOOP",
        "below": "SUCCESS",
        "wrong": "ERROR",
    }
    assert "these two have no order" in rows["wrong"]["errmsg"]
    assert rows["less"]["attempt"] == 0


def test_a_failure_that_is_ignored_holds_up_nobody_and_fails_no_plan(site: Site):
    rows = run(site, Task("bad", "error", on_error=OnError.IGNORE), Task("after", "noop", after=["bad"]))
    assert states(rows) == {"bad": "ERROR", "after": "SUCCESS"}
    assert site.store.plans.get("last").status == "finished"
    report = site.orch("report", "last", "--format", "json")
    assert report.returncode == 0
    assert [task["ignored"] for task in json.loads(report.stdout)["tasks"]] == [True, False]


def test_failures_are_tolerated_up_to_a_share(site: Site):
    many = [Task(f"n{number}", "noop") for number in range(3)]
    rows = run(
        site,
        *many,
        Task("bad", "error"),
        Task("never", "noop", after=["bad"]),
        Task("most", "fault_tolerance", [60], after=["n0", "n1", "n2", "bad", "never"]),
        Task("all", "fault_tolerance", [100], after=["n0", "n1", "n2", "bad", "never"]),
        Task("go", "noop", after=["most"]),
        Task("stay", "noop", after=["all"]),
    )
    found = states(rows)
    assert [found[name] for name in ("never", "most", "go", "all", "stay")] == [
        "PENDING",
        "SUCCESS",
        "SUCCESS",
        "ERROR",
        "PENDING",
    ]
    assert rows["all"]["errmsg"] == (
        "3 of 5 tasks before it succeeded, which is less than 100 %; the others are bad, never"
    )


def test_secrets_are_known_to_the_tasks_worker_only(site: Site):
    secret = "s3cr'et value"
    digest = hashlib.sha256(secret.encode()).hexdigest()
    site.env["TOKEN"] = secret
    rows = run(
        site,
        cmd("arg", "echo ${env.TOKEN}; echo ${env.TOKEN} >&2; exit 3"),
        # The plan itself, which the database keeps, must not hold the secret: its digest is compared.
        cmd("env", f'printf %s "$PASSWORD" | sha256sum | grep -q {digest} && echo "got $PASSWORD"'),
        Task("echo", "echo", ["x ${env.TOKEN}"]),
        Task("none", "echo", ["${env.NOT_THERE}"]),
        env={"PASSWORD": "${env.TOKEN}"},
    )
    assert states(rows) == {"arg": "ERROR", "env": "SUCCESS", "echo": "SUCCESS", "none": "ERROR"}
    assert rows["arg"]["output"] == "***\n***\n"
    assert rows["arg"]["errmsg"] == "exit code 3: ***"
    assert rows["env"]["result"] == "got ***"
    assert rows["echo"]["result"] == "x ***"
    assert rows["none"]["errmsg"] == "the environment of the tasks worker has no NOT_THERE"
    wait_until(lambda: len(site.store.log.outcomes(site.store.plans.get("last").uid)) == 4)
    kept = b"".join(path.read_bytes() for path in site.state.glob("solar.db*"))
    at = kept.find(secret.encode())
    assert at < 0, kept[max(0, at - 300) : at + 60]
    assert secret not in json.dumps(site.store.log.outcomes(site.store.plans.get("last").uid))
    assert all(secret not in process.log for process in site.processes)


def test_the_environment_and_directory_of_a_plan_are_those_of_its_commands(site: Site):
    site.root.joinpath("there").mkdir()
    rows = run(
        site,
        cmd("plain", "echo $A $B; basename $PWD"),
        cmd("own", "echo $A $B; pwd", kwargs={"env": {"B": "mine"}, "cwd": "/"}),
        env={"A": "1", "B": "2"},
        cwd=str(site.root / "there"),
    )
    assert rows["plain"]["output"] == "1 2\nthere\n"
    assert rows["own"]["output"] == "1 mine\n/\n"


def test_an_attempt_that_is_sent_again_is_given_the_same(site: Site):
    rows = run(
        site,
        cmd("say", "echo word"),
        Task("twice", "cmd", ["test $SOLAR_ATTEMPT = 2 && echo ${tasks.say.result}"], retry=1, after=["say"]),
    )
    assert rows["twice"]["status"] == State.SUCCESS
    assert rows["twice"]["result"] == "word"
