"""``solar-worker``: two terminals, its configuration, what it refuses, and what it takes on its sockets."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import zmq
from harness import WORKERS, Process, Site, gated, marked, plan, script, task, wait_until

from solar_orch.executors import wire
from solar_orch.store.schema import workers as workers_table

# -- two terminals -----------------------------------------------------------------


def test_two_terminals(site: Site) -> None:
    worker = site.worker()
    file = site.write(
        "plan.yaml", plan(task("a", "echo", "hello"), task("b", "cmd", "echo there", after=["a"]))
    )

    created = site.orch("create", file)
    assert (created.returncode, created.stderr) == (0, "")
    uid = created.stdout.strip()

    ran = site.orch("run-once", "last", "-w", "30")
    assert ran.returncode == 0, ran
    assert f"plan {uid}: finished" in ran.stdout

    told = site.orch("report", "last")
    assert told.returncode == 0
    assert re.search(r"^SUCCESS +a +1 ", told.stdout, re.MULTILINE)
    assert re.search(r"^SUCCESS +b +1 ", told.stdout, re.MULTILINE)

    piped = subprocess.run(
        ["sh", "-c", f"{script('solar-orch')} report {uid} --format json | {sys.executable} -m json.tool"],
        env=site.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (piped.returncode, piped.stderr) == (0, "")
    report = json.loads(piped.stdout)
    assert list(report) == ["uid", "name", "status", "counts", "total_time", "total_delta", "tasks"]
    assert (report["uid"], report["status"]) == (uid, "finished")
    assert [(t["name"], t["status"], t["output"]) for t in report["tasks"]] == [
        ("a", "SUCCESS", "hello\n"),
        ("b", "SUCCESS", "there\n"),
    ]
    assert worker.stop() == 0
    assert site.others() == []


def test_exit_codes_tell_what_became_of_the_plan(site: Site) -> None:
    site.worker()
    failing = site.create(plan(task("bad", "error", "no")))
    assert site.orch("run-once", failing, "-w", "30").returncode == 1
    assert site.orch("report", failing).returncode == 1

    slow = site.create(plan(task("slow", "cmd", gated())))
    late = site.orch("run-once", slow, "-w", "0.3")
    assert late.returncode == 3, late
    assert f"{slow} is not over after 0.3 s" in late.stderr
    assert site.orch("report", slow, "-w", "0.1").returncode == 3
    assert site.orch("report", slow).returncode == 0
    site.open()
    assert site.orch("report", slow, "-w", "30").returncode == 0

    unknown = site.orch("run-once", "no-such-plan")
    assert (unknown.returncode, unknown.stdout) == (2, "")


def test_run_once_without_a_wait_returns_while_the_plan_runs(site: Site) -> None:
    site.worker()
    uid = site.create(plan(task("slow", "cmd", marked(gated()))))
    begun = site.orch("run-once", uid)
    assert (begun.returncode, begun.stdout, begun.stderr) == (0, "", "")
    site.wait_for_mark("slow")
    assert site.look(uid).status == "running"
    site.open()
    assert site.ended(uid).status == "finished"


def test_it_says_on_start_what_it_resolved(site: Site) -> None:
    log = site.worker().log
    for part in (
        "solar.orchestration.executors: zerorpc",
        "solar.orchestration.extensions: tasks",
        "solar.orchestration.extensions_clients: system_log",
        "solar.orchestration.drivers.scheduler: solar",
        "solar.orchestration.constructors: scheduler",
        "solar.orchestration.hooks.tasks.construct: solar",
        "solar.orchestration.runners: gevent",
    ):
        assert re.search(rf"{re.escape(part)} \(solar-orch \d+\.\d+\S*\)", log), part


# -- a second one ------------------------------------------------------------------


def test_a_second_worker_on_the_same_addresses_exits_3_and_the_first_goes_on(site: Site) -> None:
    first = site.worker()
    uid = site.want(plan(task("slow", "cmd", marked(gated())), task("next", "noop", after=["slow"])))
    site.wait_for_mark("slow")
    # One by one: whoever finds the lock held, it ends alike.
    for names in ((), ("scheduler",), ("system_log",), ("tasks",)):
        line = site.refused_worker(*(f"--worker={name}" for name in names), code=3)
        assert f"already served by process {first.pid};" in line
    assert first.code is None
    site.open()
    ended = site.ended(uid)
    assert (ended.states, ended.attempts) == ({"slow": "SUCCESS", "next": "SUCCESS"}, {"slow": 1, "next": 1})
    assert site.orch("run-once", site.create(plan(task("more"))), "-w", "30").returncode == 0
    assert first.stop() == 0


def test_a_worker_starts_where_another_was_killed(site: Site) -> None:
    site.worker().kill()
    assert (site.runtime / "tasks.sock").is_socket()  # it is left behind
    site.worker()
    assert site.run(plan(task("only"))).status == "finished"


# -- wrong configuration -----------------------------------------------------------


def test_an_unknown_worker_is_refused(site: Site) -> None:
    line = site.refused_worker("--worker=tasks", "--worker=taskmaster")
    assert "solar.orchestration.extensions: taskmaster: no such worker is installed" in line
    assert "(names that could be had: scheduler, system_log, tasks)" in line


@pytest.mark.parametrize(
    ("option", "value"),
    [("pool_size", "many"), ("lease", "0.1")],
)
def test_a_bad_value_is_refused_in_one_line(site: Site, option: str, value: str) -> None:
    # Not solar.conf, which would be read wherever it is not named.
    file = site.write("other.conf", f"[orchestration]\nexecutor = zerorpc\n{option} = {value}\n")
    line = site.refused_worker("--config-file", file)
    assert f"option {option} = {value!r}: " in line
    assert file in line
    line = site.refused_worker(**{option: value})
    assert f"option {option} = {value!r}: " in line
    assert f"OS_ORCHESTRATION__{option.upper()}" in line
    assert not site.runtime.exists()


@pytest.mark.parametrize(
    ("option", "namespace", "names"),
    [
        ("tasks_driver", "drivers.tasks", "solar"),
        ("executor", "executors", "inline, zerorpc"),
    ],
)
def test_a_name_that_nobody_registers_is_refused(site: Site, option: str, namespace: str, names: str) -> None:
    line = site.refused_worker(**{option: "lunar"})
    assert f"solar.orchestration.{namespace}: lunar: " in line
    assert f"option {option}" in line
    assert f"(names that could be had: {names})" in line
    assert not site.runtime.exists()


def test_a_configuration_file_and_directory_are_read(site: Site) -> None:
    del site.env["OS_ORCHESTRATION__STATE_DIR"]
    del site.env["OS_ORCHESTRATION__RUNTIME_DIR"]
    file = site.write("other.conf", f"[orchestration]\nstate_dir = {site.state}\nruntime_dir = /nowhere\n")
    (site.root / "conf.d").mkdir()
    site.write("conf.d/late.conf", f"[orchestration]\nruntime_dir = {site.runtime}\n")
    args = "--config-file", file, "--config-dir", str(site.root / "conf.d")
    worker = site.begin_worker(*args)
    worker.wait_for(f"tasks: ready at ipc://{site.runtime}/tasks.sock")
    uid = site.create(plan(task("only")))
    assert site.orch(*args, "run-once", uid, "-w", "30").returncode == 0


# -- addresses ---------------------------------------------------------------------


def free_ports(count: int) -> list[int]:
    """Ports of loopback at which nobody listens now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def test_tcp_on_loopback_is_a_matter_of_configuration(site: Site) -> None:
    addresses = {
        f"{name}_address": f"tcp://127.0.0.1:{port}"
        for name, port in zip(WORKERS, free_ports(3), strict=True)
    }
    site.set(**addresses)
    # A long poll: without messages the plan would not end in time.
    worker = site.worker(poll_interval=600)
    uid = site.create(plan(task("a"), task("b", "cmd", "echo hello", after=["a"])))
    assert site.orch("run-once", uid, "-w", "30").returncode == 0
    assert site.look(uid)["b"]["output"] == "hello\n"
    assert not list(site.runtime.glob("*.sock"))
    line = site.refused_worker(code=3)
    assert f"already served by process {worker.pid};" in line


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "192.0.2.1"])
def test_tcp_beyond_loopback_is_refused(site: Site, host: str) -> None:
    line = site.refused_worker(tasks_address=f"tcp://{host}:4242")
    assert f"tcp://{host}:4242: tcp beyond loopback is refused" in line


