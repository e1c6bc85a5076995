"""Whatever a function does to its process is told, and reaches nobody else."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import psutil
import pytest
from harness import wait_until

#: Each of these in a process of its own; the tests have threads, and must not fork themselves.
PROGRAM = """
import ctypes, dataclasses, json, os, signal, subprocess, sys, threading, time
from solar_orch.doctor.isolation import run_all
from solar_orch.held import descendants

def returns():
    return {"a": [1, None]}

def fails():
    raise LookupError("no luck")

def exits():
    sys.exit("over")

def leaves():
    os._exit(7)

def leaves_in_c():
    ctypes.CDLL(None)._exit(9)

def crashes():
    ctypes.string_at(0)

def is_killed():
    os.killpg(0, signal.SIGKILL)

def hangs():
    time.sleep(600)

def hangs_deaf():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    time.sleep(600)

def writes():
    print("hello")
    os.write(1, b"there")
    os.write(2, b"quietly")

def leaves_a_process():
    return subprocess.Popen(["sleep", "600"]).pid

def leaves_a_session():
    return subprocess.Popen(["sleep", "600"], start_new_session=True).pid

def leaves_a_daemon():
    # Of which nobody is the parent any more, and which leaves another one when it is ended.
    command = "setsid sh -c 'setsid sleep 600 & echo $!; wait' & echo $!"
    shell = subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE)
    left = [int(shell.stdout.readline()), int(shell.stdout.readline())]
    shell.wait()
    return {"left": left, "seen": descendants(os.getpid())}

def is_killed_beside_a_session():
    pid = subprocess.Popen(["sleep", "600"], start_new_session=True).pid
    os.write(1, str(pid).encode())
    os.kill(os.getpid(), signal.SIGKILL)

def ends_by_a_signal_without_a_name():
    os.kill(os.getpid(), signal.SIGRTMIN + 6)

def leaves_a_thread():
    threading.Thread(target=time.sleep, args=[600]).start()
    return "left"

def forks():
    return "child" if os.fork() == 0 else "parent"

def forks_what_leaves():
    child = os.fork()
    if child == 0:
        os._exit(3)
    os.waitpid(child, 0)
    ctypes.CDLL(None)._exit(9)

def closes_all():
    os.closerange(0, 256)

def returns_no_json():
    return object()

functions = {f.__name__: f for f in (%s)}
ended = run_all(functions, %s)
print(json.dumps({name: dataclasses.asdict(each) for name, each in ended.items()}))
"""


def run(*names: str, seconds: float = 30) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM % (", ".join(names) + ",", seconds)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def ended() -> dict[str, Any]:
    return run(
        "returns", "fails", "exits", "leaves", "leaves_in_c", "crashes", "is_killed", "writes",
        "leaves_a_process", "leaves_a_session", "leaves_a_daemon", "is_killed_beside_a_session",
        "ends_by_a_signal_without_a_name", "leaves_a_thread", "returns_no_json", "forks", "forks_what_leaves", "closes_all",
    )  # fmt: skip


def line_of(text: str) -> int:
    return PROGRAM.splitlines().index(f"    {text}") + 1


def test_what_is_returned_comes_back_in_the_order_of_the_functions(ended: dict[str, Any]):
    assert ended["returns"]["value"] == {"a": [1, None]}
    assert ended["returns"]["problem"] is None
    assert list(ended)[:2] == ["returns", "fails"]


@pytest.mark.parametrize(
    ("name", "problem", "line"),
    [
        ("fails", "fails: LookupError: no luck", 'raise LookupError("no luck")'),
        ("exits", "fails: SystemExit: over", 'sys.exit("over")'),
        ("leaves", "ends its process with exit code 7 (os._exit(7))", "os._exit(7)"),
        (
            "crashes",
            "ends its process by SIGSEGV (Fatal Python error: Segmentation fault)",
            "ctypes.string_at(0)",
        ),
    ],
)
def test_how_and_where_a_function_ended(ended: dict[str, Any], name: str, problem: str, line: str):
    assert ended[name]["problem"] == problem
    assert ["<string>", line_of(line)] in ended[name]["frames"]
    assert not ended[name]["hung"]


def test_an_end_that_nobody_could_see_coming_is_told_without_a_place(ended: dict[str, Any]):
    assert ended["leaves_in_c"]["problem"] == "ends its process with exit code 9"
    assert ended["is_killed"]["problem"] == "ends its process by SIGKILL"
    assert ended["is_killed"]["frames"] == []
    assert ended["ends_by_a_signal_without_a_name"]["problem"] == "ends its process by signal 40"
    assert "not JSON serializable" in ended["returns_no_json"]["problem"]


def test_what_is_written_to_stdout_is_kept_apart(ended: dict[str, Any]):
    assert ended["writes"]["written"] == "hello\nthere"
    assert ["<string>", line_of('print("hello")')] in ended["writes"]["written_at"]
    assert ended["returns"]["written"] == ""


def test_nothing_stays_behind(ended: dict[str, Any]):
    wait_until(lambda: is_gone(ended["leaves_a_process"]["value"]))
    assert is_gone(ended["leaves_a_session"]["value"])
    daemons = ended["leaves_a_daemon"]["value"]
    assert len(daemons["left"]) == 2
    assert set(daemons["left"]) <= set(daemons["seen"])
    assert all(map(is_gone, daemons["left"]))
    assert is_gone(int(ended["is_killed_beside_a_session"]["written"]))
    assert ended["leaves_a_thread"]["value"] == "left"


def test_what_returns_twice_or_cannot_answer_is_told_all_the_same(ended: dict[str, Any]):
    assert ended["forks"]["value"] == "parent"
    assert ended["forks_what_leaves"]["problem"] == "ends its process with exit code 9"
    assert ended["closes_all"]["problem"] == "ends its process with exit code 0"


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_what_does_not_end_is_ended_and_the_rest_goes_on():
    ended = run("hangs", "hangs_deaf", "returns", seconds=0.5)
    for name in ("hangs", "hangs_deaf"):
        assert (ended[name]["problem"], ended[name]["hung"]) == ("does not end within 0.5 s", True)
        assert any(place[0] == "<string>" for place in ended[name]["frames"])
    assert ended["returns"]["value"] == {"a": [1, None]}
