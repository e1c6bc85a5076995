"""The verbs that look, against real workers."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from click.shell_completion import add_completion_class
from click.testing import CliRunner, Result
from harness import PATIENCE, Site, gated, marked, plan, script, task, wait_until

from solar_orch.cli import orch as group
from solar_orch.cli.completion import ColonBash

_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07)")

UNKNOWN = "solar-orch: error: plan {uid} has no task wat; did you mean wait?\n"


def orch(site: Site, *args: str, **env: str) -> Result:
    """Run a command to its end, in this process: most of a command's time goes to starting Python."""
    return CliRunner().invoke(group, args, env={**site.env, **env}, prog_name="solar-orch")


def answer(site: Site, *args: str) -> Any:
    """What a command prints in JSON."""
    done = orch(site, *args, "--format", "json")
    assert (done.exit_code, done.stderr) == (0, "")
    return json.loads(done.stdout)


def text(site: Site, *args: str) -> str:
    """What a command prints for people, and nothing else."""
    done = orch(site, *args)
    assert (done.exit_code, done.stderr) == (0, ""), done.stderr
    return done.stdout


def refused(site: Site, *args: str, code: int = 2) -> str:
    """What a command says that cannot do what it is asked for."""
    done = orch(site, *args)
    assert (done.exit_code, done.stdout) == (code, ""), done
    assert "Traceback" not in done.stderr
    return done.stderr


def waiting(site: Site, **more: Any) -> str:
    """A plan of which one task fails and one waits for ``site.open()``, that workers run; its uid."""
    uid = site.want(
        plan(
            task("bad", "error", "no luck\nand more"),
            task("wait", "cmd", marked(gated()), **more),
            task("after", after=["wait"]),
            task("never", after=["bad"]),
        )
    )
    site.wait_for_mark("wait")
    wait_until(lambda: site.look(uid).states["bad"] == "ERROR")
    return uid


# -- report --watch --------------------------------------------------------------------


def test_watch_in_a_pipe_is_a_line_for_each_end_without_control_characters(site: Site) -> None:
    site.worker()
    uid = waiting(site)
    watching = site.start("solar-orch", "report", uid, "--watch")
    watching.wait_for("-- running: 1 of 4 tasks settled: 1 ERROR, 1 INPROGRESS, 2 PENDING\n")
    site.open()
    assert watching.wait() == 1
    lines = watching.log.splitlines()
    time = r"\d+\.\d\d s"
    assert re.fullmatch(rf"ERROR    bad  {time}  no luck", lines[0])
    assert re.fullmatch(rf"SUCCESS  wait  {time}\nSUCCESS  after  {time}", "\n".join(lines[2:4]))
    assert lines[4:] == [f"plan {uid}: failed", "3 of 4 tasks settled: 2 SUCCESS, 1 ERROR, 1 PENDING"]
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("colours", [True, False])
def test_watch_in_a_terminal_of_80_columns(site: Site, colours: bool) -> None:
    if not colours:
        site.env["NO_COLOR"] = "1"
    site.worker()
    long = "x" * 90
    uid = site.want(
        plan(
            task("bad", "error", f"first line {long}\nsecond line"),
            *(task(f"{number}-{long}", "cmd", marked(gated())) for number in range(8)),
        )
    )
    wait_until(lambda: sum(mark.begins for mark in site.marks) == 8)
    code, written = in_terminal(site, "report", uid, "--watch", when="more", then=site.open)
    assert code == 1
    shown = _ESCAPES.sub("", written).replace("\r", "\n")
    assert "━" in shown
    assert "1/9" in shown
    assert re.search(r"and \d+ more", shown)
    assert "failed  bad  first line xxx" in shown
    assert "second line" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    # Never more than the terminal has: what has scrolled away could not be drawn anew.
    assert max(frame.count("\x1b[1A") for frame in written.split("━")) < 10
    assert [line for line in shown.splitlines() if line][-2:] == [
        f"plan {uid}: failed",
        "9 of 9 tasks settled: 8 SUCCESS, 1 ERROR",
    ]
    assert bool(re.search(r"\x1b\[(\d+;)?3\dm", written)) is colours
    # The cursor is there again.
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")


