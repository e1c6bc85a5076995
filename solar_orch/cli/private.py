"""A directory for the sockets of one process, which nobody else will look for."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator

from solar_orch.errors import AddressError
from solar_orch.ownership import prepare_directory

_NAME = re.compile(r"r[0-9a-f]{6}")
_TRIES = 20


@contextlib.contextmanager
def private_directory(parent: str) -> Iterator[str]:
    """A fresh directory with mode 0700 below `parent`, removed at the end with all that is in it.

    The names are short, because the path of a socket must be.  It is locked
    while it is in use; what processes that were killed have left is removed.

    :param parent: made if it is missing
    :raises AddressError: if `parent` is not private or nothing can be made in it
    """
    prepare_directory(parent)
    _remove_abandoned(parent)
    path, lock = _make(parent)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _make(parent: str) -> tuple[str, int]:
    for _ in range(_TRIES):
        path = os.path.join(parent, f"r{secrets.token_hex(3)}")
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            continue
        except OSError as error:
            raise AddressError(path, f"the directory cannot be made: {error.strerror}") from error
        lock = _locked(path)
        # Somebody who cleans up may have been quicker than our lock.
        if lock is not None and os.path.isdir(path):
            return path, lock
        if lock is not None:
            os.close(lock)
    raise AddressError(parent, "no private directory can be made in it")


def _remove_abandoned(parent: str) -> None:
    with contextlib.suppress(OSError):
        for name in os.listdir(parent):
            path = os.path.join(parent, name)
            lock = _locked(path) if _NAME.fullmatch(name) else None
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)


def _locked(path: str) -> int | None:
    """The descriptor that holds the lock of a directory; None if it cannot be had."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
