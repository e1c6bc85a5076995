"""Pictures written to files."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Sequence

from solar_orch.errors import FileNotWritten, PictureError


def ending(path: str, known: Sequence[str]) -> str:
    """How the name of a file ends, in small letters, which says what is written to it.

    :raises PictureError: if it is none of those known
    """
    found = os.path.splitext(path)[1].lower()
    if found not in known:
        what = f"ends in {found}" if found else "has no ending"
        raise PictureError(
            f"{path} {what}; it has to end in {' or '.join(known)}, which says what is written"
        )
    return found


def write(path: str, pieces: Iterable[bytes]) -> None:
    """Write a file as a whole or not at all; one that is there already is replaced.

    What is no plain file, such as ``/dev/stdout``, is written to as it is.

    :raises FileNotWritten: if that fails
    """
    try:
        if os.path.lexists(path) and not os.path.isfile(path):
            with open(path, "wb") as file:
                file.writelines(pieces)
        else:
            _replace(os.path.realpath(path), pieces)
    except (OSError, ValueError) as error:  # ValueError: a path that holds a NUL character
        raise FileNotWritten(path, getattr(error, "strerror", None) or str(error)) from error


def _replace(path: str, pieces: Iterable[bytes]) -> None:
    # Beside it, because only within one file system a name is given at once.
    beside = f"{path}.{secrets.token_hex(4)}.tmp"
    try:
        with open(beside, "xb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            os.chmod(beside, os.stat(path).st_mode & 0o777)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
