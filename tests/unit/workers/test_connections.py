"""Which connection a command gets; that they are real is for tests/functional/test_ssh.py."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from solar_orch.errors import HostUnreachable
from solar_orch.workers.connections import SESSIONS, Connections, control_path


@pytest.fixture
def connections(short_dir: Path) -> Connections:
    return Connections(str(short_dir / "r"))


class Masters:
    """Listens in the place of ssh, as long as the test runs."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.listening = contextlib.ExitStack()

    def connect(self, path: str) -> None:
        master = self.listening.enter_context(socket.socket(socket.AF_UNIX))
        master.bind(path)
        master.listen()
        self.made.append(path)


@pytest.fixture
def masters() -> Iterator[Masters]:
    fake = Masters()
    with fake.listening:
        yield fake


def test_one_is_shared_until_it_is_full(connections: Connections, masters: Masters) -> None:
    with contextlib.ExitStack() as held:
        paths = [
            held.enter_context(connections.shared([], "a", masters.connect)) for _ in range(SESSIONS + 1)
        ]
    assert masters.made == [paths[0], paths[-1]]
    assert len(set(paths)) == 2
    with connections.shared([], "a", masters.connect) as path:
        assert path == paths[0]
    assert len(masters.made) == 2


def test_another_login_is_another_connection(connections: Connections, masters: Masters) -> None:
    with (
        connections.shared([], "a", masters.connect) as one,
        connections.shared([], "b", masters.connect) as two,
        connections.shared(["-l", "me"], "a", masters.connect) as three,
    ):
        assert len({one, two, three}) == 3


def test_one_that_is_gone_is_made_anew(connections: Connections, masters: Masters) -> None:
    with connections.shared([], "a", masters.connect) as path:
        masters.listening.close()
    with connections.shared([], "a", masters.connect) as again:
        assert masters.made == [path, again]


def test_who_waits_for_one_that_cannot_be_made_does_not_try_in_turn(connections: Connections) -> None:
    tries = []

    def connect(path: str) -> None:
        tries.append(path)
        gevent.sleep(0)
        raise HostUnreachable("a", "it is down")

    def use() -> str:
        with pytest.raises(HostUnreachable) as caught, connections.shared([], "a", connect):
            pass
        return str(caught.value)

    waiting = [gevent.spawn(use) for _ in range(5)]
    assert {greenlet.get() for greenlet in waiting} == {"a: it is down"}
    assert len(tries) == 1
    use()
    assert len(tries) == 2


def test_a_path_that_is_too_long_for_a_socket_is_not_used(
    tmp_path: Path, masters: Masters, caplog: pytest.LogCaptureFixture
) -> None:
    with Connections(str(tmp_path / ("x" * 80))).shared([], "a", masters.connect) as path:
        assert path is None
    assert "choose a shorter runtime_dir" in caplog.text
    assert masters.made == []


def test_a_path_as_ssh_reads_it() -> None:
    assert control_path("/a b/100%h") == 'ControlPath="/a b/100%%h"'
