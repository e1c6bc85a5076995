"""A plan is run by real processes that find each other by the configuration alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PLAN = """
name: over-redis
tasks:
  - uid: hello
    parameters:
      type: cmd
      args: ["echo from $SOLAR_TASK_NAME"]
    before: ["then"]
  - uid: then
    parameters:
      type: cmd
      args: ["echo and $SOLAR_TASK_NAME"]
"""


def wait_until(condition: Callable[[], object], what: Callable[[], str], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)


class Site:
    """A configuration, and the processes that use it."""

    def __init__(self, root: Path, server) -> None:
        self.root = root
        addresses = "\n".join(
            f"{name}_address = {server.address(name)}" for name in ("tasks", "scheduler", "system_log")
        )
        self.config = root / "solar.conf"
        self.config.write_text(
            f"[orchestration]\nexecutor = redis\nstate_dir = {root}/state\nruntime_dir = {root}/run\n"
            f"poll_interval = 0.5\n{addresses}\n[redis_streams]\nblock = 0.5\n"
        )
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "XDG_"))}
        self.env["HOME"] = str(root)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def _script(self, name: str) -> str:
        return str(Path(sys.executable).with_name(name))

    def worker(self, name: str) -> None:
        log = self.root / f"{name}.log"
        with log.open("ab") as file:
            self.processes[name] = subprocess.Popen(
                [self._script("solar-worker"), "--config-file", str(self.config), "--worker", name],
                env=self.env, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip
        wait_until(lambda: f"{name}: ready at redis://" in log.read_text(), log.read_text)

    def orch(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._script("solar-orch"), "--config-file", str(self.config), *args],
            env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture
def site(tmp_path, server) -> Iterator[Site]:
    site = Site(tmp_path, server)
    yield site
    site.end()


def test_a_plan_is_run_by_separate_workers(site, server):
    for name in ("tasks", "scheduler", "system_log"):
        site.worker(name)
    plan = site.root / "plan.yaml"
    plan.write_text(PLAN)
    created = site.orch("create", str(plan))
    assert created.returncode == 0, created.stderr
    uid = created.stdout.split()[0]
    done = site.orch("run-once", uid, "-w", "60")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(site.orch("report", uid, "--format", "json").stdout)
    assert report["status"] == "finished"
    assert [task["status"] for task in report["tasks"]] == ["SUCCESS", "SUCCESS"]
    for name, process in site.processes.items():
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, (site.root / f"{name}.log").read_text()
    assert "Traceback" not in "".join(path.read_text() for path in site.root.glob("*.log"))
    assert server.client.xlen("tasks") == 0


def test_run_uses_streams_of_its_own_and_leaves_none_behind(site, server):
    plan = site.root / "plan.yaml"
    plan.write_text(PLAN)
    done = site.orch("run", str(plan))
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.client.keys("*") == []


def test_workers_are_told_at_once(site):
    for name in ("tasks", "scheduler", "system_log"):
        site.worker(name)
    plan = site.root / "plan.yaml"
    plan.write_text(
        "name: long\ntasks: [{uid: wait, parameters: {type: cmd, args: ['echo begun; sleep 600']}}]\n"
    )
    assert site.orch("create", str(plan)).returncode == 0
    assert site.orch("run-once", "last").returncode == 0
    wait_until(
        lambda: "begun" in site.orch("output", "last", "wait").stdout, lambda: "no output of what runs"
    )
    assert site.orch("cancel", "last").returncode == 0
    wait_until(
        lambda: json.loads(site.orch("report", "last", "--format", "json").stdout)["counts"]["ERROR"] == 1,
        lambda: site.orch("report", "last").stdout,
    )
