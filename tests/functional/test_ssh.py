"""Commands on another host, which is a real sshd on loopback, by real workers."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from harness import PATIENCE, Ended, Process, Site, gated, plan, task, wait_until
from sshd import Sshd, open_sshd

from solar_orch.executors.zerorpc import Client
from solar_orch.workers.session import members

#: What no test waits for: it is to be ended.
LONG = "sleep 1000"


@pytest.fixture
def sshd() -> Iterator[Sshd]:
    with open_sshd() as server:
        yield server


@pytest.fixture
def worker(site: Site, sshd: Sshd) -> Process:
    site.set(**sshd.options)
    return site.worker()


def on_host(uid: str, command: object, **parameters: object) -> dict[str, object]:
    return task(uid, "ssh", command, target="127.0.0.1", **parameters)


def env_of(site: Site) -> dict[str, object]:
    """Keyword arguments for commands that know the site, as those here do."""
    return {"env": {"SITE": str(site.root)}}


def masters(site: Site) -> list[psutil.Process]:
    """The processes of shared connections."""
    found = []
    for process in site.others():
        with contextlib.suppress(psutil.Error):
            if "ControlMaster=yes" in process.cmdline():
                found.append(process)
    return found


def kill(site: Site, uid: str, name: str) -> None:
    client = Client(site.conf.orchestration.tasks_address)
    client.kill({}, f"{uid}~{name}", reason="by bob")
    client.close(PATIENCE)


def test_a_command_runs_there_with_all_that_it_is_given(site: Site, sshd: Sshd, worker: Process) -> None:
    given = 'echo "$SOLAR_PLAN_UID $SOLAR_TASK_NAME $SOLAR_ATTEMPT $A"; pwd; cat; echo "to stderr" >&2'
    ended = site.run(
        plan(
            on_host("text", given, kwargs={"env": {"A": "it's $HOME"}, "cwd": "/usr", "stdin": "typed\n"}),
            on_host("list", ["echo", "$HOME", "it's", "a  b"]),
            on_host("large", "wc -c", kwargs={"stdin": "x" * 500_000}),
            on_host("json", """echo '{"a":'; echo '[1]}'""", kwargs={"parse": "json"}),
            on_host("fails", "echo 'disk is full' >&2; exit 7"),
            on_host("255", "exit 255"),
            task("nowhere", "ssh", "true", retry=2),
        )
    )
    assert ended["text"]["output"] is not None
    assert sorted(ended["text"]["output"].splitlines()) == sorted(
        [f"{ended.report['uid']} text 1 it's $HOME", "/usr", "typed", "to stderr"]
    )
    assert ended["list"]["output"] == "$HOME it's a  b\n"
    assert ended["large"]["output"] == "500000\n"
    assert ended.states["json"] == "SUCCESS"
    assert ended["fails"]["errmsg"] == "exit code 7: disk is full"
    assert ended["255"]["errmsg"] == "exit code 255"
    assert ended["nowhere"]["errmsg"] == (
        "ssh: the task has no target; that is the host on which the command is to run"
    )
    assert ended.attempts["nowhere"] == 1
    # All of it went through one connection, which goes when the worker stops.
    assert sshd.connections == 1
    assert len(masters(site)) == 1
    assert worker.stop() == 0
    wait_until(lambda: not masters(site) and not sshd.sessions(), "the end of the shared connection")


@pytest.mark.parametrize("persist", [60, 0])
def test_a_timelimit_ends_it_there_before_its_state_changes(site: Site, sshd: Sshd, persist: int) -> None:
    site.set(**sshd.options, ssh_persist=persist)
    site.worker()
    # One that ignores SIGTERM, and a child in a process group of its own.
    command = f"trap '' TERM; timeout 1000 {LONG} & {LONG}; {LONG}"
    uid = site.want(plan(on_host("long", command, timelimit=2)))
    wait_until(lambda: sshd.commands().count(LONG) == 2, "the command")
    wait_until(lambda: site.look(uid).states["long"] == "ERROR")
    assert sshd.commands() == []
    assert "timelimit of 2 s" in site.ended(uid)["long"]["errmsg"]
    assert len(masters(site)) == (1 if persist else 0)


def test_a_kill_ends_it_there_and_leaves_others_on_the_connection(
    site: Site, sshd: Sshd, worker: Process
) -> None:
    uid = site.want(plan(on_host("long", f"echo begun; {LONG}")))
    other = site.want(plan(on_host("gated", f"touch {site.root}/waits; {gated()}", kwargs=env_of(site))))
    wait_until(lambda: LONG in sshd.commands() and (site.root / "waits").exists(), "both commands")
    kill(site, uid, "long")
    wait_until(lambda: site.look(uid).states["long"] == "ERROR")
    assert LONG not in sshd.commands()
    assert (site.look(uid)["long"]["errmsg"], site.look(uid)["long"]["output"]) == ("by bob", "begun\n")
    site.open()
    assert site.ended(other).states == {"gated": "SUCCESS"}
    assert sshd.connections == len(masters(site)) == 1


def test_a_worker_that_is_killed_leaves_nothing_there(site: Site, sshd: Sshd, worker: Process) -> None:
    uid = site.want(plan(on_host("long", f"{LONG} & {LONG}", on_lost="error")))
    wait_until(lambda: sshd.commands().count(LONG) == 2, "the command")
    worker.kill()
    wait_until(lambda: sshd.commands() == [], lambda: f"the end of {sshd.commands()}")
    site.worker()
    assert site.ended(uid).states == {"long": "ERROR"}


def test_a_worker_that_stops_ends_it_and_hands_it_back(site: Site, sshd: Sshd, worker: Process) -> None:
    uid = site.want(plan(on_host("long", f"[ $SOLAR_ATTEMPT -gt 1 ] || {LONG}")))
    wait_until(lambda: LONG in sshd.commands(), "the command")
    worker.send(signal.SIGTERM)
    worker.send(signal.SIGTERM)
    worker.wait()
    assert sshd.commands() == []
    site.worker()
    assert site.ended(uid).attempts == {"long": 2}


def test_a_master_that_died_is_replaced_and_what_it_carried_is_tried_again(
    site: Site, sshd: Sshd, worker: Process
) -> None:
    uid = site.want(plan(on_host("long", f"[ $SOLAR_ATTEMPT -gt 1 ] || {LONG}", retry=1, retry_delay=0)))
    wait_until(lambda: LONG in sshd.commands(), "the command")
    [master] = masters(site)
    # It belongs to no task: it is in no session that ends with one.
    assert master.ppid() != worker.pid
    assert [each for each in members(worker.pid) if each.pid == master.pid] == []
    master.kill()
    ended = site.ended(uid)
    assert (ended.states["long"], ended.attempts["long"]) == ("SUCCESS", 2)
    assert sshd.commands() == []
    assert [each.pid for each in masters(site)] != [master.pid]


def test_a_connection_that_breaks_is_told_apart_from_a_failure(
    site: Site, sshd: Sshd, worker: Process
) -> None:
    uid = site.want(plan(on_host("long", LONG)))
    wait_until(lambda: LONG in sshd.commands(), "the command")
    sshd.cut()
    assert site.ended(uid)["long"]["errmsg"] == "127.0.0.1: the connection to it was lost"
    wait_until(lambda: sshd.commands() == [], "the end of the command")


@pytest.mark.parametrize("persist", [60, 0])
def test_hosts_that_cannot_be_used(site: Site, sshd: Sshd, persist: int) -> None:
    site.set(**sshd.options, ssh_persist=persist)
    site.worker()

    def refused(**kwargs: object) -> str:
        ended: Ended = site.run(plan(on_host("a", "true", kwargs=kwargs, retry=1, retry_delay=0)))
        assert (ended.states, ended.attempts) == ({"a": "ERROR"}, {"a": 2})
        return str(ended["a"]["errmsg"])

    other = sshd.another_key()
    assert refused(key=str(other)).startswith("127.0.0.1: it does not let the worker in: ")
    assert "Permission denied" in refused(key=str(other))
    nobody = refused(port=1)
    assert nobody.startswith(
        "127.0.0.1: it cannot be reached by ssh; it says: ssh: connect to host 127.0.0.1"
    )
    assert nobody.endswith("Connection refused")
    sshd.trust(Path(f"{other}.pub"))
    assert refused().startswith("127.0.0.1: its host key is not the one that is known")
    sshd.known_hosts.write_text("")
    assert refused().startswith("127.0.0.1: its host key is not known")
    # Nothing was written down on the way.
    assert sshd.known_hosts.read_text() == ""
