"""Commands as real processes: their output, their ends, and what is left of them."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import gevent
import psutil
import pytest

from solar_orch.errors import TaskError
from solar_orch.workers import process, session
from solar_orch.workers.output import BoundedOutput

LIMIT = 64 * 1024


class Thrown(BaseException):
    """Like Cancelled, no Exception."""


def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        gevent.sleep(0.005)


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def open_descriptors() -> set[str]:
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}")
    return {entry for entry in found if "/proc/" not in entry}


@pytest.fixture(autouse=True)
def no_descriptor_leaks() -> Iterator[None]:
    # The first start of a process makes what the loop keeps for good.
    process.run("true", output=BoundedOutput(LIMIT))
    # What other tests of this process have left is not to be collected just now.
    gc.collect()
    before = open_descriptors()
    yield
    assert open_descriptors() - before == set()


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Callable[[int], list[int]]]:
    """Waits until so many processes have written their pid to ``pids``; they are killed in the end."""
    file = tmp_path / "pids"
    file.touch()

    def read(count: int) -> list[int]:
        eventually(lambda: len(file.read_text().splitlines()) >= count)
        return [int(line) for line in file.read_text().splitlines()]

    yield read
    for line in file.read_text().splitlines():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line), signal.SIGKILL)


def text_of(command: str | list[str], **kwargs: object) -> str:
    output = BoundedOutput(LIMIT)
    assert process.run(command, output=output, **kwargs).code == 0  # type: ignore[arg-type]
    return output.text()


def start(command: str | list[str], cwd: Path) -> gevent.Greenlet:
    """A greenlet whose value is what ended the run: its result, or what was thrown."""

    def call() -> object:
        try:
            return process.run(command, output=BoundedOutput(LIMIT), cwd=str(cwd))
        except BaseException as error:
            return error

    return gevent.spawn(call)


# -- what it runs ------------------------------------------------------------


def test_a_text_is_run_by_the_shell_and_a_list_as_it_is() -> None:
    assert text_of("echo $((1 + 1)) | tr 2 3") == "3\n"
    assert text_of(["echo", "$((1 + 1)) | tr 2 3"]) == "$((1 + 1)) | tr 2 3\n"


def test_stdout_and_stderr_both_go_to_the_output_and_are_told_apart() -> None:
    output = BoundedOutput(LIMIT)
    ended = process.run("echo out; echo err >&2; exit 3", output=output)
    assert ended.code == 3
    assert sorted(output.text().splitlines()) == ["err", "out"]
    assert ended.stdout.lines() == "out\n"
    assert ended.stderr.lines() == "err\n"


def test_a_signal_is_a_negative_code() -> None:
    assert process.run("kill -9 $$", output=BoundedOutput(LIMIT)).code == -9


def test_the_environment_is_the_one_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INHERITED", "yes")
    assert text_of('echo "$INHERITED $GIVEN"') == "yes \n"
    assert text_of('echo "$INHERITED $GIVEN"', env={"GIVEN": "ü", "PATH": os.environ["PATH"]}) == " ü\n"


def test_cwd(tmp_path: Path) -> None:
    assert text_of("pwd", cwd=str(tmp_path)) == f"{tmp_path}\n"


@pytest.mark.parametrize(
    "text", ["", "one\ntwo", "ä" * 500_000], ids=["empty", "short", "more than a pipe holds"]
)
def test_stdin_is_fed_and_ends(text: str) -> None:
    output = BoundedOutput(2_000_000)
    assert process.run("cat", output=output, stdin=text).code == 0
    assert output.text() == text


def test_stdin_may_be_bytes() -> None:
    assert text_of("od -An -tx1", stdin=b"\x00\xff").split() == ["00", "ff"]


@pytest.mark.parametrize("command", ["true", "exec <&-; echo done", "head -c 3"])
def test_stdin_that_is_not_read_holds_nobody_up(command: str) -> None:
    assert process.run(command, output=BoundedOutput(LIMIT), stdin="x" * 5_000_000).code == 0


def test_stdin_not_read_to_its_end_by_a_long_command(
    tmp_path: Path, pids: Callable[[int], list[int]]
) -> None:
    greenlet = gevent.spawn(
        process.run,
        "echo $$ >> pids; while [ ! -e go ]; do sleep 0.02; done; echo done",
        output=BoundedOutput(LIMIT),
        cwd=str(tmp_path),
        stdin="x" * 5_000_000,
    )
    pids(1)
    (tmp_path / "go").touch()
    assert greenlet.get(timeout=20).stdout.lines() == "done\n"


def test_without_stdin_there_is_nothing_to_read() -> None:
    assert text_of("cat; readlink /proc/self/fd/0") == "/dev/null\n"


def test_binary_output_becomes_text() -> None:
    assert text_of(r"printf 'a\000b\377c'") == "a\ufffdb\ufffdc"


def test_it_leads_a_session_and_a_group_without_a_terminal() -> None:
    pid, group, sid = (int(field) for field in text_of("echo $$; ps -o pgid=,sid= -p $$").split())
    assert pid == group == sid != os.getsid(0)


def test_it_inherits_no_descriptor_and_default_signal_handlers() -> None:
    with open(os.devnull) as file:
        os.set_inheritable(file.fileno(), True)
        shown = text_of([sys.executable, "-c", "import os; print(len(os.listdir('/proc/self/fd')))"])
    # stdin, stdout, stderr, and the directory that is being listed
    assert shown == "4\n"
    [ignored] = [line for line in text_of("cat /proc/self/status").splitlines() if line.startswith("SigIgn")]
    assert not int(ignored.split()[1], 16) & (1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGINT - 1))


# -- what cannot be started ---------------------------------------------------


@pytest.fixture
def not_programs(tmp_path: Path) -> Path:
    (tmp_path / "plain").write_text("text")
    (tmp_path / "script").write_text("#!/no/such/interpreter\n")
    (tmp_path / "script").chmod(0o755)
    (tmp_path / "garbage").write_bytes(b"\x01\x02")
    (tmp_path / "garbage").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "cwd", "message"),
    [
        (["no-such-program", "x"], None, "cannot run no-such-program: No such file or directory"),
        (["{dir}/plain"], None, "cannot run {dir}/plain: Permission denied"),
        (["{dir}/garbage"], None, "cannot run {dir}/garbage: Exec format error"),
        (
            ["{dir}/script"],
            None,
            "cannot run {dir}/script: the interpreter named in its first line does not exist",
        ),
        (["true", "x" * 3_000_000], None, "cannot run true: Argument list too long"),
        ("true", "/no/such", "cannot run a command in /no/such: no such directory"),
        ("true", "{dir}/plain", "cannot run a command in {dir}/plain: not a directory"),
        ([], None, "the command is empty"),
    ],
)
def test_what_cannot_be_started_is_an_error_that_says_why(
    command: str | list[str], cwd: str | None, message: str, not_programs: Path
) -> None:
    def located(text: str) -> str:
        return text.replace("{dir}", str(not_programs))

    with pytest.raises(TaskError) as caught:
        process.run(
            command if isinstance(command, str) else [located(word) for word in command],
            output=BoundedOutput(LIMIT),
            cwd=located(cwd) if cwd else None,
            stdin="x",
        )
    assert str(caught.value) == located(message)


@pytest.mark.parametrize("env", [{"A\0": "b"}, {"A": "b\0"}, {"A=B": "c"}])
def test_an_environment_that_no_process_can_have(env: dict[str, str]) -> None:
    with pytest.raises(TaskError, match="cannot run /bin/sh: "):
        process.run("true", output=BoundedOutput(LIMIT), env=env)


def test_a_shell_says_itself_what_it_does_not_find() -> None:
    ended = process.run("no-such-program", output=BoundedOutput(LIMIT))
    assert ended.code == 127
    assert "not found" in ended.stderr.lines()


# -- much of it ------------------------------------------------------------


def test_much_output_takes_little_memory() -> None:
    output = BoundedOutput(LIMIT)
    before = psutil.Process().memory_info().rss
    ended = process.run("yes 0123456789abcde | head -c 100000000; echo end", output=output)
    assert psutil.Process().memory_info().rss - before < 20_000_000
    assert ended.code == 0
    assert output.total == 100_000_004
    assert len(output.text()) < LIMIT + 100
    assert ended.stdout.last_line() == "end"


def test_others_run_while_a_command_floods_its_output() -> None:
    greenlet = gevent.spawn(process.run, "yes | head -c 20000000", output=BoundedOutput(LIMIT))
    turns = 0
    while not greenlet.ready():
        gevent.sleep(0)
        turns += 1
    assert greenlet.get().stdout.total == 20_000_000
    assert turns > 100


def test_fifty_at_once(tmp_path: Path) -> None:
    # Each of them waits for all the others.
    command = "touch mark$N; while [ $(ls | wc -l) -lt 50 ]; do sleep 0.1; done; echo $N"
    greenlets = [
        gevent.spawn(text_of, command, cwd=str(tmp_path), env={**os.environ, "N": str(n)}) for n in range(50)
    ]
    gevent.joinall(greenlets, timeout=60)
    assert [greenlet.value for greenlet in greenlets] == [f"{n}\n" for n in range(50)]


# -- how it ends -------------------------------------------------------------


def test_what_stands_in_the_pipe_at_the_end_is_read_and_no_more_is_waited_for() -> None:
    ours, theirs = os.pipe()
    try:
        os.write(theirs, b"last words")
        output = BoundedOutput(LIMIT)
        # Its greenlet gets no turn, and the other end stays open.
        process._Reader(ours, output).finish()
        assert output.text() == "last words"
    finally:
        os.close(theirs)


def test_it_ends_with_its_shell_though_a_child_holds_the_output(
    tmp_path: Path, pids: Callable[[int], list[int]]
) -> None:
    output = BoundedOutput(LIMIT)
    process.run("sleep 1000 & echo $! >> pids; echo started", output=output, cwd=str(tmp_path))
    assert output.text() == "started\n"
    [child] = pids(1)
    assert alive(child)


def test_it_ends_with_its_shell_though_a_child_writes_for_ever(
    tmp_path: Path, pids: Callable[[int], list[int]]
) -> None:
    output = BoundedOutput(LIMIT)
    process.run("yes & echo $! >> pids", output=output, cwd=str(tmp_path))
    [child] = pids(1)
    eventually(lambda: not alive(child))  # of a closed pipe


def test_all_that_was_written_before_the_end_is_there() -> None:
    for _ in range(30):
        output = BoundedOutput(LIMIT)
        process.run("(seq 3000; seq 3000 >&2) & wait", output=output)
        assert output.total == 2 * sum(len(f"{n}\n") for n in range(1, 3001))


IN_ANOTHER_GROUP = """
import os, time
if os.fork() == 0:
    os.setpgid(0, 0)