def in_terminal(site: Site, *args: str, when: str, then: Callable[[], object]) -> tuple[int, str]:
    """Run ``solar-orch`` in a terminal and do something when it has shown a text; its exit code, and all of it."""
    pid, master = pty.fork()
    if pid == 0:
        command = ["sh", "-c", 'stty cols 80 rows 10; exec "$@"', "sh", script("solar-orch"), *args]
        os.execvpe("sh", command, {**site.env, "TERM": "xterm-256color"})
    written = b""
    with contextlib.suppress(OSError):  # EIO: nobody has it open any more
        while piece := os.read(master, 65536):
            seen = when.encode() in written
            written += piece
            if not seen and when.encode() in written:
                then()
    os.close(master)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), written.decode()


def test_watch_ends_with_the_wait_or_where_there_is_nothing_to_wait_for(site: Site) -> None:
    uid = site.create(plan(task("a")))
    done = orch(site, "report", uid, "--watch", "-w", "0.3")
    assert done.exit_code == 3
    assert done.stderr.splitlines() == [
        f"{uid} has not been told to run yet: solar-orch run-once {uid}",
        "the plan is not over after 0.3 s",
    ]
    assert f"plan {uid}: pending" in done.stdout
    site.create(plan(task("a", status="SUCCESS")))
    assert text(site, "report", "last", "--watch").splitlines()[-1] == "1 of 1 tasks settled: 1 SUCCESS"


def test_watch_refuses_what_it_cannot_show(site: Site) -> None:
    assert "there is no plan yet" in refused(site, "report", "last", "--watch")
    uid = site.create(plan(task("a")))
    assert "no other format" in refused(site, "report", uid, "--watch", "--format", "json")


# -- list --status -----------------------------------------------------------------------


def test_list_takes_statuses(site: Site) -> None:
    pending = site.create(plan(task("a")))
    stopped = site.want(plan(task("a")))
    site.store.plans.stop(stopped)
    running = site.want(plan(task("a")))

    def listed(*statuses: str) -> list[str]:
        options = [word for status in statuses for word in ("--status", status)]
        return [found["uid"] for found in answer(site, "list", *options)]

    assert listed() == [running, stopped, pending]
    assert listed("pending", "stopped") == [stopped, pending]
    assert listed("failed") == []
    assert running in text(site, "list", "--status", "running")
    done = orch(site, "list", "--status", "failed", "--status", "finished")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "there is no plan that is failed or finished\n"
    assert "'wrong' is not one of" in refused(site, "list", "--status", "wrong")


# -- output ------------------------------------------------------------------------------


def test_output_of_a_task_while_it_runs_and_afterwards(site: Site) -> None:
    site.env["TOKEN"] = "s3cret"
    # At an address that the configuration does not name.
    site.worker(**site.elsewhere)
    command = f"echo one; echo ${{env.TOKEN}}; printf s3c; {marked(gated())}; printf 'ret\\nü'"
    uid = site.want(plan(task("say", "cmd", command), task("quiet", "sleep", 0, after=["say"])))
    site.wait_for_mark("say")
    following = site.start("solar-orch", "output", uid, "say", "--follow")
    following.wait_for("one\n***\n")
    # What may become a secret is not shown before it is known.
    assert text(site, "output", uid, "say") == "one\n***\n"
    assert site.look(uid)["say"]["status"] == "INPROGRESS"
    assert following.code is None
    site.open()
    assert following.wait() == 0
    assert following.log == "one\n***\n***\nü"
    site.ended(uid)
    assert text(site, "output", uid, "say") == following.log
    assert text(site, "output", uid, "say", "--follow") == following.log
    assert text(site, "output", uid, "quiet") == ""


def test_output_that_is_followed_is_waited_for_and_told_of_where_it_was_cut(site: Site) -> None:
    uid = site.create(plan(task("first", "cmd", gated()), task("many", "cmd", "seq 2000", after=["first"])))
    following = site.start("solar-orch", "output", uid, "many", "--follow")
    site.worker(output_limit=1024)
    site.want(uid)
    wait_until(lambda: site.look(uid).states["first"] == "INPROGRESS")
    assert following.code is None
    site.open()
    assert following.wait() == 0
    assert re.search(r"\n\.\.\. \d+ bytes omitted \.\.\.\n", following.log)
    assert following.log.startswith("1\n2\n")
    assert following.log.endswith("1999\n2000\n")


