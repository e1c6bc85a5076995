"""One request and its answer, over sockets of gevent: nothing here needs the process to be patched."""

from __future__ import annotations

import dataclasses
import http.client
import json as json_
import re
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import SplitResult, urljoin, urlsplit

import gevent
import gevent.socket
import gevent.ssl

from solar_orch.errors import Unrunnable

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_PORTS = {"http": 80, "https": 443}

#: Redirects after which the method stays, and the body is sent again; after the others a GET follows.
_SAME_AGAIN = frozenset({307, 308})
_REDIRECTS = frozenset({301, 302, 303}) | _SAME_AGAIN

#: The fields that go along when a redirect leads to another host: none of them lets anyone in.
_ANYWHERE = frozenset({"accept", "accept-language", "user-agent", "content-type"})

_BROKEN_OFF = "the connection ended before its answer did"


class ExchangeFailed(Exception):  # noqa: N818 - what has failed is the exchange
    """There is no answer, or none that could be taken."""


@dataclass(frozen=True)
class Limits:
    """What bounds an exchange.

    :param timeout: seconds for all of it
    :param ca_file: PEM file of the authorities that are trusted; those of the system when None
    :param max_body: bytes of the answer's body
    :param max_redirects: 0: a redirect is an answer as any other
    """

    timeout: float
    ca_file: str | None
    max_body: int
    max_redirects: int

    def within(self, seconds: float) -> Limits:
        """The same, but no longer than so many seconds."""
        return dataclasses.replace(self, timeout=min(self.timeout, seconds))


@dataclass(frozen=True)
class Request:
    """What is sent; ``str()`` of it tells which it is, without what may be secret."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    @classmethod
    def of(cls, method: Any, url: Any, headers: Any, body: Any, json: Any) -> Request:
        """A request of what a plan gives.

        :raises Unrunnable: if it can be none
        """
        if not isinstance(method, str) or not _TOKEN.fullmatch(method):
            raise Unrunnable(f"http: {method!r} is no method of HTTP")
        fields = _fields({} if headers is None else headers)
        content: bytes | None = None
        if json is not None:
            if body is not None:
                raise Unrunnable("http: body and json exclude each other")
            content = json_.dumps(json).encode()
            fields = {"content-type": "application/json", **fields}
        elif body is not None:
            if not isinstance(body, str):
                raise Unrunnable(
                    f"http: body must be a text, not a {type(body).__name__}; json takes other values"
                )
            content = body.encode()
        return cls(method.upper(), _checked(url), fields, content)

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        return f"{self.method} {parts.scheme}://{parts.netloc}{parts.path or '/'}"

    def redirected(self, status: int, location: str) -> Request:
        """What follows this one.

        :raises ExchangeFailed: if it must not be followed
        """
        try:
            url = _checked(urljoin(self.url, location))
        except Unrunnable as error:
            raise ExchangeFailed(f"it redirects to what is no URL: {error}") from error
        before, after = urlsplit(self.url), urlsplit(url)
        if (before.scheme, after.scheme) == ("https", "http"):
            raise ExchangeFailed("it redirects from https to http, which is not followed")
        headers = dict(self.headers)
        if _origin(before) != _origin(after):
            headers = {name: value for name, value in headers.items() if name in _ANYWHERE}
        if status in _SAME_AGAIN or self.method in ("GET", "HEAD"):
            return Request(self.method, url, headers, self.body)
        headers.pop("content-type", None)
        return Request("GET", url, headers)


@dataclass(frozen=True)
class Answer:
    """What came back; names of header fields are in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes

    def text(self) -> str:
        """The body as text; what is no UTF-8 is replaced."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON.

        :raises ValueError: if it is none
        """
        try:
            return json_.loads(self.body, parse_constant=_refuse_constant)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error


def _refuse_constant(name: str) -> NoReturn:
    """Python would take NaN and Infinity for JSON, which they are not."""
    raise ValueError(f"it has {name} as a value")


