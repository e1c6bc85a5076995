"""The worker ``pinger``: the kit, and targets that come and go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from gevent.server import StreamServer

from solar_orch.testing import Call, ExtensionConformance, HookConformance, WorkerConformance, task
from solar_orch.testing.hosting import Solar


class TestWorker(ExtensionConformance):
    name = "pinger"
    method = "watch"
    call = Call(["127.0.0.1:9"])


class TestDriver(WorkerConformance):
    name = "solar"
    worker = "pinger"
    method = "forget"
    call = Call(["127.0.0.1:9"])


class TestTableHook(HookConformance):
    name = "table"
    worker = "pinger"
    plan = (task("a", "noop", target="127.0.0.1:9"),)


class TestTasksHook(HookConformance):
    name = "pinger"
    worker = "tasks"
    plan = (task("a", "noop", target="127.0.0.1:9"), task("b", "noop", target="no address"))


@pytest.fixture
def server() -> Iterator[StreamServer]:
    """A server that takes connections and closes them."""
    serving = StreamServer(("127.0.0.1", 0), lambda connection, address: connection.close())
    serving.start()
    yield serving
    serving.stop()


def table(solar: Solar) -> dict[str, dict[str, Any]]:
    path = solar.root / "s" / "pinger.json"
    return json.loads(path.read_text()) if path.exists() else {}


def test_the_targets_of_tasks_are_watched(solar: Solar, server: StreamServer) -> None:
    target = f"127.0.0.1:{server.server_port}"
    solar.options("pinger", interval=0.05)
    ended = solar.run(task("a", "noop", target=target), task("b", "noop", target="web1"))
    assert ended.status == "finished"
    solar.wait_until(lambda: target in table(solar), lambda: f"{target} is in {table(solar)}")
    row = table(solar).pop(target)
    assert row["error"] is None
    assert 0 <= row["seconds"] < 3

    server.stop()
    solar.wait_until(lambda: table(solar)[target]["failures"] >= 2, "two probes in a row fail")
    assert table(solar)[target]["seconds"] is None
    assert table(solar)[target]["error"] == f"{target} cannot be reached: Connection refused"
    assert list(table(solar)) == [target], "what is no address is not watched"


def test_no_more_are_watched_than_configured(solar: Solar) -> None:
    solar.options("pinger", interval=60, most=2)
    pinger = solar.host.workers["pinger"]
    solar.start()
    for port in (1, 2, 3):
        solar.host.clients["pinger"].watch({}, f"127.0.0.1:{port}")
    solar.wait_until(lambda: "127.0.0.1:3" in pinger.watched, "all are told")
    assert list(pinger.watched) == ["127.0.0.1:2", "127.0.0.1:3"]


@pytest.mark.parametrize("target", ["web1", "web1:0", "web1:65536", "a b:1", "http://web1:80"])
def test_what_is_no_address_is_refused(solar: Solar, target: str) -> None:
    errors: list[str] = []
    solar.host.workers["pinger"].watch.on_error(lambda ctxt, error, *args: errors.append(str(error)))
    solar.start()
    solar.host.clients["pinger"].watch({}, target)
    solar.wait_until(lambda: errors, "it is refused")
    assert errors == [f"a target that is watched must read HOST:PORT, not {target!r}"]