def test_output_of_what_does_not_run(site: Site) -> None:
    uid = site.want(plan(task("wait"), task("bad", "error"), task("never", after=["bad"])))
    assert refused(site, "output", uid, "wat") == UNKNOWN.format(uid=uid)
    assert refused(site, "output", uid, "wat", "--follow") == UNKNOWN.format(uid=uid)
    assert "no plan with the uid nope" in refused(site, "output", "nope", "wait")
    assert refused(site, "output", uid, "wait", code=0) == "wait has not run yet\n"
    site.worker()
    site.ended(uid)
    said = refused(site, "output", uid, "never", "--follow", code=0)
    assert said == "the plan is over, and never has not run to an end\n"


def test_output_of_a_worker_that_cannot_be_asked_is_shown_when_it_has_ended(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    site.worker(tasks_address=address)
    uid = site.want(plan(task("say", "cmd", f"echo one; {marked(gated())}")))
    site.wait_for_mark("say")
    assert "can be seen when it has ended" in refused(site, "output", uid, "say", code=0)
    following = site.start("solar-orch", "output", uid, "say", "--follow")
    following.wait_for("can be seen when it has ended\n")
    site.open()
    assert following.wait() == 0
    assert following.log.splitlines()[1:] == ["one"]


# -- workers -----------------------------------------------------------------------------


def test_workers_tells_who_is_up_what_they_do_and_who_leads(site: Site) -> None:
    site.set(lease=1.0)
    assert refused(site, "workers", code=0) == "no worker is up; start one with: solar-worker\n"
    assert answer(site, "workers") == {"workers": [], "leases": []}
    process = site.worker()
    uid = waiting(site)
    found = answer(site, "workers")
    assert [worker["name"] for worker in found["workers"]] == ["scheduler", "system_log", "tasks"]
    keys = ["name", "state", "host", "pid", "address", "since", "age", "load", "instance"]
    assert all(list(worker) == keys for worker in found["workers"])
    assert all(
        (worker["state"], worker["host"], worker["pid"]) == ("up", socket.gethostname(), process.pid)
        for worker in found["workers"]
    )
    assert [worker["load"] for worker in found["workers"]] == [0, 0, 1]
    [lease] = found["leases"]
    assert list(lease) == ["plan_uid", "instance", "since"]
    assert (lease["plan_uid"], lease["instance"]) == (uid, found["workers"][0]["instance"])
    assert found["workers"][0]["since"] <= lease["since"]
    shown = text(site, "workers")
    assert re.search(rf"^tasks +up +\S+ +{process.pid} .* ago +1 +ipc:", shown, re.MULTILINE)
    assert re.search(rf"^{uid} +\S+:{process.pid} +\d{{4}}-", shown, re.MULTILINE)


def test_a_worker_that_does_not_beat_is_silent_after_a_lease(site: Site) -> None:
    site.set(lease=1.0)
    worker = site.worker()
    wait_until(lambda: len(site.store.workers.all()) == 3, "a beat of each worker")
    worker.send(signal.SIGSTOP)
    wait_until(
        lambda: {worker["state"] for worker in answer(site, "workers")["workers"]} == {"silent"},
        "the workers to be silent",
    )
    assert all(worker["age"] >= 1.0 for worker in answer(site, "workers")["workers"])
    assert re.search(r"^tasks +silent ", text(site, "workers"), re.MULTILINE)


# -- events ------------------------------------------------------------------------------


def test_events_tells_of_every_transition(site: Site) -> None:
    assert "there is no plan yet" in refused(site, "events", "last")
    uid = site.create(plan(task("wait"), task("bad", "error", "no luck", retry=1, retry_delay=0)))
    assert refused(site, "events", uid, code=0) == "nothing has happened yet\n"
    assert answer(site, "events", uid) == []
    process = site.worker()
    site.run(uid)
    found = answer(site, "events", uid)
    assert all(list(event) == ["at", "task", "attempt", "old", "new", "by", "message"] for event in found)
    assert sorted(event["at"] for event in found) == [event["at"] for event in found]
    bad = answer(site, "events", uid, "--task", "bad")
    assert bad == [event for event in found if event["task"] == "bad"]
    assert len(found) == len(bad) + 2
    assert [(event["attempt"], event["old"], event["new"], event["message"]) for event in bad] == [
        (1, "PENDING", "INPROGRESS", None),
        (1, "INPROGRESS", "ERROR_RETRY", "no luck"),
        (2, "ERROR_RETRY", "INPROGRESS", None),
        (2, "INPROGRESS", "ERROR", "no luck"),
    ]
    lines = text(site, "events", uid, "--task", "bad").splitlines()
    assert lines[0].split() == ["When", "Task", "#", "From", "To", "By"]
    when = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}"
    assert re.fullmatch(rf"{when}  bad +2  INPROGRESS +ERROR +\S+:{process.pid}: no luck", lines[-1])
    assert refused(site, "events", uid, "--task", "wat") == UNKNOWN.format(uid=uid)


