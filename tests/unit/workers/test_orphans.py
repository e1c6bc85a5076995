"""Commands whose worker and guard were both killed are found by their environment."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from solar_orch.workers.orphans import ATTEMPT, PLAN, SESSION, TASK, end_orphans

#: Begins a session, says so in the environment of its command, and dies: its command is nobody's child.
_WORKER = """
import os, sys
if os.fork() == 0:
    os.setsid()
    os.environ["SOLAR_SESSION"] = str(os.getpid())
    os.execvp("sh", ["sh", "-c", sys.argv[1]])
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def plan() -> Iterator[str]:
    """A uid that nobody else uses; what belongs to it is ended."""
    uid = f"orphans:{secrets.token_hex(8)}"
    yield uid
    for process in of(uid):
        process.kill()


def of(plan: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(PLAN) == plan and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def leave(plan: str, command: str, count: int, *, task: str = "t", attempt: int = 1) -> None:
    """Leave an orphan that runs `command`; waits until it has `count` processes."""
    before = len(of(plan))
    env = {**os.environ, PLAN: plan, TASK: task, ATTEMPT: str(attempt)}
    ended = subprocess.run([sys.executable, "-c", _WORKER, command], env=env, check=False)
    assert ended.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 20
    while len(of(plan)) < before + count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_all_that_is_left_of_earlier_attempts_is_ended(plan: str) -> None:
    leave(plan, "sleep 300 & timeout 300 sleep 299; wait", 4)
    leave(plan, "trap '' TERM; sleep 300; sleep 300", 2, attempt=2)
    assert end_orphans(plan, "t", 2)
    assert of(plan) == []


def test_what_is_another_s_is_let_live(plan: str) -> None:
    leave(plan, "sleep 300; :", 2, attempt=3)
    leave(plan, "sleep 300; :", 2, task="u")
    assert end_orphans(plan, "t", 2)
    assert len(of(plan)) == 4


def test_what_has_left_its_session_is_let_live(plan: str) -> None:
    leave(plan, "setsid sleep 300 & sleep 299; :", 3)
    assert end_orphans(plan, "t", 1)
    (daemon,) = of(plan)
    assert daemon.environ()[SESSION] != str(os.getsid(daemon.pid))
