"""Commands on another host, which is a real sshd on loopback, by real workers."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from harness import PATIENCE, Ended, Process, Site, gated, open_site, plan, task, wait_until
from sshd import Sshd, open_sshd

from solar_orch.executors.zerorpc import Client
from solar_orch.workers.connections import SESSIONS

#: What no test waits for: it is to be ended.
LONG = "sleep 1000"


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with open_sshd() as opened:
        yield opened


@pytest.fixture
def sshd(server: Sshd) -> Sshd:
    server.begin()
    return server


@pytest.fixture(scope="module")
def shared_site(server: Sshd) -> Iterator[Site]:
    with open_site() as opened:
        opened.set(**server.options, target_limit=20)
        opened.worker()
        yield opened


@pytest.fixture
def up(shared_site: Site, sshd: Sshd) -> Site:
    """Workers that several tests use, and that none of them stops."""
    return shared_site


@pytest.fixture
def worker(site: Site, sshd: Sshd) -> Process:
    site.set(**sshd.options)
    return site.worker()


def on_host(uid: str, command: object, **parameters: object) -> dict[str, object]:
    return task(uid, "ssh", command, target="127.0.0.1", **parameters)


def in_root(sshd: Sshd) -> dict[str, object]:
    """Keyword arguments for a command that runs in the server's directory, and waits for a gate there."""
    return {"env": {"SITE": str(sshd.root)}, "cwd": str(sshd.root)}


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
    assert masters(site) == []


def test_a_timelimit_ends_it_there_before_its_state_changes(site: Site, sshd: Sshd) -> None:
    site.set(**sshd.options, ssh_persist=0)
    site.worker()
    # One that ignores SIGTERM, and a child in a process group of its own.
    command = f"trap '' TERM; timeout 1000 {LONG} & {LONG}; {LONG}"
    uid = site.want(plan(on_host("long", command, timelimit=2)))
    wait_until(lambda: sshd.commands().count(LONG) == 2, "the command")
    wait_until(lambda: site.look(uid).states["long"] == "ERROR")
    assert sshd.commands() == []
    assert site.ended(uid)["long"]["errmsg"] == "ExecutionTimeout: timelimit of 2 s exceeded"
    assert masters(site) == []


def test_a_kill_ends_it_there_and_leaves_others_on_the_connection(up: Site, sshd: Sshd) -> None:
    uid = up.want(plan(on_host("long", f"echo begun; {LONG}")))
    other = up.want(plan(on_host("gated", f"touch waits; {gated()}", kwargs=in_root(sshd))))
    wait_until(lambda: LONG in sshd.commands() and (sshd.root / "waits").exists(), "both commands")
    kill(up, uid, "long")
    wait_until(lambda: up.look(uid).states["long"] == "ERROR")
    assert LONG not in sshd.commands()
    assert (up.look(uid)["long"]["errmsg"], up.look(uid)["long"]["output"]) == ("by bob", "begun\n")
    (sshd.root / "gate").touch()
    assert up.ended(other).states == {"gated": "SUCCESS"}
    assert sshd.connections == len(masters(up)) == 1


def test_an_end_of_which_the_host_does_not_tell_is_in_doubt(up: Site, sshd: Sshd) -> None:
    uid = up.want(plan(on_host("long", LONG)))
    wait_until(lambda: LONG in sshd.commands(), "the command")
    with sshd.frozen():
        kill(up, uid, "long")
        wait_until(lambda: up.look(uid).states["long"] == "ERROR")
        assert LONG in sshd.commands()
        assert up.look(uid)["long"]["errmsg"] == (
            "by bob; 127.0.0.1 cannot be asked whether its command has ended there"
        )
    wait_until(lambda: sshd.commands() == [], lambda: f"the end of {sshd.commands()}")