def test_a_directory_that_others_can_enter_is_refused(site: Site) -> None:
    site.runtime.mkdir(mode=0o755)
    site.runtime.chmod(0o755)
    line = site.refused_worker()
    assert f"{site.runtime}: has mode 0755" in line
    assert list(site.runtime.iterdir()) == []
    site.runtime.chmod(0o700)
    site.worker()


def test_a_symlink_in_place_of_the_directory_is_refused(site: Site) -> None:
    elsewhere = site.root / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    site.runtime.symlink_to(elsewhere)
    line = site.refused_worker()
    assert f"{site.runtime}: is a symlink" in line
    assert list(elsewhere.iterdir()) == []


def test_a_file_in_place_of_a_socket_is_refused_and_left_alone(site: Site) -> None:
    site.runtime.mkdir(mode=0o700)
    (site.runtime / "tasks.sock").write_text("precious")
    (site.runtime / "tasks.sock").chmod(0o600)
    line = site.refused_worker()
    assert f"{site.runtime}/tasks.sock: is not a socket" in line
    assert (site.runtime / "tasks.sock").read_text() == "precious"


def test_only_the_owner_can_reach_what_it_makes(site: Site) -> None:
    site.env["XDG_STATE_HOME"] = str(site.root / "state")
    del site.env["OS_ORCHESTRATION__STATE_DIR"]
    del site.env["OS_ORCHESTRATION__RUNTIME_DIR"]
    process = site.begin_worker()
    made = site.root / "state" / "solar"
    process.wait_for(f"tasks: ready at ipc://{made}/run/tasks.sock")
    wait_until((made / "solar.db").exists)
    for path in (made, *made.rglob("*")):
        assert path.lstat().st_mode & 0o077 == 0, path
    assert {path.name for path in (made / "run").glob("*.sock")} == {f"{name}.sock" for name in WORKERS}