# -- log ---------------------------------------------------------------------------------

ITEM = ["id", "resource", "action", "diff", "tags", "state", "errmsg", "plan_uid", "created_at", "changed_at"]


def test_log_stages_changes_which_tasks_make(site: Site) -> None:
    assert refused(site, "log", "staged", code=0) == "no change is staged\n"
    assert refused(site, "log", "history", code=0) == "no staged change was made yet\n"
    assert answer(site, "log", "staged") == answer(site, "log", "history") == []
    diff = {"port": [80, 8080], "name": "ü"}
    options = ["--diff", json.dumps(diff), "--tag", "night", "--tag", "web"]
    assert text(site, "log", "stage", "web.1", "restart", *options) == "1\n"
    assert text(site, "log", "stage", "web.2", "restart") == "2\n"
    assert text(site, "log", "stage", "db", "move") == "3\n"
    first, second, third = answer(site, "log", "staged")
    assert list(first) == ITEM
    assert (first["diff"], first["tags"], second["diff"], second["tags"]) == (
        diff,
        ["night", "web"],
        None,
        [],
    )
    shown = text(site, "log", "staged")
    assert re.search(r"^ 1 .* web\.1 +restart +staged +night web +.*8080", shown, re.MULTILINE)

    site.worker()
    uid = site.run(plan(task("web.1.restart"), task("web.2.restart", "error", "no\nluck"))).report["uid"]
    wait_until(lambda: answer(site, "log", "history"), "the change in the history")
    [made] = answer(site, "log", "history")
    assert (made["id"], made["state"], made["plan_uid"]) == (1, "success", uid)
    wait_until(lambda: answer(site, "log", "staged")[0]["state"] == "error", "the error of the change")
    assert answer(site, "log", "staged")[0]["errmsg"] == "no\nluck"
    assert answer(site, "log", "staged")[1] == third
    assert "error: no" in text(site, "log", "staged")


def test_log_discards_what_is_staged_all_of_it_or_nothing(site: Site) -> None:
    for number in range(4):
        text(site, "log", "stage", f"web{number}", "restart")
    assert "no change is staged with the id 9" in refused(site, "log", "discard", "2", "9")
    assert "either the ids" in refused(site, "log", "discard")
    assert "either the ids" in refused(site, "log", "discard", "--all", "1")
    assert "'x' is not a valid integer" in refused(site, "log", "discard", "x")
    assert len(answer(site, "log", "staged")) == 4
    assert text(site, "log", "discard", "3", "1") == "1\n3\n"
    assert text(site, "log", "discard", "--all") == "2\n4\n"
    assert answer(site, "log", "staged") == []
    assert text(site, "log", "discard", "--all") == ""


@pytest.mark.parametrize("command", ["staged", "history", "stage", "discard"])
def test_each_command_of_log_has_an_example(site: Site, command: str) -> None:
    assert f"Example:\n    solar-orch log {command}" in text(site, "log", command, "--help")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["web", "a.b"], "must not hold a dot"),
        (["", "restart"], "no name of a resource"),
        (["web", "re\nstart"], "no name of a action"),
        ([os.fsdecode(b"\xff"), "restart"], "no name of a resource"),
        (["web", "restart", "--tag", "\x1b"], "no name of a tag"),
        (["web", "restart", "--diff", "{"], "this is no JSON"),
        (["web", "restart", "--diff", "NaN"], "NaN is no number of JSON"),
        (["web", "restart", "--diff", "[" * 100_000], "this is no JSON"),
    ],
)
def test_log_stages_nothing_that_makes_no_sense(site: Site, args: list[str], said: str) -> None:
    assert said in refused(site, "log", "stage", *args)
    assert answer(site, "log", "staged") == []


