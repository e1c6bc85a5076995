"""Directories and sockets that nobody but their owner, who is us, can reach."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable

from solar_orch.errors import AddressError

#: Bytes of the longest path of a socket.
MAX_SOCKET_PATH = 107


def prepare_directory(path: str) -> None:
    """Make a private directory, and the parents that are missing, with mode 0700; or check the one there is.

    :raises AddressError: if it is a symlink or no directory, if another user
        owns it or can enter it, or if it cannot be made
    """
    path = os.path.abspath(path)
    try:
        _make_missing(path)
        found = os.lstat(path)
    except OSError as error:
        raise AddressError(path, f"the directory cannot be made: {error.strerror}") from error
    refuse_unless_private(path, found, stat.S_ISDIR, "a directory")


def check_socket(path: str) -> None:
    """Return if nothing stands at `path`, or a socket that only its owner, who is us, can reach.

    :raises AddressError: otherwise
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise AddressError(path, f"the socket cannot be looked at: {error.strerror}") from error
    refuse_unless_private(path, found, stat.S_ISSOCK, "a socket")


def _make_missing(path: str) -> None:
    if os.path.lexists(path):
        return
    _make_missing(os.path.dirname(path))
    # Another process may be faster; what it makes is checked like any other.
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)


def refuse_unless_private(
    path: str, found: os.stat_result, is_kind: Callable[[int], bool], kind: str
) -> None:
    """Require what was found at `path` to be of a kind, and open to nobody but us.

    :param is_kind: such as ``stat.S_ISDIR``
    :param kind: for the message: ``a directory``
    :raises AddressError: otherwise
    """
    if stat.S_ISLNK(found.st_mode):
        raise AddressError(path, f"is a symlink, and must be {kind} itself")
    if not is_kind(found.st_mode):
        raise AddressError(path, f"is not {kind}")
    if found.st_uid != os.geteuid():
        raise AddressError(path, f"belongs to uid {found.st_uid}, and must belong to uid {os.geteuid()}")
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise AddressError(path, f"has mode {mode:04o} and is open to other users; try: chmod go-rwx {path}")
