"""The sending side: each call is an entry of the stream."""

from __future__ import annotations

import functools
import logging
import time
from typing import Any

import gevent
from redis import Redis
from redis.exceptions import AuthenticationError, OutOfMemoryError, RedisError, ResponseError
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import TimeoutError as NoAnswer

from solar_orch.errors import AddressError, NoPeer
from solar_orch.executors import wire
from solar_redis_streams.address import parse
from solar_redis_streams.server import FIELD, connect

LOG = logging.getLogger(__name__)

#: Seconds between two attempts to reach the server.
PAUSE = 0.05
#: What may be over at the next attempt.
_PASSING = (NoConnection, NoAnswer, OutOfMemoryError)


class Client:
    """Adds calls to a stream; a :class:`solar_orch.executors.base.Client`.

    A call returns when the server has it, whether a worker is there or not.

    :param address: see :class:`solar_redis_streams.address.Address`
    :raises AddressError: if it is none, or must not be used
    """

    send_timeout: float = 5.0

    def __init__(self, address: str) -> None:
        self.address = address
        self._address = parse(address)
        self._redis: Redis | None = None
        self._closed = False

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_"):
            raise AttributeError(method)
        return functools.partial(self._call, method)

    def _call(self, method: str, ctxt: Any, /, *args: Any, **kwargs: Any) -> None:
        """Add one call; blocks the calling greenlet until the server has it.

        If the connection breaks before the answer, the call is sent again, and may be there twice.

        :raises NoPeer: if the server cannot be reached for ``send_timeout`` seconds; or after :meth:`close`
        :raises NotCarried: if its arguments cannot be sent
        :raises AddressError: if the server refuses, which time will not change
        """
        if self._closed:
            raise NoPeer(self.address, 0.0)
        frame = wire.pack(method, ctxt, args, kwargs, {})
        timer = gevent.Timeout(self.send_timeout)
        try:
            with timer:
                self._add(frame)
        except gevent.Timeout as expired:
            if expired is not timer:
                raise
            raise NoPeer(self.address, self.send_timeout) from None

    def _add(self, frame: bytes) -> None:
        deadline = time.monotonic() + self.send_timeout
        while not self._closed:
            try:
                self._server().xadd(
                    self._address.stream, {FIELD: frame}, maxlen=self._address.maxlen, approximate=True
                )
                return
            except AuthenticationError as error:
                raise AddressError(self.address, f"the server lets nobody in: {error}") from error
            except _PASSING as error:
                if time.monotonic() >= deadline:
                    raise NoPeer(self.address, self.send_timeout) from error
                LOG.debug("%s: cannot be reached: %s", self.address, error)
            except ResponseError as error:
                raise AddressError(self.address, f"the server refuses a call: {error}") from error
            gevent.sleep(PAUSE)
        raise NoPeer(self.address, 0.0)

    def _server(self) -> Redis:
        if self._redis is None:
            self._redis = connect(self._address, max(0.001, self.send_timeout))
        return self._redis

    def close(self, timeout: float) -> int:
        """Let go of the connections; returns at once.

        :return: 0: a call that has returned is with the server, any other one raises ``NoPeer``
        """
        self._closed = True
        server, self._redis = self._redis, None
        if server is not None:
            try:
                server.connection_pool.disconnect()
            except (RedisError, OSError) as error:
                LOG.debug("%s: %s", self.address, error)
        return 0
