"""A real HTTP server on loopback that is told."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import gevent.ssl
import pytest
import trustme
from gevent.event import Event
from gevent.pywsgi import WSGIServer


@dataclass
class Ear:
    """What hears; tests tell it how to answer."""

    url: str = ""
    heard: list[dict[str, Any]] = field(default_factory=list)
    #: As WSGI names them.
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    status: str = "204 No Content"
    #: Its answers come when this is set.
    answering: Event = field(default_factory=Event)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        body = environ["wsgi.input"].read()
        self.bodies.append(body)
        self.headers.append({name: value for name, value in environ.items() if isinstance(value, str)})
        self.heard.append(json.loads(body))
        self.answering.wait(60)
        start_response(self.status, [])
        return []


@pytest.fixture
def ear() -> Iterator[Ear]:
    """A server that answers at once."""
    yield from _listening("http")


@pytest.fixture
def authority() -> trustme.CA:
    """One that nobody trusts who is not told to."""
    return trustme.CA()


@pytest.fixture
def tls_ear(authority: trustme.CA) -> Iterator[Ear]:
    """The same with TLS."""
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    yield from _listening("https", ssl_context=context)


def _listening(scheme: str, **options: Any) -> Iterator[Ear]:
    ear = Ear()
    ear.answering.set()
    server = WSGIServer(("127.0.0.1", 0), ear, log=None, error_log=None, **options)
    server.start()
    ear.url = f"{scheme}://127.0.0.1:{server.server_port}/hooks/s3cret"
    yield ear
    ear.answering.set()
    server.stop(timeout=1)