# -- completion ----------------------------------------------------------------------------


def completions(site: Site, *words: str) -> list[str]:
    """What bash is told, by click's protocol, about the last word."""
    add_completion_class(ColonBash)
    done = orch(
        site,
        _SOLAR_ORCH_COMPLETE="bash_complete",
        COMP_WORDS=" ".join(["solar-orch", *words]),
        COMP_CWORD=str(len(words)),
    )
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout.split()


def test_completion_knows_uids_tasks_statuses_and_files(site: Site) -> None:
    first = site.create(plan(task("web1.install"), task("web2.install"), task("db"), name="first"))
    second = site.create(plan(task("other"), name="second"))
    assert completions(site, "report", "") == ["plain,last", f"plain,{second}", f"plain,{first}"]
    assert completions(site, "report", "fi") == [f"plain,{first}"]
    assert completions(site, "output", "last", "") == ["plain,other"]
    assert completions(site, "output", first, "web") == ["plain,web1.install", "plain,web2.install"]
    assert completions(site, "events", first, "--task", "d") == ["plain,db"]
    assert completions(site, "list", "--status", "f") == ["plain,finished", "plain,failed"]
    assert completions(site, "create", "x") == ["file,x"]
    assert completions(site, "run", "sec") == ["file,sec", f"plain,{second}"]
    assert completions(site, "log", "st") == ["plain,stage", "plain,staged"]
    # As bash gives a uid: in pieces, the last of which is to be completed.
    name, _, rest = first.partition(":")
    assert completions(site, "report", name, ":") == [f"plain,{rest}"]
    assert completions(site, "report", name, ":", rest[:2]) == [f"plain,{rest}"]
    assert completions(site, "output", name, ":", rest, "d") == ["plain,db"]


def test_completion_is_silent_where_nothing_can_be_found_out(site: Site) -> None:
    assert completions(site, "report", "") == []
    assert completions(site, "output", "last", "") == []
    assert not site.state.exists()
    uid = site.create(plan(task("a")))
    assert completions(site, "output", "nope", "") == []
    assert completions(site, "--config-file", "nope.conf", "report", "pl") == []
    assert completions(site, "report", "pl") == [f"plain,{uid}"]
    site.store.close()
    site.database.write_text("something else that is no database")
    assert completions(site, "report", "pl") == []


def test_completion_is_switched_on_as_the_pages_say(site: Site) -> None:
    uid = site.create(plan(task("a")))
    name, _, rest = uid.partition(":")
    program = f"""
eval "$(_SOLAR_ORCH_COMPLETE=bash_source solar-orch)"
COMP_WORDS=(solar-orch report {name} : {rest[:3]}) COMP_CWORD=4
_solar_orch_completion solar-orch
echo "$COMPREPLY"
"""
    site.env["PATH"] = f"{os.path.dirname(script('solar-orch'))}:{site.env['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", program],
        env=site.env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert (done.stdout, done.stderr) == (f"{rest}\n", "")


def test_a_worker_that_was_killed_on_this_host_is_known_to_be_gone_at_once(site: Site) -> None:
    site.set(lease=60)
    worker = site.worker()
    wait_until(lambda: len(site.store.workers.all()) == 3)
    uid = site.create(plan(task("a")))
    worker.kill()
    done = site.orch("run-once", uid)
    assert (done.returncode, done.stderr) == (
        4,
        f"no scheduler worker and no tasks worker is up: {uid} starts when one is (solar-worker)\n",
    )
    known = json.loads(site.orch("workers", "--format", "json").stdout)["workers"]
    assert {each["state"] for each in known} == {"silent"}


@pytest.mark.parametrize(
    ("command", "said"), [("> /dev/full", "stdout: No space left on device"), (">&-", "stdout is closed")]
)
def test_an_answer_that_cannot_be_written_is_an_error_in_one_line(
    site: Site, command: str, said: str
) -> None:
    site.create(plan(task("a")))
    for line in ("list", "list --format json", "report last"):
        done = subprocess.run(
            ["/bin/sh", "-c", f"{script('solar-orch')} {line} {command}"],
            env=site.env, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (1, f"solar-orch: error: {said}\n")
