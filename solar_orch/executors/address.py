"""Addresses: what may be served, in which directories, and by one process at a time."""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import os
import re
import stat
import time
from dataclasses import dataclass

from solar_orch.errors import AddressError, AddressInUse
from solar_orch.ownership import MAX_SOCKET_PATH, prepare_directory, refuse_unless_private

#: Questions hold the lock for an instant; a worker that starts then tries again, for about half a second.
_TRIES = 50
_PAUSE = 0.01


@dataclass(frozen=True)
class Address:
    """An address that may be used.

    :param text: as it was configured
    :param endpoint: as it is given to ZeroMQ
    :param path: of the socket, None for tcp
    """

    text: str
    endpoint: str
    path: str | None = None

    @property
    def is_ipv6(self) -> bool:
        return self.endpoint.startswith("tcp://[")

    def lock_path(self, runtime_dir: str) -> str:
        """The file whose lock is held by the process that serves the address."""
        if self.path is not None:
            return self.path + ".lock"
        name = re.sub(r"[^0-9A-Za-z.]+", "-", self.endpoint).strip("-")
        return os.path.join(os.path.abspath(runtime_dir), name + ".lock")


def parse(address: str) -> Address:
    """Read an ``ipc://`` or ``tcp://`` address; touches nothing.

    :raises AddressError: if it is neither, or must not be used
    """
    transport, separator, rest = address.partition("://")
    if separator and transport == "ipc":
        return _parse_ipc(address, rest)
    if separator and transport == "tcp":
        return _parse_tcp(address, rest)
    raise AddressError(address, "not an address; it must read ipc:///PATH or tcp://HOST:PORT")


def _parse_ipc(address: str, path: str) -> Address:
    if "\0" in path:
        raise AddressError(address, "the path must not contain a NUL character")
    if not path.startswith("/") or path.endswith("/"):
        raise AddressError(address, "the path of an ipc socket must be absolute and name a file")
    path = os.path.normpath(path).replace("//", "/")
    size = len(os.fsencode(path))
    if size > MAX_SOCKET_PATH:
        raise AddressError(
            address,
            f"the path has {size} bytes, and that of a socket at most {MAX_SOCKET_PATH}; choose another",
        )
    return Address(address, f"ipc://{path}", path)


def _parse_tcp(address: str, rest: str) -> Address:
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z.*_-]+)):([0-9]{1,5})", rest, re.ASCII)
    if not found:
        raise AddressError(address, "a tcp address must read tcp://HOST:PORT")
    host, port = found[1] or found[2], int(found[3])
    if not 1 <= port <= 65535:
        raise AddressError(address, "the port must lie between 1 and 65535")
    loopback = _loopback(host)
    if loopback is None:
        raise AddressError(
            address,
            "tcp beyond loopback is refused: it would need CURVE with a list of the keys that are let in, "
            "and that is not configured; use ipc, 127.0.0.1 or [::1]",
        )
    return Address(address, f"tcp://{loopback}:{port}")


def _loopback(host: str) -> str | None:
    # Not left to the resolver, which might be told otherwise.
    if host == "localhost":
        return "127.0.0.1"
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip) if ip.is_loopback else None
    return "[::1]" if ip == ipaddress.IPv6Address("::1") else None


# -- locks ---------------------------------------------------------------------


class AddressLock:
    """Held by the one process that serves an address; the kernel lets go of it when the process dies.

    Making one opens nothing.

    :param address: as configured
    :param runtime_dir: where the locks of tcp addresses lie
    :raises AddressError: if the address must not be used
    """

    def __init__(self, address: str, runtime_dir: str) -> None:
        self.address = address
        self.path = parse(address).lock_path(runtime_dir)
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock; waits half a second at most.  The directory is made if it is missing.

        :raises AddressInUse: if another one holds it
        :raises AddressError: if the lock file or its directory cannot or must not be used
        """
        prepare_directory(os.path.dirname(self.path))
        descriptor = _open_lock(self.path, os.O_RDWR | os.O_CREAT)
        try:
            refuse_unless_private(self.path, os.fstat(descriptor), stat.S_ISREG, "a file")
            if not _take(descriptor):
                raise AddressInUse(self.address, _read_pid(descriptor))
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        except OSError as error:
            os.close(descriptor)
            raise AddressError(self.path, f"the lock cannot be taken: {error.strerror}") from error
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go of the lock, if it is held.  The file stays: to remove it would let two hold it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def is_locked(address: str, runtime_dir: str) -> bool:
    """Whether a worker on this host serves `address`; makes nothing and waits for nothing.

    :raises AddressError: if the address must not be used
    """
    return _ask(address, runtime_dir)[0]


def lock_holder(address: str, runtime_dir: str) -> int | None:
    """The pid of the worker that serves `address`; None if there is none or its pid cannot be told.

    :raises AddressError: if the address must not be used
    """
    return _ask(address, runtime_dir)[1]


def _ask(address: str, runtime_dir: str) -> tuple[bool, int | None]:
    path = parse(address).lock_path(runtime_dir)
    try:
        descriptor = _open_lock(path, os.O_RDONLY)
    except AddressError:
        return False, None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or _flock(descriptor, fcntl.LOCK_SH):
            return False, None
        return True, _read_pid(descriptor)
    finally:
        os.close(descriptor)


def _open_lock(path: str, flags: int) -> int:
    # O_NONBLOCK: a pipe in its place must not make us wait.
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        problem = "is a symlink" if error.errno == errno.ELOOP else f"cannot be opened: {error.strerror}"
        raise AddressError(path, problem) from error


def _take(descriptor: int) -> bool:
    for _ in range(_TRIES):
        if _flock(descriptor, fcntl.LOCK_EX):
            return True
        if not _flock(descriptor, fcntl.LOCK_SH):
            return False
        # Nobody serves: somebody was merely asking, as is_locked does.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        time.sleep(_PAUSE)
    return False


def _flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_pid(descriptor: int) -> int | None:
    try:
        return int(os.pread(descriptor, 20, 0))
    except (OSError, ValueError):
        return None