def test_no_more_commands_share_a_connection_than_sshd_takes(up: Site, sshd: Sshd) -> None:
    waits = f"echo >> waits; {gated()}; echo through"
    uid = up.want(plan(*(on_host(f"t{n}", waits, kwargs=in_root(sshd)) for n in range(SESSIONS + 2))))
    wait_until(lambda: _lines(sshd.root / "waits") == SESSIONS + 2, "all commands at once")
    (sshd.root / "gate").touch()
    assert {task["output"] for task in up.ended(uid).tasks.values()} == {"through\n"}
    assert len(masters(up)) == 2


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_secret_stands_on_no_command_line_and_in_no_output(site: Site, sshd: Sshd) -> None:
    secret = "open sesame"
    site.env["TOKEN"] = secret
    site.set(**sshd.options)
    site.worker()
    kwargs = {**in_root(sshd), "stdin": "${env.TOKEN}"}
    uid = site.want(plan(on_host("a", f"touch waits; {gated()}; cat; echo ' '${{env.TOKEN}}", kwargs=kwargs)))
    wait_until((sshd.root / "waits").exists, "the command")
    lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert any("ControlMaster=no" in line for line in lines)
    assert [line for line in lines if secret in line] == []
    (sshd.root / "gate").touch()
    assert site.ended(uid)["a"]["output"] == "*** ***\n"


def test_a_worker_that_is_killed_leaves_nothing(site: Site, sshd: Sshd) -> None:
    site.set(**sshd.options, ssh_persist=1, lease=3)
    worker = site.worker()
    uid = site.want(plan(on_host("long", f"{LONG} & {LONG}", on_lost="error")))
    wait_until(lambda: sshd.commands().count(LONG) == 2, "the command")
    worker.kill()
    wait_until(lambda: sshd.commands() == [], lambda: f"the end of {sshd.commands()}")
    wait_until(lambda: masters(site) == [], "the end of the shared connection")
    site.worker()
    assert site.ended(uid).states == {"long": "ERROR"}


def test_a_worker_that_stops_lets_it_end(site: Site, sshd: Sshd, worker: Process) -> None:
    uid = site.want(plan(on_host("gated", f"touch waits; {gated()}", kwargs=in_root(sshd))))
    wait_until((sshd.root / "waits").exists, "the command")
    worker.send(signal.SIGTERM)
    worker.wait_for("1 running calls get time to end")
    (sshd.root / "gate").touch()
    assert worker.wait() == 0
    assert site.look(uid).states == {"gated": "SUCCESS"}
    assert masters(site) == []


def test_a_worker_that_cannot_wait_ends_it_and_hands_it_back(site: Site, sshd: Sshd) -> None:
    site.set(**sshd.options)
    worker = site.worker(drain_timeout=0)
    uid = site.want(plan(on_host("long", f"[ $SOLAR_ATTEMPT -gt 1 ] || {LONG}")))
    wait_until(lambda: LONG in sshd.commands(), "the command")
    worker.stop()
    assert sshd.commands() == []
    site.worker()
    assert site.ended(uid).attempts == {"long": 2}


def test_a_master_that_died_is_replaced_and_what_it_carried_is_tried_again(up: Site, sshd: Sshd) -> None:
    uid = up.want(plan(on_host("long", f"[ $SOLAR_ATTEMPT -gt 1 ] || {LONG}", retry=1, retry_delay=0)))
    wait_until(lambda: LONG in sshd.commands(), "the command")
    for master in masters(up):
        master.kill()
    ended = up.ended(uid)
    assert (ended.states["long"], ended.attempts["long"]) == ("SUCCESS", 2)
    assert sshd.commands() == []
    assert [each.pid for each in masters(up)] != [master.pid]


def test_a_connection_that_breaks_is_told_apart_from_a_failure(up: Site, sshd: Sshd) -> None:
    uid = up.want(plan(on_host("long", LONG)))
    wait_until(lambda: LONG in sshd.commands(), "the command")
    sshd.cut()
    assert up.ended(uid)["long"]["errmsg"] == "127.0.0.1: the connection to it was lost"
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


def test_a_host_that_is_new_is_taken_where_the_option_says_so(site: Site, sshd: Sshd) -> None:
    sshd.known_hosts.write_text("")
    site.set(**sshd.options, ssh_host_key_checking="accept-new")
    site.worker()
    assert site.run(plan(on_host("a", "true"))).states == {"a": "SUCCESS"}
    assert f"[127.0.0.1]:{sshd.port}" in sshd.known_hosts.read_text()
