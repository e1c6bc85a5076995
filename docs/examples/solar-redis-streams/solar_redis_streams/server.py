"""Connections to the server that let other greenlets run while they wait.

redis-py reads and writes through a blocking socket, and sleeps between its own attempts: in a program that
gevent has not patched, either would stop all greenlets.  So the sockets are gevent's, and whoever wants
another attempt makes it himself.
"""

from __future__ import annotations

import socket
from typing import Any

import gevent.socket
from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import Connection, ConnectionPool
from redis.retry import Retry

from solar_redis_streams.address import Address

#: The field of an entry that holds a call.
FIELD = b"call"


class GeventConnection(Connection):
    """A connection through a socket of gevent's, whether or not the program is patched."""

    def _connect(self) -> Any:
        found = gevent.socket.create_connection((self.host, self.port), self.socket_connect_timeout)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        found.settimeout(self.socket_timeout)
        return found


def connect(address: Address, timeout: float) -> Redis:
    """A client of the server, which opens nothing before its first command; each greenlet has a connection.

    :param timeout: seconds that a connection, and an answer, may take
    :raises AddressError: if the file with the password cannot be read
    """
    return Redis(
        connection_pool=ConnectionPool(
            connection_class=GeventConnection,
            host=address.host,
            port=address.port,
            db=address.db,
            username=address.username,
            password=address.password,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
    )