# -- what arrives ------------------------------------------------------------------


def garbage(seed: int, count: int) -> list[list[bytes]]:
    """Messages of random bytes; every tenth has several frames."""
    source = random.Random(seed)
    return [
        [source.randbytes(source.choice((0, 1, 3, 17, 200, 4000))) for _ in range(3 if n % 10 == 9 else 1)]
        for n in range(count)
    ]


def crafted() -> list[list[bytes]]:
    """Messages that are well-formed up to some point."""
    ctxt = {"plan_uid": "x", "task_name": "y", "task_id": "x~y", "attempt": 1}
    calls: list[Any] = [
        ("__init__", ctxt, [], {}),
        ("_presence", ctxt, [], {}),
        ("store", ctxt, [], {}),
        ("stop", ctxt, [], {}),
        ("call", ctxt, ["cmd"], {}),
        ("ping", ["no", "ctxt"], [], {}),
        ("ping", ctxt, "text", {}),
        ("ping", ctxt, [], {1: 2}),
        ("kill", ctxt, [None, None, None, None, None], {}),
        ("kill", {}, [], {}),
        ("cmd", {}, ["touch $SITE/burgled"], {}),
        ("cmd", ctxt, ["touch $SITE/burgled"], {}),
        ("cmd", {**ctxt, "attempt": "many", "task_name": {}}, ["touch $SITE/burgled"], {}),
        ("next", ctxt, ["no-such-plan"], {}),
        ("next", ctxt, [], {"plan_uid": [1]}),
        ("soft_stop", ctxt, [{}], {}),
        ("update_next", {}, ["SUCCESS"], {}),
        ("commit", {}, [], {}),
        ("error", {"plan_uid": 7}, [], {}),
    ]
    return [[wire.pack(name, ctxt, args, kwargs, {})] for name, ctxt, args, kwargs in calls]


