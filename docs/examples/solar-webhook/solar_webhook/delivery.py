"""One POST over sockets of gevent, signed as Standard Webhooks (https://www.standardwebhooks.com) has it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import re
import ssl
import time
from contextlib import closing
from urllib.parse import SplitResult, urlsplit

import gevent
import gevent.socket
import gevent.ssl

_PREFIX = "whsec_"
_PORTS = {"http": 80, "https": 443}


class Secret:
    """A key with which is signed.

    :param text: ``whsec_`` and the key in base64
    :raises ValueError: if it is no such text
    """

    def __init__(self, text: str) -> None:
        try:
            self._key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            self._key = b""
        if not text.startswith(_PREFIX) or not self._key:
            raise ValueError(f"it must be {_PREFIX} and a key in base64")

    def signature(self, id_: str, timestamp: str, body: bytes) -> str:
        """What the header ``webhook-signature`` holds."""
        signed = hmac.digest(self._key, f"{id_}.{timestamp}.".encode() + body, hashlib.sha256)
        return f"v1,{base64.b64encode(signed).decode()}"


class Receiver:
    """Where to it is sent.  Making one opens nothing.

    :param url: begins with ``http://`` or ``https://``
    :param timeout: seconds that a POST may take in all
    :param ca_file: PEM file of the authorities that are trusted; those of the system when None
    :raises ValueError: if it is no such URL
    """

    def __init__(self, url: str, timeout: float, ca_file: str | None) -> None:
        parts = urlsplit(url)
        if not re.fullmatch(r"[\x21-\x7e]+", url) or parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("it must be of the form http://HOST/PATH or https://HOST/PATH")
        if parts.port == 0 or parts.username is not None:
            raise ValueError("it must hold neither a user nor the port 0")
        self._parts = parts
        self._target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        self.timeout = timeout
        self._ca_file = ca_file

    def __str__(self) -> str:
        """Where that is, without path and query: they are often secret."""
        return f"{self._parts.scheme}://{self._parts.netloc}"

    def post(self, id_: str, body: bytes, secret: Secret | None) -> str | None:
        """Send it once; blocks the calling greenlet only.

        :return: None if the answer has a status from 200 to 299, or else what is wrong
        """
        timestamp = str(int(time.time()))
        headers = {"content-type": "application/json", "webhook-id": id_, "webhook-timestamp": timestamp}
        if secret is not None:
            headers["webhook-signature"] = secret.signature(id_, timestamp, body)
        late = gevent.Timeout(self.timeout)
        with late:
            try:
                return self._posted(headers, body)
            # The name of a host that none can have is a ValueError.
            except (OSError, ValueError, http.client.HTTPException) as error:
                return str(error) or type(error).__name__
            except gevent.Timeout as raised:
                if raised is not late:
                    raise
        return f"no answer within {self.timeout:g} s"

    def _posted(self, headers: dict[str, str], body: bytes) -> str | None:
        with closing(_Connection(self._parts, self._ca_file)) as connection:
            connection.request("POST", self._target, body, headers)
            # What else it says does not matter and is not read.
            with closing(connection.getresponse()) as response:
                if 200 <= response.status <= 299:
                    return None
                return f"status {response.status} {response.reason}".rstrip()


class _Connection(http.client.HTTPConnection):
    """A connection of the standard library over a socket that lets other greenlets run while it waits."""

    def __init__(self, url: SplitResult, ca_file: str | None) -> None:
        self.default_port = _PORTS[url.scheme]
        super().__init__(url.hostname or "", url.port or self.default_port)
        self._is_tls = url.scheme == "https"
        self._ca_file = ca_file

    def connect(self) -> None:
        self.sock = gevent.socket.create_connection((self.host, self.port))
        if self._is_tls:
            # Not ssl.create_default_context: where gevent has not patched, its sockets block the process.
            context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            if self._ca_file is None:
                context.load_default_certs()
            else:
                context.load_verify_locations(self._ca_file)
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host)
