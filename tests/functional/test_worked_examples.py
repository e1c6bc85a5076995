"""The distributions of ``docs/examples`` with real workers and commands, as their users have them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from distributions import environment, install
from harness import PATIENCE, Site, at_once, marked, plan, task, wait_until

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

Homes = Callable[[str], Path]


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Homes:
    """Where a distribution is installed, once for all tests of this file."""
    found: dict[str, Path] = {}

    def home(name: str) -> Path:
        if name not in found:
            found[name] = install(EXAMPLES / name, tmp_path_factory.mktemp(name) / "home")
        return found[name]

    return home


@pytest.fixture
def equipped(site: Site, homes: Homes) -> Callable[..., Site]:
    """A site where a distribution is installed; options are given as ``group__name``."""

    def equip(name: str, **options: object) -> Site:
        site.env = environment(homes(name), base=site.env)
        site.env |= {f"OS_{option.upper()}": str(value) for option, value in options.items()}
        return site

    return equip


# -- a server ------------------------------------------------------------------------------


@dataclass
class Server:
    """A real HTTP server; tests say how it answers, and read what it was asked."""

    url: str
    answer: Callable[[str], tuple[int, bytes]]
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    #: Set when a client has gone that got no answer.
    left: threading.Event = field(default_factory=threading.Event)
    #: Requests of `/held` are answered when this is set.
    letting_go: threading.Event = field(default_factory=threading.Event)

    @property
    def told(self) -> list[dict[str, Any]]:
        """The bodies as JSON."""
        return [json.loads(body) for body in self.bodies]


@pytest.fixture
def server() -> Iterator[Server]:
    served = Server("", lambda path: (200, b'{"state": "up", "version": "2.4"}'))

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            served.headers.append({name.lower(): value for name, value in self.headers.items()})
            served.bodies.append(body)
            served.paths.append(self.path)
            if self.path == "/hanging" and self.rfile.read(1) == b"":
                served.left.set()
                return
            if self.path == "/held":
                served.letting_go.wait(PATIENCE)
            status, answer = served.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that was killed has broken off."""

    http_server = Quiet(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{http_server.server_port}"
    thread = threading.Thread(target=http_server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield served
    served.letting_go.set()
    http_server.shutdown()
    http_server.server_close()


# -- solar-http ----------------------------------------------------------------------------


def test_http_waits_for_a_service_and_hands_on_what_it_says(equipped: Callable[..., Site], server: Server):
    states = iter([(503, b"not yet"), (200, b'{"state": "starting"}')])
    server.answer = lambda path: next(states, (200, b'{"state": "up", "version": "2.4"}'))
    site = equipped("solar-http")
    site.worker()
    expect = {"status": 200, "json": {"/state": "up"}}
    ended = site.run(
        plan(
            task(
                "up", "http", f"{server.url}/health", kwargs={"expect": expect, "within": 60, "every": 0.05}
            ),
            task("said", "echo", "version ${tasks.up.result.json.version}", after=["up"]),
            task(
                "missing",
                "http",
                f"{server.url}/",
                kwargs={"expect": {"contains": "nothing of this"}},
                after=["said"],
            ),
            task("wrong", "http", "gopher://host/", retry=3),
        )
    )
    assert len(server.paths) == 4
    assert ended["said"]["output"] == "version 2.4\n"
    assert "503" in ended["up"]["output"]
    assert ended["missing"]["errmsg"] == f"GET {server.url}/: the body does not contain 'nothing of this'"
    assert (ended["wrong"]["status"], ended["wrong"]["attempt"]) == ("ERROR", 1)


def test_http_keeps_secrets_to_itself(equipped: Callable[..., Site], server: Server):
    site = equipped("solar-http")
    site.env["TOKEN"] = "t0p-s3cret"
    worker = site.worker()
    server.answer = lambda path: (401, b"the token t0p-s3cret is not known")
    headers = {"Authorization": "Bearer ${env.TOKEN}"}
    ended = site.run(plan(task("a", "http", f"{server.url}/?t=${{env.TOKEN}}", kwargs={"headers": headers})))
    assert server.headers[0]["authorization"] == "Bearer t0p-s3cret"
    assert ended["a"]["output"].endswith("the token *** is not known\n")
    assert ended["a"]["errmsg"].endswith("status 401 Unauthorized, expected 200-299")
    worker.stop()
    assert "s3cret" not in worker.log + json.dumps(ended.report)


def test_http_is_ended_by_a_kill_and_by_a_time_limit(equipped: Callable[..., Site], server: Server):
    site = equipped("solar-http")
    site.worker()
    limited = site.run(plan(task("a", "http", f"{server.url}/hanging", timelimit=0.2)))
    assert limited["a"]["errmsg"] == "ExecutionTimeout: timelimit of 0.2 s exceeded"
    assert server.left.wait(PATIENCE)
    server.left.clear()
    uid = site.want(plan(task("a", "http", f"{server.url}/hanging")))
    wait_until(lambda: len(server.paths) == 2)
    assert site.orch("cancel", uid, "--task", "a").returncode == 0
    assert site.ended(uid)["a"]["errmsg"].startswith("cancelled by ")
    assert server.left.wait(PATIENCE)


# -- solar-webhook -------------------------------------------------------------------------


def test_webhook_tells_of_each_end(equipped: Callable[..., Site], server: Server):
    site = equipped("solar-webhook", webhook__url=f"{server.url}/hook", webhook__interval=0.05)
    worker = site.worker()
    good = site.run(plan(task("a"), name="good")).report["uid"]
    bad = site.run(plan(task("a", "cmd", "[ -e mended ]"), task("b", after=["a"]), name="bad")).report["uid"]
    wait_until(lambda: len(server.bodies) == 2)
    assert {told["type"]: told["data"]["uid"] for told in server.told} == {
        "plan.finished": good,
        "plan.failed": bad,
    }
    [failed] = [told["data"] for told in server.told if told["type"] == "plan.failed"]
    assert failed["tasks"] == {"ERROR": 1, "PENDING": 1}
    assert failed["failed"] == [{"name": "a", "error": "exit code 1"}]
    site.open("mended")
    assert site.orch("retry", bad, "-w", "60").returncode == 0
    wait_until(lambda: len(server.bodies) == 3)
    assert server.told[2]["type"] == "plan.finished"
    assert worker.stop() == 0
    # What has been told is not told again.
    site.worker()
    site.run(plan(task("a"), name="later"))
    wait_until(lambda: len(server.bodies) == 4)
    assert server.told[3]["data"]["name"] == "later"


def test_webhook_tells_after_kill_9_what_it_could_not_tell_before(
    equipped: Callable[..., Site], server: Server
):
    server.answer = lambda path: (500, b"")
    site = equipped(
        "solar-webhook",
        webhook__url=f"{server.url}/hook",
        webhook__interval=0.05,
        webhook__retry_delay=0.05,
        webhook__secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )
    worker = site.worker()
    uid = site.run(plan(task("a"))).report["uid"]
    wait_until(lambda: len(server.bodies) >= 2)
    worker.kill()
    refused = len(server.bodies)
    server.answer = lambda path: (204, b"")
    site.worker()
    wait_until(lambda: len(server.bodies) > refused)
    assert {told["data"]["uid"] for told in server.told} == {uid}
    assert len({headers["webhook-id"] for headers in server.headers}) == 1
    assert all(headers["webhook-signature"].startswith("v1,") for headers in server.headers)


def test_webhook_tells_of_what_ended_while_it_could_not_look(equipped: Callable[..., Site], server: Server):
    # The first time that it looks is the last before it is killed.
    site = equipped("solar-webhook", webhook__url=f"{server.url}/hook", webhook__interval=3600)
    worker = site.worker()
    wait_until((site.state / "webhook.db").exists)
    uid = site.run(plan(task("a"))).report["uid"]
    worker.kill()
    assert server.bodies == []
    site.worker()
    wait_until(lambda: server.bodies)
    assert server.told[0]["data"]["uid"] == uid


def test_webhook_tells_again_what_was_not_confirmed(equipped: Callable[..., Site], server: Server):
    site = equipped("solar-webhook", webhook__url=f"{server.url}/held", webhook__interval=0.05)
    worker = site.worker()
    site.run(plan(task("a")))
    wait_until(lambda: len(server.bodies) == 1)
    worker.kill()
    server.letting_go.set()
    site.worker()
    wait_until(lambda: len(server.bodies) == 2)
    assert server.headers[0]["webhook-id"] == server.headers[1]["webhook-id"]
    assert server.bodies[0] == server.bodies[1]


def test_webhook_is_told_once_where_several_could_tell(equipped: Callable[..., Site], server: Server):
    site = equipped("solar-webhook", webhook__url=f"{server.url}/hook", webhook__interval=0.05)
    first = site.worker()
    site.run(plan(task("a"), name="first"))
    wait_until(lambda: len(server.bodies) == 1)
    second = site.worker(**site.elsewhere)
    site.run(plan(task("a"), name="second"))
    wait_until(lambda: len(server.bodies) == 2)
    first.kill()  # which had the seat
    site.run(plan(task("a"), name="third"))
    wait_until(lambda: len(server.bodies) == 3)
    assert second.stop() == 0
    assert [told["data"]["name"] for told in server.told] == ["first", "second", "third"]


def test_webhook_tells_of_what_a_command_has_run(equipped: Callable[..., Site], server: Server):
    site = equipped("solar-webhook", webhook__url=f"{server.url}/hook")
    done = site.orch("run", site.write("plan.json", plan(task("a"))))
    assert done.returncode == 0, done.stderr
    assert [told["type"] for told in server.told] == ["plan.finished"]


def test_webhook_refuses_options_that_cannot_be_used(equipped: Callable[..., Site]):
    site = equipped("solar-webhook", webhook__url="https://user:s3cret@host/")
    line = site.refused_worker()
    assert "[webhook] url: it must hold neither a user nor the port 0" in line
    assert "s3cret" not in line


# -- solar-rehearsal -----------------------------------------------------------------------


def test_a_rehearsal_shows_all_and_does_nothing(equipped: Callable[..., Site], homes: Homes, server: Server):
    site = equipped("solar-rehearsal", rehearse__results="look:2.3", rehearse__failing="web1.check")
    site.env = environment(homes("solar-http"), base=site.env)
    site.env["TOKEN"] = "t0p-s3cret"
    site.set(tasks_driver="rehearse")
    made = plan(
        task("ask", "approval", "now?"),
        task("look", "http", f"{server.url}/", after=["ask"]),
        task("old", "cmd", ["touch", "made by old"], after=["look"], when="${tasks.look.result} == 2.3"),
        task("new", "cmd", "touch new", after=["look"], when="${tasks.look.result} == 2.4"),
        task(
            "web1.switch",
            "ssh",
            "restart ${env.TOKEN}",
            target="web1",
            kwargs={"user": "deploy", "env": {"A": "b c"}, "cwd": "/srv", "stdin": "text"},
            after=["old"],
        ),
        task("web1.check", "sleep", 3600, after=["web1.switch"], retry=1),
        task("announce", "solar_resource", "board", "announce", after=["web1.check"]),
        task("misfit", "http", f"{server.url}/", kwargs={"expected": 1}),
        task("wrong", "cmd", "touch wrong", kwargs={"shell": True}),
    )
    site.worker()
    ended = site.run(made)
    assert ended.states == {
        "ask": "SUCCESS",
        "look": "SUCCESS",
        "old": "SUCCESS",
        "new": "NOOP",
        "web1.switch": "SUCCESS",
        "web1.check": "ERROR",
        "announce": "PENDING",
        "misfit": "ERROR",
        "wrong": "ERROR",
    }
    assert ended["ask"]["output"] == "would ask: now?\n"
    assert ended["look"]["output"] == f'would run http("{server.url}/")\n'
    assert ended["old"]["output"] == "would run here: touch 'made by old'\n"
    assert ended["web1.switch"]["output"] == (
        "would run on deploy@web1: restart ***\n  in /srv\n  with A='b c'\n  with 4 characters on stdin\n"
    )
    assert (ended["web1.check"]["attempt"], ended["web1.check"]["output"]) == (2, "would wait 3600 s\n")
    assert "expected" in ended["misfit"]["errmsg"]
    assert "shell" in ended["wrong"]["errmsg"]
    assert server.paths == []
    assert not any((site.root / name).exists() for name in ("made by old", "new", "wrong"))


def test_what_is_not_approved_waits_also_for_another_worker(equipped: Callable[..., Site]):
    site = equipped("solar-rehearsal")
    site.set(tasks_driver="approve", lease=1)
    worker = site.worker()
    uid = site.want(
        plan(
            task("yes", "approval", "shall we?"),
            task("no", "approval", "and this?"),
            task("run", "cmd", "true"),
        )
    )
    wait_until(lambda: set(site.look(uid).states.values()) == {"INPROGRESS", "SUCCESS"})
    worker.kill()
    (site.state / "approvals" / f"{uid}~yes").write_text("yes, says Ann\n")
    (site.state / "approvals" / f"{uid}~no").write_text("no, says Bob\n")
    site.worker()
    ended = site.ended(uid)
    assert ended.states == {"yes": "SUCCESS", "no": "ERROR", "run": "SUCCESS"}
    assert ended["yes"]["output"].startswith(
        f"shall we?\nto approve: echo yes > '{site.state}/approvals/{uid}~yes'"
    )
    assert ended["no"]["errmsg"] == "not approved: no, says Bob"


# -- solar-rolling -------------------------------------------------------------------------


def rolling_plan() -> dict[str, Any]:
    """Two steps on each of eight hosts, the first without a limit to hold it."""
    tasks = []
    for number in range(8):
        host = f"web{number}"
        tasks += [
            task(f"{host}.download", "cmd", marked(), target=host),
            task(f"{host}.switch", "cmd", marked("sleep 0.05"), after=[f"{host}.download"], target=host),
        ]
    return plan(*tasks, task("log", "cmd", marked("sleep 0.05")), name="fleet")


@pytest.mark.parametrize(("percent", "most"), [(50, 4), (5, 1)])
def test_a_rolling_plan_is_rehearsed_within_its_limit(equipped: Callable[..., Site], percent: int, most: int):
    site = equipped("solar-rolling", rolling__percent=percent)
    site.set(limits="rolling")
    done = site.orch("run", "--dry-run", "--format", "json", site.write("plan.json", rolling_plan()))
    assert done.returncode == 0, done.stderr
    waves = [
        [start["target"] for start in wave if start["target"]] for wave in json.loads(done.stdout)["waves"]
    ]
    assert sum(map(len, waves)) == 16
    assert max(map(len, waves)) == most
    assert '"limit rolling"' in done.stdout


def test_a_rolling_plan_runs_within_its_limit(equipped: Callable[..., Site]):
    site = equipped("solar-rolling", rolling__percent=25)
    site.set(limits="rolling")
    done = site.orch("run", site.write("plan.json", rolling_plan()))
    assert done.returncode == 0, done.stderr
    hosts = [mark.task for mark in site.marks if mark.task != "log"]
    assert len(hosts) == 32
    assert at_once(site.marks, hosts) == 2


def test_a_rolling_limit_that_is_no_percentage_is_refused(equipped: Callable[..., Site]):
    site = equipped("solar-rolling", rolling__percent=101)
    site.set(limits="rolling")
    assert "option percent = '101'" in site.refused_worker()


# -- solar-mini-core -----------------------------------------------------------------------

RESOURCES = {
    "db1": {
        "host": "dbhost",
        "inputs": {"port": 5432},
        "actions": {"run": 'echo "db $INPUT_PORT" >> made', "update": 'echo "db now $INPUT_PORT" >> made'},
    },
    "pool": {
        "inputs": {"db": {"from": "db1.port"}, "size": 4},
        "actions": {"run": 'echo "pool $INPUT_DB $INPUT_SIZE" >> made', "update": "./update-pool"},
    },
    "web1": {
        "inputs": {"db": {"from": "pool.db"}, "motto": "it's new"},
        "actions": {
            "run": 'echo "web $INPUT_DB $INPUT_MOTTO" >> made',
            "update": 'echo "web now $INPUT_DB $INPUT_MOTTO" >> made',
        },
    },
}


class Mini:
    """The command ``mini`` on a site."""

    def __init__(self, site: Site, home: Path) -> None:
        self.site = site
        self._command = home / "bin" / "mini"
        self.directory = site.root / "mini"
        (self.directory / "resources").mkdir(parents=True)
        for name, resource in RESOURCES.items():
            (self.directory / "resources" / f"{name}.yaml").write_text(json.dumps(resource))

    def __call__(self, *args: str, code: int = 0) -> list[str]:
        """What it prints, as lines."""
        done = subprocess.run(
            [sys.executable, str(self._command), *args],
            env=self.site.env,
            cwd=self.site.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return (done.stdout or done.stderr).splitlines()

    @property
    def made(self) -> list[str]:
        """What the actions have noted."""
        return (self.directory / "made").read_text().splitlines()


@pytest.fixture
def mini(equipped: Callable[..., Site], homes: Homes) -> Mini:
    site = equipped("solar-mini-core")
    site.env["OS_MINI__DIRECTORY"] = str(site.root / "mini")
    return Mini(site, homes("solar-mini-core"))


def states(lines: list[str]) -> list[list[str]]:
    """The first two words of each line."""
    return [line.split("  ")[:2] for line in lines]


def test_mini_has_changes_made_by_the_workers_that_are_up(mini: Mini):
    mini.site.set(tasks_driver="mini")
    mini.site.worker()
    assert mini("changes", "stage")[0] == "db1.run  port: null -> 5432"
    mini("changes", "process")
    assert mini("changes", "run") == ["SUCCESS  db1.run", "SUCCESS  pool.run", "SUCCESS  web1.run"]
    assert mini.made == ["db 5432", "pool 5432 4", "web 5432 it's new"]
    assert states(mini("changes", "history")) == [
        ["success", "db1.run"],
        ["success", "pool.run"],
        ["success", "web1.run"],
    ]


def test_mini_makes_changes_itself_and_what_failed_once_it_is_mended(mini: Mini):
    mini("changes", "stage")
    mini("changes", "process")
    assert mini("changes", "run") == ["SUCCESS  db1.run", "SUCCESS  pool.run", "SUCCESS  web1.run"]
    assert mini("changes", "stage") == ["all resources are as they are to be"]

    # A change goes on to all that are connected; one of its actions fails.
    mini("resource", "set", "db1", "port=5433")
    assert [name for name, _ in states(mini("changes", "stage"))] == [
        "db1.update",
        "pool.update",
        "web1.update",
    ]
    mini("changes", "process")
    ran = states(mini("changes", "run", code=1))
    assert ran == [["SUCCESS", "db1.update"], ["ERROR", "pool.update"], ["PENDING", "web1.update"]]
    assert states(mini("changes", "history"))[3:] == [
        ["success", "db1.update"],
        ["error", "pool.update"],
        ["staged", "web1.update"],
    ]

    # Mended, it is made, and what waited for it.
    script = mini.directory / "update-pool"
    script.write_text('#!/bin/sh\necho "pool now $INPUT_DB" >> made\n')
    script.chmod(0o755)
    mini("changes", "stage")
    mini("changes", "process")
    assert mini("changes", "run") == ["SUCCESS  pool.update", "SUCCESS  web1.update"]
    assert mini.made[3:] == ["db now 5433", "pool now 5433", "web now 5433 it's new"]
    assert [state for state, _ in states(mini("changes", "history"))] == ["success"] * 6


def test_mini_has_what_failed_tried_again_by_the_commands_below_it(mini: Mini):
    (mini.directory / "resources" / "pool.yaml").write_text(
        json.dumps(
            {"actions": {"run": "[ -e mended ] && echo pool >> made"}, "inputs": {"db": {"from": "db1.port"}}}
        )
    )
    mini("changes", "stage")
    mini("changes", "process")
    mini("changes", "run", code=1)
    (mini.directory / "mended").touch()
    mini("orch", "retry", "last", code=4)  # no worker is up
    mini("orch", "run", "last")
    assert mini.made == ["db 5432", "pool", "web 5432 it's new"]
    assert [state for state, _ in states(mini("changes", "history"))] == ["success"] * 3