class Intruder:
    """Sends whatever it likes to a socket, without the product's client."""

    def __init__(self, path: Path) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.setsockopt(zmq.SNDTIMEO, 30_000)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(f"ipc://{path}")

    def send(self, messages: list[list[bytes]]) -> None:
        for frames in messages:
            self._socket.send_multipart(frames)

    def close(self) -> None:
        self._socket.close()
        self._context.term()


def beats(site: Site) -> dict[str, int]:
    with site.store.database.read() as connection:
        return {row.name: row.beat for row in connection.execute(sa.select(workers_table))}


def test_random_bytes_at_each_socket_change_nothing(site: Site) -> None:
    # A long lease: the beats that are seen below come from pings.
    worker = site.worker(lease=600)
    chain = [
        task(f"t{n}", "cmd", marked(gated() if n == 2 else "sleep 0.05"), after=[f"t{n - 1}"] if n else [])
        for n in range(6)
    ]
    uid = site.want(plan(*chain))
    site.wait_for_mark("t2")
    before = wait_until(lambda: (found := beats(site)).keys() == set(WORKERS) and found)
    for seed, name in enumerate(WORKERS):
        intruder = Intruder(site.runtime / f"{name}.sock")
        try:
            intruder.send(garbage(seed, 1000))
            intruder.send(crafted())
            # Taken in after all that was sent before it.
            intruder.send([[wire.pack("ping", {}, [], {}, {})]])
            wait_until(lambda name=name: beats(site)[name] > before[name], f"{name} to answer")
        finally:
            intruder.close()
    assert site.look(uid).status == "running"
    site.open()
    ended = site.ended(uid)
    assert set(ended.states.values()) == {"SUCCESS"}
    assert set(ended.attempts.values()) == {1}
    assert len(site.marks) == 12
    assert worker.code is None
    assert {row.pid for row in site.store.workers.all()} == {worker.pid}
    assert not (site.root / "burgled").exists()
    for name in WORKERS:
        assert f"{name}: dropped " in worker.log
    assert worker.stop() == 0


# -- alternatives ------------------------------------------------------------------


def test_the_executor_is_chosen_by_configuration(site: Site) -> None:
    worker = site.worker(executor="inline", poll_interval=0.1)
    assert "solar.orchestration.executors: inline" in worker.log
    ended = site.run(plan(task("a"), task("b", "cmd", "echo hello", after=["a"]), task("c", "sleep", 0.1)))
    assert set(ended.states.values()) == {"SUCCESS"}
    assert ended["b"]["output"] == "hello\n"
    assert not list(site.runtime.glob("*.sock")) if site.runtime.exists() else True
    assert worker.stop() == 0


def test_the_log_goes_to_a_file(site: Site) -> None:
    log = site.root / "worker.log"
    worker = site.begin_worker("--log-file", str(log), "--debug")
    wait_until(lambda: log.exists() and "tasks: ready at" in log.read_text())
    assert worker.stop() == 0
    assert worker.log == ""
    assert "solar-worker has stopped" in log.read_text()


# -- soft stop ---------------------------------------------------------------------


def test_a_soft_stop_skips_what_has_not_begun_and_lets_the_rest_end(site: Site) -> None:
    from solar_orch.extensions import make_client

    site.worker(max_inprogress=2)
    uid = site.want(
        plan(
            task("r1", "cmd", marked(gated()), weight=9),
            task("r2", "cmd", marked(gated(), "exit 1"), weight=9, retry=1),
            task("waits", "cmd", marked()),
            task("child", "cmd", marked(), after=["r1"]),
        )
    )
    site.wait_for_mark("r1")
    site.wait_for_mark("r2")
    client = make_client(site.conf, "scheduler")
    try:
        client.soft_stop({}, uid)
        wait_until(lambda: site.look(uid).status == "stopped")
    finally:
        client.close(1.0)
    assert site.look(uid).states == {
        "r1": "INPROGRESS",
        "r2": "INPROGRESS",
        "waits": "SKIPPED",
        "child": "SKIPPED",
    }
    site.open()
    ended = site.ended(uid)
    assert ended["r1"]["status"] == "SUCCESS"
    assert ended["r2"]["attempt"] == 1
    assert ended["r2"]["status"] in {"ERROR", "ERROR_RETRY", "SKIPPED"}
    assert {mark.task for mark in site.marks} == {"r1", "r2"}
    # It is over: nobody goes on with it by himself.
    assert site.orch("report", uid, "-w", "30").returncode in (0, 1)
    # And it can be wanted again; what was skipped stays so.
    assert ended.status == "stopped"