with open("pids", "a") as pids:
    pids.write(f"{os.getpid()}\\n")
time.sleep(1000)
"""


@pytest.mark.parametrize(
    ("command", "count"),
    [
        ("echo $$ >> pids; sleep 1000", 1),
        ("echo $$ >> pids; sleep 1000 & echo $! >> pids; wait", 2),
        ("sh -c 'echo $$ >> pids; sleep 1000 & echo $! >> pids; wait' & echo $$ >> pids; wait", 3),
        # The shell has gone already when it is killed, a grandchild has not.
        ("trap '' CHLD; (echo $$ >> pids; sh -c 'echo $$ >> pids; exec sleep 1000') | cat; true", 2),
        # In process groups of their own, of the same session.
        ("echo $$ >> pids; timeout 900 sh -c 'echo $$ >> pids; sleep 1000'", 2),
        (f"exec {sys.executable} -c '{IN_ANOTHER_GROUP}'", 2),
        ("echo $$ >> pids; kill -STOP $$", 1),
    ],
    ids=["shell", "child", "grandchild", "pipeline", "timeout", "group", "stopped"],
)  # fmt: skip
def test_what_is_thrown_ends_all_of_it_first(
    command: str, count: int, tmp_path: Path, pids: Callable[[int], list[int]]
) -> None:
    lived_on: list[int] = []
    greenlet = start(command, tmp_path)
    started = pids(count)
    greenlet.link(lambda _: lived_on.extend(pid for pid in started if alive(pid)))
    thrown = Thrown()
    greenlet.kill(thrown, block=False)
    greenlet.join(timeout=30)
    assert greenlet.value is thrown
    assert lived_on == []
    assert not any(alive(pid) for pid in started)


STUBBORN = "trap '' TERM; echo $$ >> pids; sh -c 'echo $$ >> pids; while :; do sleep 0.05; done' & wait; wait"


def test_who_ignores_sigterm_is_killed(
    tmp_path: Path, pids: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session.end, "__kwdefaults__", {"grace": 0.2, "patience": 10.0})
    greenlet = start(STUBBORN, tmp_path)
    started = pids(2)
    thrown = Thrown()
    greenlet.kill(thrown, block=False)
    greenlet.join(timeout=30)
    assert greenlet.value is thrown
    assert not any(alive(pid) for pid in started)


def test_a_handler_of_sigterm_may_clean_up_and_what_it_writes_is_kept(
    tmp_path: Path, pids: Callable[[int], list[int]]
) -> None:
    output = BoundedOutput(LIMIT)

    def call() -> None:
        with contextlib.suppress(Thrown):
            process.run(
                "trap 'seq 50000; echo cleaned; exit' TERM; echo $$ >> pids; while :; do sleep 0.01; done",
                output=output,
                cwd=str(tmp_path),
            )

    greenlet = gevent.spawn(call)
    pids(1)
    greenlet.kill(Thrown(), block=False)
    greenlet.join(timeout=30)
    assert output.text().endswith("50000\ncleaned\n")


def test_the_end_of_stdin_in_the_place_of_sigterm(tmp_path: Path) -> None:
    ended: list[process.Ended] = []
    # No shell: that would take SIGTERM again.
    program = "import sys; open('begun', 'w'); print(sys.stdin.read() + 'over'); sys.exit(3)"

    def call() -> None:
        with contextlib.suppress(KeyError):
            process.run(
                [sys.executable, "-c", program],
                output=BoundedOutput(LIMIT),
                cwd=str(tmp_path),
                stdin="given ",
                stdin_grace=60.0,
                when_ended=ended.append,
            )

    greenlet = gevent.spawn(call)
    eventually((tmp_path / "begun").exists)
    greenlet.kill(KeyError)
    assert [(each.code, each.stdout.lines()) for each in ended] == [(3, "given over\n")]


def test_a_second_throw_neither_shortens_the_end_nor_takes_its_place(
    tmp_path: Path, pids: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session.end, "__kwdefaults__", {"grace": 0.2, "patience": 10.0})
    greenlet = start(STUBBORN, tmp_path)
    started = pids(2)
    first = Thrown("first")
    greenlet.kill(first, block=False)
    gevent.sleep(0)
    for _ in range(3):
        greenlet.kill(Thrown("later"), block=False)
        gevent.sleep(0)
        assert not greenlet.ready()
    greenlet.join(timeout=30)
    assert greenlet.value is first
    assert not any(alive(pid) for pid in started)


def test_thrown_before_it_began(tmp_path: Path) -> None:
    greenlet = start("touch begun", tmp_path)
    greenlet.kill(Thrown(), block=False)
    gevent.sleep(0)
    greenlet.join(timeout=20)
    assert not (tmp_path / "begun").exists()


def test_who_has_a_session_of_its_own_has_left(tmp_path: Path, pids: Callable[[int], list[int]]) -> None:
    greenlet = start("setsid sh -c 'echo $$ >> pids; exec sleep 1000' & wait", tmp_path)
    [daemon] = pids(1)
    greenlet.kill(Thrown(), block=False)
    greenlet.join(timeout=30)
    assert alive(daemon)


def test_its_own_session_is_never_ended() -> None:
    for own in (0, 1, os.getsid(0)):
        with pytest.raises(ValueError, match="must not be ended"):
            session.end(own)


def test_sessions_are_ended_side_by_side(tmp_path: Path, pids: Callable[[int], list[int]]) -> None:
    greenlets = [start(STUBBORN, tmp_path) for _ in range(3)]
    started = pids(6)
    sessions = {os.getsid(pid) for pid in started}
    told: list[int] = []
    ending = session.Ending(told.append)
    for leader in sessions:
        ending.begin(leader, grace=1.0)
    began = time.monotonic()
    over: dict[int, bool] = {}
    while ending:
        gevent.sleep(ending.pause)
        over |= ending.step()
    assert 1.0 <= time.monotonic() - began < 3.0
    assert over == dict.fromkeys(sessions, True)
    assert sorted(told) == sorted(sessions)
    assert not any(alive(pid) for pid in started)
    assert [greenlet.get(timeout=20).code for greenlet in greenlets] == [-9] * 3


def test_nothing_is_given_up_that_was_not_killed(
    tmp_path: Path, pids: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    greenlet = start(STUBBORN, tmp_path)
    started = pids(2)
    now = time.monotonic()
    monkeypatch.setattr(session, "time", SimpleNamespace(monotonic=lambda: now))
    ending = session.Ending()
    ending.begin(started[0])
    assert ending.step() == {}
    # As if this process had been stopped for a while.
    now += session.GRACE + session.PATIENCE + 1
    assert ending.step() == {}
    # It begins processes all the time, and the last of them goes a little later.
    eventually(lambda: ending.step() == {started[0]: True})
    assert not any(alive(pid) for pid in started)
    assert len(ending) == 0
    greenlet.join()


def test_what_does_not_end_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    its_own = session.Member(2**22, 2**22)
    monkeypatch.setattr(session, "members_of", lambda sessions: {one: [its_own] for one in sessions})
    assert not session.end(2**22, sleep=gevent.sleep, grace=0.05, patience=0.05)
    assert f"processes {2**22} do not end on SIGKILL: given up" in caplog.text


def test_no_zombies_are_left() -> None:
    for _ in range(5):
        process.run("true", output=BoundedOutput(LIMIT))
    assert [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE] == []


def test_it_works_where_gevent_has_patched_the_standard_library() -> None:
    program = (
        "from gevent import monkey; monkey.patch_all()\n"
        "from solar_orch.workers import process\n"
        "from solar_orch.workers.output import BoundedOutput\n"
        "from solar_orch.errors import TaskError\n"
        "output = BoundedOutput(1024)\n"
        # A patched os.close would wait for the loop, and the loop perhaps for this.
        "import os; read, write = os.pipe(); os.set_blocking(read, False)\n"
        "process.gevent.get_hub(); process._close(write); assert os.read(read, 1) == b''\n"
        "assert process.run('cat; exit 3', output=output, stdin='x').code == 3\n"
        "try: process.run(['no-such-program'], output=output)\n"
        "except TaskError as error: print(output.text(), error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("x cannot run no-such-program: No such file or directory\n", "")


def test_importing_it_patches_nothing() -> None:
    program = (
        "import solar_orch.workers.process\nfrom gevent import monkey\n"
        "print([m for m in ('socket', 'os', 'subprocess', 'time') if monkey.is_module_patched(m)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
