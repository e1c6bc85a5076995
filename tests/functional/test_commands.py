"""``solar-orch`` as it is typed: real commands and workers, with a database and sockets for each test."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

#: Seconds after which what a test waits for will not come any more.
PATIENCE = 60.0

ONE_TASK = """\
name: one
tasks:
- {uid: only, parameters: {type: echo, args: [hello]}}
"""

FAILING = """\
name: failing
tasks:
- {uid: good, parameters: {type: cmd, args: ["echo fine"], target: web1}}
- {uid: bad, parameters: {type: cmd, args: ["echo no luck >&2; exit 3"]}, after: [good]}
- {uid: never, parameters: {type: noop}, after: [bad]}
"""

ALL_DONE = """\
name: settled
tasks:
- {uid: a, parameters: {type: noop, status: SUCCESS}}
- {uid: b, parameters: {type: noop, status: ERROR}}
- {uid: c, parameters: {type: noop}, after: [b]}
"""

FIVE_MISTAKES = """\
name: wrong
tasks:
- {uid: a, parameters: {type: kill}}
- {uid: b, parameters: {type: cmd, retries: 3}}
- {uid: b, parameters: {type: cmd}}
- {uid: c, parameters: {type: cmd, retry: many}}
- {uid: d, parameters: {type: cmd}, after: [nobody]}
"""


class Shell:
    """A home directory in which commands are typed; its path is short, because those of sockets must be."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OS_", "XDG_")) and name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")
        }
        self.env |= {
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_RUNTIME_DIR": str(home / "run"),
        }
        (home / "run").mkdir(mode=0o700)
        self.running: list[subprocess.Popen[str]] = []

    @property
    def database(self) -> Path:
        return self.home / "state" / "solar" / "solar.db"

    def file(self, name: str, text: str | bytes) -> str:
        path = self.home / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    def orch(self, *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run ``solar-orch`` to its end."""
        return self.run([script("solar-orch"), *args], stdin=stdin)

    def run(self, command: Sequence[str], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.env,
            cwd=self.home,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def begin(self, command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        process = subprocess.Popen(
            command, env=self.env, cwd=self.home, stdin=subprocess.DEVNULL, text=True, **options
        )
        self.running.append(process)
        return process

    def begin_orch(self, *args: str) -> subprocess.Popen[str]:
        """Start ``solar-orch`` and leave it running; it writes to the files ``out`` and ``err``."""
        with (self.home / "out").open("w") as out, (self.home / "err").open("w") as err:
            return self.begin([script("solar-orch"), *args], stdout=out, stderr=err)

    def begin_worker(self) -> subprocess.Popen[str]:
        """Start ``solar-worker`` and wait until all of its workers can be called."""
        with (self.home / "worker.log").open("w") as log:
            worker = self.begin([script("solar-worker")], stdout=log, stderr=log)
        wait_until(
            lambda: (self.home / "worker.log").read_text().count(": ready at ") == 3 or ended(worker),
            (self.home / "worker.log").read_text,
        )
        assert not ended(worker), (self.home / "worker.log").read_text()
        return worker

    def report(self, uid: str = "last") -> dict[str, Any]:
        return json.loads(self.orch("report", uid, "--format", "json").stdout)  # type: ignore[no-any-return]

    def states(self, uid: str = "last") -> dict[str, str]:
        return {task["name"]: task["status"] for task in self.report(uid)["tasks"]}

    def plans(self) -> list[dict[str, Any]]:
        return json.loads(self.orch("list", "--format", "json").stdout)  # type: ignore[no-any-return]

    def age_of_the_last_beat(self) -> float:
        """Seconds, by the database's clock."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            query = "SELECT (julianday('now') - 2440587.5) * 86400 - max(beat_at) FROM workers"
            return float(connection.execute(query).fetchone()[0])

    def gated(self, name: str = "gated") -> str:
        """A plan file of two tasks, the first of which ends when :meth:`open_gate` lets it."""
        command = (
            f"touch {self.home}/started; while [ ! -e {self.home}/gate ]; do sleep 0.02; done; echo through"
        )
        plan = {
            "name": name,
            "tasks": [
                {"uid": "first", "parameters": {"type": "cmd", "args": [command]}},
                {"uid": "second", "parameters": {"type": "noop"}, "after": ["first"]},
            ],
        }
        return self.file(f"{name}.yaml", json.dumps(plan))

    def wait_for_start(self) -> None:
        wait_until((self.home / "started").exists)

    def open_gate(self) -> None:
        (self.home / "gate").touch()


def script(name: str) -> str:
    """The console script beside this interpreter."""
    return str(Path(sys.executable).with_name(name))


def ended(process: subprocess.Popen[str]) -> bool:
    return process.poll() is not None


def wait_until(condition: Callable[[], object], what: Callable[[], object] = lambda: "") -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain {what()}"
        time.sleep(0.02)


@pytest.fixture
def shell() -> Iterator[Shell]:
    home = Path(tempfile.mkdtemp(dir="/tmp", prefix="so"))
    shell = Shell(home)
    yield shell
    shell.open_gate()
    for process in shell.running:
        process.kill()
        process.wait()
    shutil.rmtree(home)


# -- the command line ------------------------------------------------------------------


def test_help_and_version(shell: Shell) -> None:
    shown = shell.orch("--help")
    assert shown.returncode == 0
    for command in (
        "run",
        "create",
        "run-once",
        "report",
        "show",
        "list",
        "workers",
        "events",
        "output",
        "log",
    ):
        assert f"\n  {command} " in shown.stdout
        alone = shell.orch(command, "--help")
        assert alone.returncode == 0
        assert "Example:\n    solar-orch " in alone.stdout
    assert shell.orch("--version").stdout.startswith("solar-orch, version ")


@pytest.mark.parametrize(
    ("args", "more"),
    [
        (["--help"], {"oslo_config", "sqlalchemy", "sqlite3", "yaml", "asyncio"}),
        (["--version"], {"oslo_config", "sqlalchemy", "sqlite3", "yaml", "asyncio"}),
        (["report", "last"], {"yaml"}),
        (["report", "last", "--format", "json"], {"yaml"}),
        (["list"], {"yaml"}),
        (["list", "--status", "pending"], {"yaml"}),
        (["workers"], {"yaml"}),
        (["events", "last"], {"yaml"}),
        (["log", "staged"], {"yaml"}),
    ],
)
def test_what_only_looks_imports_neither_transport_nor_what_it_does_not_need(
    shell: Shell, args: list[str], more: set[str]
) -> None:
    assert shell.orch("create", shell.file("p.yaml", ONE_TASK)).returncode == 0
    program = f"""
import sys
sys.argv = ["solar-orch", *{args!r}]
from solar_orch.cli.entry import orch
try:
    orch()
except SystemExit as stop:
    assert not stop.code, stop.code
loaded = {{name.partition(".")[0] for name in sys.modules}}
print("heavy:", sorted(loaded & {{"gevent", "zmq", "zerorpc", "rich", *{sorted(more)!r}}}), file=sys.stderr)
"""
    done = shell.run([sys.executable, "-c", program])
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "heavy: []"


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["frobnicate"],
        ["report"],
        ["report", "nope"],
        ["report", "last", "-w", "soon"],
        ["report", "last", "-w", "-1"],
        ["report", "last", "-w", "nan"],
        ["report", "last", "--format", "xml"],
        ["report", "a\nb"],
        ["report", os.fsdecode(b"\xff\xfe")],
        ["run-once", "nope"],
        ["show", "nope"],
        ["create", "nope.yaml"],
        ["create", "/tmp"],
        ["create", os.fsdecode(b"/\xff.yaml")],
        ["run", "nope"],
        ["run", "/tmp"],
        ["--config-file", "nope.conf", "list"],
        ["--config-dir", "nope.d", "list"],
    ],
)
def test_wrong_usage_exits_2_and_says_why(shell: Shell, args: list[str]) -> None:
    shell.orch("create", shell.file("p.yaml", ONE_TASK))
    done = shell.orch(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


def test_a_file_that_is_no_text_is_refused(shell: Shell) -> None:
    done = shell.orch("create", shell.file("p.yaml", b"name: \xff\xfe\ntasks: []\n"))
    assert done.returncode == 2
    assert "p.yaml:1:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_configuration_with_a_bad_value_is_refused_in_one_line(shell: Shell) -> None:
    path = shell.file("bad.conf", "[orchestration]\npool_size = many\n")
    done = shell.orch("--config-file", path, "list")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("solar-orch: error: ")
    assert "pool_size" in line and "many" in line and path in line


def test_the_configuration_that_is_named_is_read(shell: Shell) -> None:
    path = shell.file("mine.conf", f"[orchestration]\ndatabase = sqlite:///{shell.home}/mine.db\n")
    plan = shell.file("p.yaml", ONE_TASK)
    assert shell.orch("--config-file", path, "create", plan).returncode == 0
    assert (shell.home / "mine.db").exists()
    assert shell.plans() == []


@pytest.mark.parametrize("content", [b"", b"not a database, but something else that is rather long" * 10])
def test_a_file_that_is_no_database_is_refused_and_left_untouched(shell: Shell, content: bytes) -> None:
    shell.database.parent.mkdir(parents=True)
    shell.database.write_bytes(content)
    for args in (["list"], ["report", "last"], ["create", shell.file("p.yaml", ONE_TASK)], ["run", "p.yaml"]):
        done = shell.orch(*args)
        assert done.returncode == 2
        assert done.stderr.startswith("solar-orch: error: database ")
        assert "Traceback" not in done.stderr
    assert shell.database.read_bytes() == content


def test_a_reader_that_has_seen_enough_is_no_error(shell: Shell) -> None:
    tasks = [{"uid": f"task-{i}", "parameters": {"type": "noop"}} for i in range(3000)]
    shell.orch("create", shell.file("p.yaml", json.dumps({"name": "many", "tasks": tasks})))
    for command in ("report last", "report last --format json", "show last"):
        done = shell.run(["sh", "-c", f"{script('solar-orch')} {command} | head -n 1"])
        assert len(done.stdout.splitlines()) == 1
        assert done.stderr == ""


# -- create, show, list ------------------------------------------------------------------


def test_create_prints_the_uid_alone_and_the_plan_waits(shell: Shell) -> None:
    done = shell.orch("create", shell.file("p.yaml", ONE_TASK))
    assert done.returncode == 0
    assert done.stderr == ""
    (uid,) = done.stdout.splitlines()
    report = shell.report(uid)
    assert (report["uid"], report["status"]) == (uid, "pending")
    assert report["counts"]["PENDING"] == 1
    assert shell.report("last")["uid"] == uid


def test_create_reads_stdin(shell: Shell) -> None:
    done = shell.orch("create", "-", stdin=ONE_TASK)
    assert done.returncode == 0
    assert shell.report(done.stdout.strip())["name"] == "one"


@pytest.mark.parametrize("command", ["create", "run"])
def test_all_mistakes_are_shown_and_nothing_is_written(shell: Shell, command: str) -> None:
    path = shell.file("wrong.yaml", FIVE_MISTAKES)
    done = shell.orch(command, path)
    assert done.returncode == 2
    assert done.stdout == ""
    *mistakes, last = done.stderr.splitlines()
    assert last == "5 mistakes; nothing was written"
    assert [line.split(": ")[0].rsplit(":", 1)[0] for line in mistakes] == [
        f"{path}:{number}" for number in (3, 4, 5, 6, 7)
    ]
    assert not shell.database.exists()


LARGE = "name: large\ntasks:\n" + "".join(f"- uid: t{n}\n  parameters: {{type: noop}}\n" for n in range(3000))


@pytest.mark.parametrize(
    ("end", "place", "said"),
    [
        (
            "- uid: last\n  parameters: {type: noop}\n  after: [t2999, t3000]\n",
            "6005:18",
            "there is no such task",
        ),
        ("- uid: last\n  parameters: {type: noop, retry: -1}\n", "6004:35", "retry must be from 0"),
        ("- uid: t2999\n  parameters: {type: noop}\n", "6003:8", "duplicate uid 't2999'"),
        ("- uid: last\n  uid: again\n  parameters: {type: noop}\n", "6004:3", "duplicate key 'uid'"),
        ("- uid: last\n  parameters: {type: noop\n", "6005:1", "not valid YAML"),
        ("- uid: last\n  parameters: &x {type: noop}\n- *x\n", "6005:3", "aliases (*x) are not taken"),
    ],
)
def test_a_mistake_at_the_end_of_a_large_plan_is_shown_with_its_place(
    shell: Shell, end: str, place: str, said: str
) -> None:
    path = shell.file("large.yaml", LARGE + end)
    done = shell.orch("create", path)
    assert done.returncode == 2
    first, last = done.stderr.splitlines()
    assert first.startswith(f"{path}:{place}: ")
    assert said in first
    assert last == "1 mistake; nothing was written"
    assert not shell.database.exists()


def test_a_large_plan_is_listed_and_reported_whole(shell: Shell) -> None:
    uid = shell.orch("create", shell.file("large.yaml", LARGE)).stdout.strip()
    (listed,) = shell.plans()
    assert (listed["uid"], listed["counts"]["PENDING"]) == (uid, 3000)
    names = [f"t{n}" for n in range(3000)]
    assert [task["name"] for task in shell.report()["tasks"]] == names
    _, title, *lines, last = shell.orch("report", "last").stdout.splitlines()
    assert title.split() == ["State", "Task"]
    assert [line.split() for line in lines] == [["PENDING", name] for name in names]
    assert last == "3000 tasks: 3000 PENDING"


def test_a_uid_that_exists_is_refused(shell: Shell) -> None:
    path = shell.file("p.yaml", "uid: mine\n" + ONE_TASK)
    assert shell.orch("create", path).stdout == "mine\n"
    again = shell.orch("create", path)
    assert again.returncode == 2
    assert "mine" in again.stderr
    assert [plan["uid"] for plan in shell.plans()] == ["mine"]


def test_what_show_prints_is_accepted_once_its_uid_is_dropped(shell: Shell) -> None:
    text = ONE_TASK.replace("hello", "grüße ☃")
    first = shell.orch("create", shell.file("p.yaml", text)).stdout.strip()
    shown = shell.orch("show", first).stdout
    assert "grüße ☃" in shown
    assert shell.orch("create", "-", stdin=shown).returncode == 2
    without = "".join(line for line in shown.splitlines(True) if not line.startswith("uid: "))
    second = shell.orch("create", "-", stdin=without).stdout.strip()
    assert shell.orch("show", second).stdout == shown.replace(first, second)


def test_what_show_prints_is_utf8_whatever_the_terminal_is(shell: Shell) -> None:
    shell.orch("create", shell.file("p.yaml", ONE_TASK.replace("hello", "grüße ☃")))
    shell.env["PYTHONIOENCODING"] = "latin-1"
    done = subprocess.run(
        [script("solar-orch"), "show", "last"],
        env=shell.env,
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )
    assert "grüße ☃" in done.stdout.decode()


def test_list_shows_the_latest_first(shell: Shell) -> None:
    assert shell.plans() == []
    assert shell.orch("list").returncode == 0
    uids = [shell.orch("create", shell.file("p.yaml", text)).stdout.strip() for text in (ONE_TASK, FAILING)]
    plans = shell.plans()
    assert [plan["uid"] for plan in plans] == uids[::-1]
    assert all(set(plan) == {"uid", "name", "status", "created_at", "counts"} for plan in plans)
    assert plans[0]["counts"]["PENDING"] == 3
    assert abs(plans[0]["created_at"] - time.time()) < 3600
    title, *lines = shell.orch("list").stdout.splitlines()
    assert title.split()[:2] == ["UID", "Status"]
    assert [line.split()[:2] for line in lines] == [[uid, "pending"] for uid in uids[::-1]]


# -- report ----------------------------------------------------------------------------------


def test_report_of_a_plan_that_nobody_runs_waits_until_its_time_is_up(shell: Shell) -> None:
    shell.orch("create", shell.file("p.yaml", ONE_TASK))
    done = shell.orch("report", "last", "-w", "0.2", "--format", "json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["status"] == "pending"
    assert "0.2 s" in done.stderr


def test_report_does_not_wait_for_a_plan_in_which_nothing_can_run(shell: Shell) -> None:
    shell.orch("create", shell.file("p.yaml", ALL_DONE))
    done = shell.orch("report", "last", "-w", "3600")
    assert done.returncode == 1
    assert done.stderr == ""


def test_text_in_a_pipe_has_no_colours_and_whole_lines(shell: Shell) -> None:
    problem = "a sentence that is longer than any terminal is wide, " * 5
    name = "n" * 150
    task = {"uid": name, "parameters": {"type": "error", "args": [problem + "\nmore"]}}
    done = shell.orch("run", shell.file("p.yaml", json.dumps({"name": "p", "tasks": [task]})))
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if name in line]
    assert line.startswith("ERROR ")
    assert line.endswith(problem.strip())


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_text_that_the_terminal_cannot_write_is_replaced(shell: Shell, encoding: str) -> None:
    shell.env["PYTHONIOENCODING"] = encoding
    text = ONE_TASK.replace("only", "schneemann-☃")
    done = shell.run([script("solar-orch"), "run", shell.file("p.yaml", text)])
    assert done.returncode == 0, done.stderr
    assert "schneemann-?" in done.stdout


# -- run-once --------------------------------------------------------------------------------


def test_run_once_with_no_worker_up_says_so_and_the_plan_starts_when_one_is(shell: Shell) -> None:
    uid = shell.orch("create", shell.file("p.yaml", ONE_TASK)).stdout.strip()
    for wait in ([], ["-w", "60"]):
        done = shell.orch("run-once", "last", *wait)
        assert done.returncode == 4
        assert "no scheduler worker and no tasks worker is up" in done.stderr
        assert done.stdout == ""
    assert shell.report(uid)["status"] == "running"
    shell.begin_worker()
    assert shell.orch("report", uid, "-w", str(PATIENCE)).returncode == 0


def test_two_terminals(shell: Shell) -> None:
    shell.begin_worker()
    uid = shell.orch("create", shell.file("p.yaml", FAILING)).stdout.strip()
    done = shell.orch("run-once", "last", "-w", str(PATIENCE))
    assert done.returncode == 1
    assert uid in done.stdout and "3 tasks: 1 SUCCESS, 1 ERROR, 1 PENDING" in done.stdout
    assert "exit code 3: no luck" in done.stdout
    report = shell.report()
    assert (report["uid"], report["name"], report["status"]) == (uid, "failing", "failed")
    assert [task["name"] for task in report["tasks"]] == ["good", "bad", "never"]
    good, bad, never = report["tasks"]
    assert (good["target"], good["output"], good["errmsg"]) == ("web1", "fine\n", None)
    assert good["start_time"] <= good["end_time"] <= bad["start_time"] <= bad["end_time"]
    assert (bad["attempt"], bad["errmsg"]) == (1, "exit code 3: no luck")
    assert (never["attempt"], never["start_time"], never["end_time"]) == (0, None, None)
    assert report["total_time"] == pytest.approx(bad["end_time"] - good["start_time"], abs=1e-5)
    durations = [task["end_time"] - task["start_time"] for task in (good, bad)]
    assert report["total_delta"] == pytest.approx(sum(durations), abs=1e-5)
    assert shell.orch("report", "last").returncode == 1


def test_run_once_returns_at_once_or_when_its_time_is_up(shell: Shell) -> None:
    shell.begin_worker()
    shell.orch("create", shell.gated())
    done = shell.orch("run-once", "last")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    shell.wait_for_start()
    assert shell.states() == {"first": "INPROGRESS", "second": "PENDING"}
    late = shell.orch("run-once", "last", "-w", "0.1")
    assert late.returncode == 3
    assert "INPROGRESS" in late.stdout
    assert "0.1 s" in late.stderr
    shell.open_gate()
    assert shell.orch("report", "last", "-w", str(PATIENCE)).returncode == 0
    assert shell.states() == {"first": "SUCCESS", "second": "SUCCESS"}


def test_run_once_does_not_wait_for_workers_that_are_gone(shell: Shell) -> None:
    shell.env["OS_ORCHESTRATION__LEASE"] = "0.5"
    worker = shell.begin_worker()
    shell.orch("create", shell.gated())
    waiting = shell.begin_orch("run-once", "last", "-w", "3600")
    shell.wait_for_start()
    worker.kill()
    assert waiting.wait(PATIENCE) == 4
    assert "no scheduler worker and no tasks worker is up" in (shell.home / "err").read_text()


def stop_between_transactions(pid: int, database: str | Path) -> None:
    """The lock of an SQLite file cannot be taken from a process that is stopped."""

    def is_stopped_without_lock() -> bool:
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        with contextlib.closing(sqlite3.connect(database, isolation_level=None, timeout=0.3)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                os.kill(pid, signal.SIGCONT)
                return False
        return True

    wait_until(is_stopped_without_lock)


def test_a_lock_alone_shows_that_a_worker_is_up(shell: Shell) -> None:
    shell.env["OS_ORCHESTRATION__LEASE"] = "0.5"
    worker = shell.begin_worker()
    shell.orch("create", shell.file("p.yaml", ONE_TASK))
    stop_between_transactions(worker.pid, shell.database)
    try:
        wait_until(lambda: shell.age_of_the_last_beat() > 0.5)
        assert shell.orch("run-once", "last").returncode == 0
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    assert shell.orch("report", "last", "-w", str(PATIENCE)).returncode == 0


# -- run -------------------------------------------------------------------------------------


def test_run_in_one_command(shell: Shell) -> None:
    done = shell.orch("run", shell.file("p.yaml", ONE_TASK))
    assert done.returncode == 0, done.stderr
    report = shell.report()
    assert (report["status"], report["tasks"][0]["output"]) == ("finished", "hello\n")
    first, line = done.stderr.splitlines()
    assert first == f"plan {report['uid']}"
    assert line.split()[:2] == ["SUCCESS", "only"]
    assert f"plan {report['uid']}: finished" in done.stdout
    # Nothing is left of its private addresses.
    assert [path.name for path in (shell.home / "run" / "solar").iterdir()] == []


def test_run_exits_1_when_a_task_fails_and_tells_of_each_attempt(shell: Shell) -> None:
    text = FAILING.replace('exit 3"]', 'exit 3"], retry: 1')
    done = shell.orch("run", shell.file("p.yaml", text))
    assert done.returncode == 1
    assert [line.split()[:2] for line in done.stderr.splitlines()[1:]] == [
        ["SUCCESS", "good"],
        ["ERROR_RETRY", "bad"],
        ["ERROR", "bad"],
    ]
    assert "exit code 3: no luck" in done.stdout


def test_run_reads_stdin(shell: Shell) -> None:
    assert shell.orch("run", "-", stdin=ONE_TASK).returncode == 0
    assert shell.report()["status"] == "finished"


def test_run_of_a_plan_that_was_created(shell: Shell) -> None:
    uid = shell.orch("create", shell.file("p.yaml", ONE_TASK)).stdout.strip()
    assert shell.orch("run", uid).returncode == 0
    assert shell.states(uid) == {"only": "SUCCESS"}
    assert len(shell.plans()) == 1


def test_a_broken_part_leaves_no_plan_behind(shell: Shell) -> None:
    shell.env["OS_ORCHESTRATION__TASKS_DRIVER"] = "nope"
    done = shell.orch("run", shell.file("p.yaml", ONE_TASK))
    assert done.returncode == 2
    assert "solar.orchestration.drivers.tasks: nope" in done.stderr
    assert "Traceback" not in done.stderr
    assert not shell.database.exists()


def test_two_runs_at_once_do_not_meet(shell: Shell) -> None:
    first = shell.begin_orch("run", shell.gated())
    shell.wait_for_start()
    done = shell.orch("run", shell.file("p.yaml", ONE_TASK))
    assert done.returncode == 0, done.stderr
    shell.open_gate()
    assert first.wait(PATIENCE) == 0


def test_run_beside_a_worker_on_the_same_database(shell: Shell) -> None:
    worker = shell.begin_worker()
    for _ in range(3):
        done = shell.orch("run", shell.file("p.yaml", FAILING))
        assert done.returncode == 1, done.stderr
    assert {plan["status"] for plan in shell.plans()} == {"failed"}
    assert all(plan["counts"]["SUCCESS"] == plan["counts"]["ERROR"] == 1 for plan in shell.plans())
    assert not ended(worker)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_drains_and_can_be_resumed(shell: Shell, number: signal.Signals) -> None:
    running = shell.begin_orch("run", shell.gated())
    shell.wait_for_start()
    running.send_signal(number)
    wait_until(lambda: shell.report()["status"] == "stopped")
    assert shell.states() == {"first": "INPROGRESS", "second": "PENDING"}
    assert not ended(running)
    shell.open_gate()
    assert running.wait(PATIENCE) == 130
    report = shell.report()
    assert (report["status"], shell.states()) == ("stopped", {"first": "SUCCESS", "second": "PENDING"})
    said = (shell.home / "err").read_text()
    assert "Traceback" not in said
    assert f"solar-orch run {report['uid']}" in said
    assert "1 SUCCESS, 1 PENDING" in (shell.home / "out").read_text()

    resumed = shell.orch("run", "last")
    assert resumed.returncode == 0, resumed.stderr
    assert {task["name"]: (task["status"], task["attempt"]) for task in shell.report()["tasks"]} == {
        "first": ("SUCCESS", 1),
        "second": ("SUCCESS", 1),
    }
    assert [line.split()[:2] for line in resumed.stderr.splitlines()[1:]] == [["SUCCESS", "second"]]


def test_a_plan_that_was_interrupted_is_taken_over_by_nobody(shell: Shell) -> None:
    running = shell.begin_orch("run", shell.gated())
    shell.wait_for_start()
    running.send_signal(signal.SIGINT)
    wait_until(lambda: shell.report()["status"] == "stopped")
    shell.begin_worker()
    shell.open_gate()
    assert running.wait(PATIENCE) == 130
    other = shell.orch("create", shell.file("p.yaml", ONE_TASK)).stdout.strip()
    assert shell.orch("run-once", other, "-w", str(PATIENCE)).returncode == 0
    assert [plan["counts"]["PENDING"] for plan in shell.plans()] == [0, 1]


def test_a_second_interrupt_ends_at_once(shell: Shell) -> None:
    running = shell.begin_orch("run", shell.gated())
    shell.wait_for_start()
    running.send_signal(signal.SIGINT)
    wait_until(lambda: "interrupted" in (shell.home / "err").read_text())
    running.send_signal(signal.SIGINT)
    assert running.wait(PATIENCE) == 130
    assert shell.states() == {"first": "PENDING", "second": "PENDING"}
    (shell.home / "started").unlink()
    shell.open_gate()
    assert shell.orch("run", "last").returncode == 0


def test_a_run_that_was_killed_is_cleaned_up_after_by_the_next(shell: Shell) -> None:
    running = shell.begin_orch("run", shell.gated())
    shell.wait_for_start()
    (left,) = (shell.home / "run" / "solar").iterdir()
    running.kill()
    running.wait()
    assert left.exists()
    assert shell.orch("run", shell.file("p.yaml", ONE_TASK)).returncode == 0
    assert not left.exists()


# -- in a terminal ---------------------------------------------------------------------------


def in_terminal(shell: Shell, *args: str, columns: int = 80) -> tuple[int, str]:
    """Run ``solar-orch`` in a pseudo-terminal; its exit code, and all that it wrote."""
    pid, master = pty.fork()
    if pid == 0:
        command = ["sh", "-c", f'stty cols {columns} rows 24; exec "$@"', "sh", script("solar-orch"), *args]
        os.execvpe("sh", command, {**shell.env, "TERM": "xterm"})
    written = b""
    with contextlib.suppress(OSError):  # EIO: nobody has it open any more
        while piece := os.read(master, 65536):
            written += piece
    os.close(master)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), written.decode()


def test_a_terminal_shows_a_bar_and_then_the_report(shell: Shell) -> None:
    code, written = in_terminal(shell, "run", shell.file("p.yaml", FAILING))
    assert code == 1
    assert "━" in written and "2/3" in written
    assert "Traceback" not in written
    assert written.index("━") < written.index("3 tasks: 1 SUCCESS, 1 ERROR, 1 PENDING")


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_no_line_of_a_report_is_wider_than_the_terminal(shell: Shell, columns: int) -> None:
    problem = "one sentence of an error that is so long that it needs several lines of any terminal, " * 2
    tasks = [
        {"uid": "task-" + "x" * 60, "parameters": {"type": "error", "args": [problem], "target": "host" * 8}},
        {"uid": "短い", "parameters": {"type": "echo", "args": [1]}},
    ]
    plan = shell.file("p.yaml", json.dumps({"name": "p", "tasks": tasks}))
    assert shell.orch("run", plan).returncode == 1
    code, written = in_terminal(shell, "report", "last", columns=columns)
    assert code == 1
    lines = without_colours(written).splitlines()
    table = lines[1:-1]
    assert max(map(len, table)) <= columns
    assert "".join(problem.split()) in "".join("".join(table).split())


def without_colours(text: str) -> str:
    pieces = text.split("\x1b[")
    return pieces[0] + "".join(piece.partition("m")[2] for piece in pieces[1:])


def test_no_color(shell: Shell) -> None:
    shell.orch("run", shell.file("p.yaml", ONE_TASK))
    assert "\x1b[32m" in in_terminal(shell, "report", "last")[1]
    shell.env["NO_COLOR"] = "1"
    assert "\x1b[32m" not in in_terminal(shell, "report", "last")[1]


# -- mounted in another program --------------------------------------------------------------

MOUNTED = """
import sys
import click
from solar_orch.cli import orch

@click.group()
def main():
    pass

main.add_command(orch, "orch")
if __name__ == "__main__":
    main(sys.argv[1:], prog_name="other")
"""


def test_mounted_in_a_program_that_gevent_has_not_patched(shell: Shell) -> None:
    program = [sys.executable, shell.file("other.py", MOUNTED), "orch"]
    plan = shell.file("p.yaml", FAILING)
    done = shell.run([*program, "run", plan])
    assert done.returncode == 1, done.stderr
    assert "1 SUCCESS, 1 ERROR, 1 PENDING" in done.stdout
    unknown = shell.run([*program, "report", "nope"])
    assert unknown.returncode == 2
    assert unknown.stderr == "other orch: error: there is no plan with the uid nope\n"
    assert shell.run([*program, "--config-file", "nope.conf", "run", plan]).returncode == 2


def test_mounted_run_passes_sigterm_on(shell: Shell) -> None:
    program = [sys.executable, shell.file("other.py", MOUNTED), "orch", "run", shell.gated()]
    running = shell.begin(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shell.wait_for_start()
    running.terminate()
    wait_until(lambda: shell.report()["status"] == "stopped")
    shell.open_gate()
    assert running.wait(PATIENCE) == 130
    assert shell.states() == {"first": "SUCCESS", "second": "PENDING"}


def test_sockets_are_kept_short(shell: Shell) -> None:
    # As deep as a socket of solar-worker at a path of 107 bytes may lie: run's own must fit there as well.
    room = 107 - len("/scheduler.sock")
    deep = str(shell.home / "run")
    deep += "/" + "d" * (room - len(deep) - 1)
    shell.env["OS_ORCHESTRATION__RUNTIME_DIR"] = deep
    with socket.socket(socket.AF_UNIX) as probe:
        os.makedirs(deep, mode=0o700)
        probe.bind(f"{deep}/scheduler.sock")
    done = shell.orch("run", shell.file("p.yaml", ONE_TASK))
    assert done.returncode == 0, done.stderr