# -- the system log ----------------------------------------------------------------


def test_a_staged_change_follows_its_task(site: Site) -> None:
    log = site.store.log
    site.worker()
    log.stage("node.one", "run", {"package": [None, "nginx"]}, ["web"])
    log.stage("node.two", "update", {"port": [80, 443]})
    log.stage("node.three", "remove")
    ended = site.run(
        plan(
            task("node.one.run", "cmd", 'test "$SOLAR_ATTEMPT" = 2', retry=1),
            task("node.two.update", "error", "no such port"),
            task("unrelated"),
        )
    )
    assert ended.states == {"node.one.run": "SUCCESS", "node.two.update": "ERROR", "unrelated": "SUCCESS"}
    [made] = wait_until(log.history)
    assert (made["resource"], made["action"], made["state"]) == ("node.one", "run", "success")
    assert (made["diff"], made["tags"]) == ({"package": [None, "nginx"]}, ["web"])
    assert made["plan_uid"] == ended.report["uid"]
    wait_until(lambda: len(log.outcomes(ended.report["uid"])) == 4)
    staged = {item["resource"]: item for item in log.staged()}
    assert set(staged) == {"node.two", "node.three"}
    assert (staged["node.two"]["state"], staged["node.two"]["errmsg"]) == ("error", "no such port")
    assert staged["node.three"]["state"] == "staged"
    outcomes = [(o["task_name"], o["attempt"], o["status"]) for o in log.outcomes(ended.report["uid"])]
    assert sorted(outcomes) == [
        ("node.one.run", 1, "ERROR_RETRY"),
        ("node.one.run", 2, "SUCCESS"),
        ("node.two.update", 1, "ERROR"),
        ("unrelated", 1, "SUCCESS"),
    ]


# -- foreign databases -------------------------------------------------------------


def foreign_sqlite(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE invoices (id INTEGER PRIMARY KEY, amount REAL)")
        connection.execute("INSERT INTO invoices (amount) VALUES (12.5)")
    connection.close()


def later_version(path: Path) -> None:
    from solar_orch.store.database import Database

    database = Database(f"sqlite:///{path}")
    database.write(lambda connection: connection.exec_driver_sql("UPDATE solar_schema SET version = 4711"))
    database.close()


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(foreign_sqlite, id="another-program's"),
        pytest.param(lambda path: path.write_text("Dear diary\n" * 1000), id="text"),
        pytest.param(lambda path: path.touch(), id="empty"),
        pytest.param(later_version, id="another-version"),
    ],
)
def test_what_is_no_database_of_ours_is_refused_and_untouched(site: Site, make: Any) -> None:
    site.state.mkdir()
    make(site.database)
    before = site.database.read_bytes()
    names = sorted(os.listdir(site.state))
    plan_file = site.write("plan.yaml", plan(task("a")))

    line = site.refused_worker()
    assert f"database sqlite:///{site.database}: " in line
    for command in (["create", plan_file], ["run", plan_file]):
        done = site.orch(*command)
        assert (done.returncode, done.stdout) == (2, ""), (command, done)
        assert str(site.database) in done.stderr
        assert "Traceback" not in done.stderr
    assert site.database.read_bytes() == before
    assert sorted(os.listdir(site.state)) == names


# -- an executor that fails --------------------------------------------------------


def test_signals_that_mean_nothing_to_it_leave_it_alone(site: Site) -> None:
    worker: Process = site.worker()
    for number in (signal.SIGCHLD, signal.SIGWINCH, signal.SIGPIPE, signal.SIGCONT):
        worker.send(number)
    assert site.run(plan(task("a", "cmd", "true"))).status == "finished"
    assert worker.code is None