def exchange(request: Request, limits: Limits) -> Answer:
    """Send a request, follow redirects, and read the answer; blocks the calling greenlet only.

    Whatever ends it, a throw from outside included, the connection is closed.

    :raises ExchangeFailed: if there is no answer in time, or none that may be taken
    """
    with gevent.Timeout(limits.timeout, ExchangeFailed(f"no answer within {limits.timeout:g} s")):
        for _ in range(limits.max_redirects + 1):
            answer = _sent(request, limits)
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or location is None or limits.max_redirects == 0:
                return answer
            request = request.redirected(answer.status, location)
        raise ExchangeFailed(f"more than {limits.max_redirects} redirects")


def _sent(request: Request, limits: Limits) -> Answer:
    parts = urlsplit(request.url)
    context = _tls(limits.ca_file) if parts.scheme == "https" else None
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    try:
        with closing(_Connection(parts, context)) as connection:
            connection.request(request.method, target, request.body, dict(request.headers))
            with closing(connection.getresponse()) as response:
                return _read(response, limits.max_body)
    except ssl.SSLCertVerificationError as error:
        raise ExchangeFailed(f"its certificate is not trusted: {error.verify_message}") from error
    except http.client.IncompleteRead as error:
        raise ExchangeFailed(_BROKEN_OFF) from error
    except http.client.HTTPException as error:
        raise ExchangeFailed(f"its answer is no HTTP: {type(error).__name__} {error}".rstrip()) from error
    except UnicodeError as error:
        raise ExchangeFailed(f"no host can have this name: {error}") from error
    except OSError as error:
        raise ExchangeFailed(error.strerror or str(error) or type(error).__name__) from error


def _read(response: http.client.HTTPResponse, max_body: int) -> Answer:
    body = response.read(max_body + 1)
    if len(body) > max_body:
        raise ExchangeFailed(f"the body of its answer is longer than {max_body} bytes")
    if response.length:  # of what was announced so much has not come
        raise ExchangeFailed(_BROKEN_OFF)
    headers: dict[str, str] = {}
    for given, value in response.getheaders():
        name = given.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Answer(response.status, response.reason, headers, body)


class _Connection(http.client.HTTPConnection):
    """A connection of the standard library over a socket that lets other greenlets run while it waits."""

    def __init__(self, url: SplitResult, context: gevent.ssl.SSLContext | None) -> None:
        self.default_port = _PORTS[url.scheme]
        super().__init__(url.hostname or "", url.port or self.default_port)
        self._context = context

    def connect(self) -> None:
        """Open the socket; the resolver of gevent asks in a thread."""
        self.sock = gevent.socket.create_connection((self.host, self.port))
        if self._context is not None:
            self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host)


def _tls(ca_file: str | None) -> gevent.ssl.SSLContext:
    # Not ssl.create_default_context: where gevent has not patched, its sockets would block the process.
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(ca_file)
    except ssl.SSLError as error:
        raise Unrunnable(f"http: ca_file {ca_file}: holds no certificate in PEM form") from error
    except OSError as error:
        raise Unrunnable(f"http: ca_file {ca_file}: {error.strerror}") from error
    return context


def _origin(url: SplitResult) -> tuple[str, str | None, int]:
    return url.scheme, url.hostname, url.port or _PORTS[url.scheme]


def _checked(url: Any) -> str:
    """A URL that can be asked.

    :raises Unrunnable: if it is none
    """
    if not isinstance(url, str) or not re.fullmatch(r"[\x21-\x7e]+", url):
        raise Unrunnable(
            "http: the URL must be a text of printable ASCII without spaces; encode others with %"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Unrunnable(f"http: the URL cannot be used: {error}") from error
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise Unrunnable("http: the URL must be of the form http://HOST/PATH or https://HOST/PATH")
    if parts.username is not None or parts.password is not None:
        raise Unrunnable(
            "http: the URL must hold no user and password; send them in the header Authorization"
        )
    return url


def _fields(headers: Any) -> dict[str, str]:
    if not isinstance(headers, Mapping):
        raise Unrunnable(f"http: headers must be a mapping of names to texts, not {type(headers).__name__}")
    fields: dict[str, str] = {}
    for name, value in headers.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise Unrunnable(f"http: headers: {name!r} is no name of a header")
        # What it holds may be secret and is not shown.
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise Unrunnable(f"http: headers: {name} must be a text or a number")
        if not _FIELD_VALUE.fullmatch(str(value)):
            raise Unrunnable(f"http: headers: {name} must be one line without characters beyond Latin-1")
        fields[name.lower()] = str(value)
    return fields
