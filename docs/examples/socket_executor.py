"""An executor over a socket in the file system: each call follows the number of its bytes."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
from typing import IO, TYPE_CHECKING, Any

import gevent
from gevent.lock import BoundedSemaphore
from gevent.pool import Group
from gevent.socket import AF_UNIX, SOCK_STREAM, socket

from solar_orch.errors import AddressError, AddressInUse, NoPeer
from solar_orch.executors import wire
from solar_orch.executors.greenlets import GreenletExecutor

if TYPE_CHECKING:
    from solar_orch.workers.base import Worker

solar_orch_api = "1"
capabilities = frozenset({"ordered", "processes"})

#: Bytes that say how long a call is.
HEADER = 4


def path_of(address: str) -> str:
    path = address.removeprefix("ipc://")
    if path == address or not os.path.isabs(path):
        raise AddressError(address, "must have the form ipc:///PATH")
    return path


class Executor(GreenletExecutor):
    """Listens, and reads from each connection in a greenlet of its own."""

    def __init__(self, worker: Worker, address: str) -> None:
        super().__init__(worker, address)
        self._path = path_of(address)
        self._lock: IO[str] | None = None
        self._listener: Any = None
        self._readers = Group()

    def open(self) -> None:
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        self._lock = open(f"{self._path}.lock", "w")  # noqa: SIM115 - held until release()
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AddressInUse(self.address) from None
        # Whoever left it there is dead, since the lock is free.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        self._listener = socket(AF_UNIX, SOCK_STREAM)
        self._listener.bind(self._path)
        self._listener.listen(100)

    def receive(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            self._readers.spawn(self._read, connection)

    def _read(self, connection: Any) -> None:
        with connection, connection.makefile("rb") as stream:
            while header := stream.read(HEADER):
                size = int.from_bytes(header, "big")
                if size > wire.MAX_FRAME:
                    self.drops.add("malformed messages", f"{size} bytes")
                    return
                self._take(stream.read(size))

    def _take(self, frame: bytes) -> None:
        try:
            call = wire.unpack(frame)
        except wire.Malformed as error:
            self.drops.add("malformed messages", str(error))
        else:
            if self.accept(*call):
                gevent.sleep(0)

    def close_intake(self) -> None:
        self._readers.kill()
        if self._listener is not None:
            self._listener.close()
            os.unlink(self._path)

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()


class Client:
    """Connects when it is first called, and again when the connection is lost."""

    send_timeout: float = 5.0

    def __init__(self, address: str) -> None:
        self.address = address
        self._path = path_of(address)
        self._socket: Any = None
        self._closed = False
        self._turn = BoundedSemaphore()

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_"):
            raise AttributeError(method)
        return functools.partial(self._call, method)

    def _call(self, method: str, ctxt: Any, /, *args: Any, **kwargs: Any) -> None:
        frame = wire.pack(method, ctxt, args, kwargs, {})
        timer = gevent.Timeout(self.send_timeout)
        try:
            with timer, self._turn:
                self._send(len(frame).to_bytes(HEADER, "big") + frame)
        except gevent.Timeout as expired:
            if expired is not timer:
                raise
            raise NoPeer(self.address, self.send_timeout) from None

    def _send(self, message: bytes) -> None:
        while not self._closed:
            try:
                self._connected().sendall(message)
                return
            except OSError:
                self._disconnect()
                gevent.sleep(0.01)
            except BaseException:
                # It may have been sent in part, and nothing can follow that.
                self._disconnect()
                raise
        raise NoPeer(self.address, 0.0)

    def _connected(self) -> Any:
        if self._socket is None:
            self._socket = socket(AF_UNIX, SOCK_STREAM)
            self._socket.connect(self._path)
        return self._socket

    def _disconnect(self) -> None:
        found, self._socket = self._socket, None
        if found is not None:
            found.close()

    def close(self, timeout: float) -> int:
        self._closed = True
        # What has been sent, the worker's side reads also after this.
        self._disconnect()
        return 0
