"""The task type ``listens`` keeps the contract of all task types, and does what it is for."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from gevent.server import StreamServer
from solar_orch.testing import Call, TaskTypeConformance, task

from solar_orch_listens.ports import GROUP

HOST = "127.0.0.1"

#: Something that answers.  The kernel takes connections by itself; nobody needs to accept them.
LISTENER = socket.create_server((HOST, 0))
OPEN = LISTENER.getsockname()[1]

#: Something that does not: the port is taken, so that nobody else can have it, but nobody listens.
SILENT = socket.socket()
SILENT.bind((HOST, 0))
CLOSED = SILENT.getsockname()[1]


class TestContract(TaskTypeConformance):
    """What holds for every task type; the tests themselves come with solar_orch."""

    # The name in setup.cfg: that the type is registered is tested as well.
    name = "listens"
    # Change: calls of your type that succeed, some that fail, and one that would go on for long.
    working = (Call([HOST, OPEN], result={"host": HOST, "port": OPEN, "tries": 1}),)
    failing = (
        Call([HOST, CLOSED], {"within": 0}, error="Connection refused"),
        Call([HOST, 0], error="port must be a number from 1 to 65535"),
        Call([HOST, OPEN], {"greeting": "SSH-", "within": 0}, error="timed out"),
    )
    lasting = Call([HOST, CLOSED], {"within": 3600})


# -- what is its own ---------------------------------------------------------------
#
# The fixture `solar` runs plans in this process, with a database and a configuration of their own.


def test_what_comes_after_it_runs_when_the_port_answers(solar):
    ended = solar.run(
        task("answers", "listens", HOST, OPEN),
        task("use", "echo", "go", after=["answers"]),
    )
    assert ended.states == {"answers": "SUCCESS", "use": "SUCCESS"}
    assert ended["answers"]["output"] == f"{HOST}:{OPEN} answers, at try 1\n"


def test_it_tells_why_it_gave_up(solar):
    ended = solar.run(task("answers", "listens", HOST, CLOSED, kwargs={"within": 0}))
    assert ended.status == "failed"
    assert f"{HOST}:{CLOSED} has not answered within 0 s: Connection refused" in ended["answers"]["errmsg"]


@pytest.mark.parametrize("args", [["", 80], ["localhost", 0], ["localhost", "http"], ["localhost", 80, 1]])
def test_what_makes_no_sense_is_not_tried_again(solar, args):
    ended = solar.run(task("answers", "listens", *args, retry=3))
    assert (ended["answers"]["status"], ended["answers"]["attempt"]) == ("ERROR", 1)


def test_it_waits_for_a_server_that_is_late(solar):
    with socket.socket() as server:
        server.bind((HOST, 0))
        port = server.getsockname()[1]
        solar.options(GROUP, pause=0.01)
        with solar.running(task("answers", "listens", HOST, port)) as plan:
            worker = solar.host.workers["tasks"]
            solar.wait_until(
                lambda: "refused" in (worker.output_so_far(f"{plan.uid}~answers", 1) or ""),
                "the first try has failed",
            )
            server.listen()
        ended = plan.look()
    assert ended.states == {"answers": "SUCCESS"}
    assert ended.results["answers"]["tries"] > 1


@pytest.fixture
def greeter() -> Iterator[int]:
    """The port of a server that greets, as those of SSH, SMTP and many databases do."""
    server = StreamServer((HOST, 0), lambda connection, _: connection.sendall(b"SSH-2.0-acme\r\n"))
    server.start()
    yield server.server_port
    server.stop()


def test_a_greeting_is_waited_for(solar, greeter):
    ended = solar.run(task("greets", "listens", HOST, greeter, kwargs={"greeting": "SSH-2.0"}))
    assert ended.states == {"greets": "SUCCESS"}


def test_another_greeting_is_told(solar, greeter):
    ended = solar.run(task("greets", "listens", HOST, greeter, kwargs={"greeting": "220 ", "within": 0}))
    assert ended["greets"]["errmsg"].endswith("it says 'SSH-', which is not '220 '")
