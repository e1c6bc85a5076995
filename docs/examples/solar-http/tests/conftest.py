"""A real HTTP server on loopback, with and without TLS."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gevent
import pytest
import trustme
from gevent.event import Event
from gevent.pywsgi import WSGIServer

Environ = dict[str, Any]


@dataclass
class Service:
    """What answers; tests tell it how, and read what it was asked."""

    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    environs: list[Environ] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    #: How many requests are still answered with 503.
    down_for: int = 0
    #: Set when a request that hangs was let go by its client.
    hung_up: Event = field(default_factory=Event)
    hanging: Event = field(default_factory=Event)
    elsewhere: str = ""

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Any:
        path = environ["PATH_INFO"]
        self.asked.append((environ["REQUEST_METHOD"], path))
        self.environs.append(environ)
        self.bodies.append(environ["wsgi.input"].read())
        if path == "/hang":
            return self._hang(environ)
        status, headers, body = self._answer(path)
        start_response(status, headers)
        return [body]

    def _answer(self, path: str) -> tuple[str, list[tuple[str, str]], bytes]:
        if path == "/health":
            if self.down_for > 0:
                self.down_for -= 1
                return "503 Service Unavailable", [], b"not yet"
            state = {"state": "up", "nodes": [{"name": "a/b", "ok": True}], "count": 1}
            headers = [
                ("Content-Type", "application/json"),
                ("X-Version", "2.4"),
                ("Set-Cookie", "session=s3cret"),
            ]
            return "200 OK", headers, json.dumps(state).encode()
        if path == "/long":
            return "200 OK", [], b"x" * 100_000
        if path == "/headers":
            return "200 OK", [("X-Long", "x" * 40_000)], b"1"
        if path == "/redirect":
            return "302 Found", [("Location", "/health")], b""
        if path == "/again":
            return "307 Temporary Redirect", [("Location", "/echo")], b""
        if path == "/round":
            return "302 Found", [("Location", "/round")], b""
        if path == "/elsewhere":
            return "302 Found", [("Location", self.elsewhere)], b""
        if path == "/echo":
            return "201 Created", [], self.bodies[-1]
        return "404 Not Found", [], b"no such page"

    def _hang(self, environ: Environ) -> list[bytes]:
        self.hanging.set()
        # Nothing more comes from a client that waits; the end of it is the end of the connection.
        if environ["wsgi.input"].rfile.read(1) == b"":
            self.hung_up.set()
        return []


def _serve(**options: Any) -> Iterator[Service]:
    service = Service()
    server = WSGIServer(("127.0.0.1", 0), service, log=None, error_log=None, **options)
    server.start()
    service.url = f"{'https://localhost' if options else 'http://127.0.0.1'}:{server.server_port}"
    yield service
    server.stop(timeout=1)


@pytest.fixture
def service() -> Iterator[Service]:
    """A server."""
    yield from _serve()


@pytest.fixture
def other() -> Iterator[Service]:
    """Another one."""
    yield from _serve()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """One that nobody trusts who is not told to."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    """Its certificate."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def tls(authority: trustme.CA) -> Iterator[Service]:
    """A server with a certificate of `authority` for localhost."""
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    yield from _serve(ssl_context=context)
