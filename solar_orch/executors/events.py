"""The sockets of zerorpc as both sides use them."""

from __future__ import annotations

import zerorpc


class Events(zerorpc.Events):  # type: ignore[misc]
    """The socket of a pusher or puller, without zerorpc's greenlets for sending and receiving.

    The one that sends cannot be ended while a send is blocked, and the one
    that receives dies silently.
    """

    def __init__(self, socket_type: int, context: zerorpc.Context) -> None:
        self._debug = False
        self._zmq_socket_type = socket_type
        self._context = context
        self._socket = context.socket(socket_type)
        self._send = None
        self._recv = None

    def __del__(self) -> None:
        """Closing is up to the owner; when the interpreter ends it would fail noisily."""
