"""Where a worker's calls are kept."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from solar_orch.errors import AddressError

#: Calls that a stream holds at least before the oldest are dropped, unless the address says otherwise.
MAXLEN = 100_000

_QUERY = {"stream", "maxlen", "username", "password_file", "temporary"}


@dataclass(frozen=True)
class Address:
    """``redis://HOST:PORT/DB?stream=NAME[&maxlen=N][&username=NAME][&password_file=PATH]``, taken apart.

    A password stands in a file, since addresses are logged and kept in the database.  A stream
    that is ``&temporary=yes`` is deleted when its worker stops.
    """

    text: str
    host: str
    port: int
    db: int
    stream: str
    maxlen: int
    username: str | None
    password_file: str | None
    temporary: bool

    def another(self, stream: str) -> str:
        """The address of a temporary stream on the same server."""
        parts = urlsplit(self.text)
        query = {**dict(parse_qsl(parts.query)), "stream": stream, "temporary": "yes"}
        return urlunsplit(parts._replace(query=urlencode(query)))

    @property
    def password(self) -> str | None:
        """What the file holds, read now; None if there is no file.

        :raises AddressError: if it cannot be read
        """
        if self.password_file is None:
            return None
        try:
            return Path(self.password_file).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise AddressError(self.text, f"its password_file cannot be read: {error}") from error


def parse(text: str) -> Address:
    """Take an address apart.  Opens nothing.

    :raises AddressError: if it is none of Redis, or must not be used
    """
    try:
        parts = urlsplit(text)
        port = parts.port or 6379
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise AddressError(text, f"is no address: {error}") from error
    query = dict(given)
    if parts.scheme != "redis" or not parts.hostname:
        raise AddressError(text, "must have the form redis://HOST:PORT/DB?stream=NAME")
    if parts.username is not None or parts.password is not None:
        raise AddressError(
            "redis://...",
            "must not hold a password, since addresses are logged: name a file by password_file",
        )
    unknown = sorted(query.keys() - _QUERY)
    if unknown or len(given) != len(query):
        raise AddressError(text, f"can say {', '.join(sorted(_QUERY))}, each once, not {', '.join(unknown)}")
    if not query.get("stream"):
        raise AddressError(text, "must name a stream, by ?stream=NAME, another one for each worker")
    if not _is_loopback(parts.hostname) and "password_file" not in query:
        raise AddressError(
            text,
            "is not on this host, and without password_file whoever reaches the server could run commands",
        )
    return Address(
        text,
        parts.hostname,
        port,
        _number(text, "the database", parts.path.strip("/") or "0", least=0),
        query["stream"],
        _number(text, "maxlen", query.get("maxlen", str(MAXLEN)), least=1),
        query.get("username"),
        query.get("password_file"),
        _yes(text, query.get("temporary", "no")),
    )


def _yes(text: str, value: str) -> bool:
    if value not in ("yes", "no"):
        raise AddressError(text, f"temporary must be yes or no, not {value!r}")
    return value == "yes"


def _number(text: str, what: str, value: str, least: int) -> int:
    if not (value.isascii() and value.isdigit()) or int(value) < least:
        raise AddressError(text, f"{what} must be a number from {least} on, not {value!r}")
    return int(value)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
