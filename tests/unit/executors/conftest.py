"""A worker that notes what becomes of its calls, and executors that are stopped after each test."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import zmq

from solar_orch import config
from solar_orch.executors import client, inline, zerorpc
from solar_orch.testing.recorder import Recorder

ROOT = Path(__file__).parents[3]


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Let greenlets run until `condition()` is true; fails when that takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not come"
        gevent.sleep(0.002)


@pytest.fixture(autouse=True)
def through_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Client and executor are in one process here, and yet it is the way between processes that is tested."""
    monkeypatch.setattr(zerorpc.Client, "directly", False)


@pytest.fixture(autouse=True)
def as_in_a_greenlet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the calls of a test gathered, as those that greenlets make."""
    monkeypatch.setattr(client, "_loop_will_run", lambda: True)


class Bench:
    """Makes workers, executors and clients of one kind of executor, and ends them."""

    def __init__(self, module: Any, address: str, conf: Any) -> None:
        self.module = module
        self.address = address
        self.conf = conf
        self._ended: list[Callable[[], object]] = []

    def worker(self, pool_size: int = 100) -> Recorder:
        self.conf.set_override("pool_size", pool_size, group="orchestration")
        return Recorder(self.conf)

    def executor(self, worker: Any) -> Any:
        return self.module.Executor(worker, self.address)

    def start(self, executor: Any) -> Any:
        """Run it in a greenlet, whose ``get()`` gives what run() raises."""
        greenlet = gevent.spawn(_outcome_of, executor.run)
        executor.worker.executor = executor
        self._ended.append(lambda: end(executor))
        wait_until(lambda: executor._taking or greenlet.dead)
        return greenlet

    def serve(self, worker: Any) -> Any:
        executor = self.executor(worker)
        self.start(executor)
        return executor

    def client(self, send_timeout: float = 5.0) -> Any:
        client = self.module.Client(self.address)
        client.send_timeout = send_timeout
        self._ended.append(lambda: client.close(0))
        return client

    def close(self) -> None:
        for function in reversed(self._ended):
            function()


def end(executor: Any) -> None:
    executor.worker.release.set()
    executor.worker.outcomes.may_admit.set()
    executor.worker.outcomes.may_settle.set()
    executor.stop(0)


def _outcome_of(function: Callable[[], None]) -> BaseException | None:
    # Returned instead of raised, so that gevent prints no traceback of what a test expects.
    try:
        function()
    except Exception as error:
        return error
    return None


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture
def conf(clean_environment: Path, short_dir: Path) -> Any:
    return config.load(
        overrides={"state_dir": str(short_dir / "state"), "runtime_dir": str(short_dir / "run")}
    )


def _bench(kind: str, conf: Any, short_dir: Path) -> Bench:
    if kind == "inline":
        return Bench(inline, f"inline-{short_dir.name}", conf)
    if kind == "tcp":
        return Bench(zerorpc, f"tcp://127.0.0.1:{free_port()}", conf)
    return Bench(zerorpc, f"ipc://{short_dir}/run/recorder.sock", conf)


@pytest.fixture(params=["ipc", "tcp", "inline", "direct"])
def bench(
    request: pytest.FixtureRequest, conf: Any, short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    """Each executor that ships, one after the other; and ``zerorpc`` as it is within one process."""
    monkeypatch.setattr(zerorpc.Client, "directly", request.param == "direct")
    bench = _bench(request.param, conf, short_dir)
    yield bench
    bench.close()


@pytest.fixture(params=["ipc", "tcp"])
def sockets(request: pytest.FixtureRequest, conf: Any, short_dir: Path) -> Iterator[Bench]:
    """The executor ``zerorpc`` on both kinds of sockets."""
    bench = _bench(request.param, conf, short_dir)
    yield bench
    bench.close()


@pytest.fixture
def ipc(conf: Any, short_dir: Path) -> Iterator[Bench]:
    """The executor ``zerorpc`` on an ipc socket."""
    bench = _bench("ipc", conf, short_dir)
    yield bench
    bench.close()


class RawPeer:
    """A plain socket, for the other side of an executor or a client."""

    def __init__(self, address: str, kind: int = zmq.PUSH) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(kind)
        self.socket.linger = 0
        self.socket.sndtimeo = self.socket.rcvtimeo = 5000
        self.address = address

    def connect(self) -> RawPeer:
        self.socket.connect(self.address)
        return self

    def bind(self) -> RawPeer:
        self.socket.bind(self.address)
        return self

    def close(self) -> None:
        self.socket.close()
        self.context.term()


@pytest.fixture
def raw_peer() -> Iterator[Callable[..., RawPeer]]:
    peers: list[RawPeer] = []

    def make(address: str, kind: int = zmq.PUSH) -> RawPeer:
        peers.append(RawPeer(address, kind))
        return peers[-1]

    yield make
    for peer in peers:
        peer.close()


@pytest.fixture
def lazy_peer(sockets: Bench, raw_peer: Callable[..., RawPeer]) -> RawPeer:
    """Something that accepts connections and reads next to nothing."""
    if sockets.address.startswith("ipc"):
        os.mkdir(os.path.dirname(sockets.address[6:]), 0o700)
    peer = raw_peer(sockets.address, zmq.PULL)
    peer.socket.rcvhwm = 1
    before = os.umask(0o077)
    peer.bind()
    os.umask(before)
    return peer


@pytest.fixture
def until() -> Callable[..., None]:
    """:func:`wait_until` as a fixture."""
    return wait_until


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a process that runs a Python source; it is killed after the test if it still runs."""
    started: list[subprocess.Popen[str]] = []

    def start(source: str, *args: str) -> subprocess.Popen[str]:
        path = tmp_path / f"script{len(started)}.py"
        path.write_text(textwrap.dedent(source))
        process = subprocess.Popen(
            [sys.executable, str(path), *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
