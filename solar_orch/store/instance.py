"""The name under which this process acts in the database."""

from __future__ import annotations

import functools
import getpass
import hashlib
import os
import secrets
import socket
from pathlib import Path


@functools.cache
def instance() -> str:
    """``host:machine:pid:random``; the same throughout one process, another one after a fork.

    ``machine`` stands for the boot of the host and its namespaces, so that
    within it a pid means the same process.
    """
    return f"{socket.gethostname()[:32]}:{_machine()}:{os.getpid()}:{secrets.token_hex(4)}"


os.register_at_fork(after_in_child=instance.cache_clear)


#: Characters of the names under which transitions are made.
_LENGTH = 64


def command(verb: str) -> str:
    """``solar-orch VERB (user@host)``, cut to what fits: the name under which a command acts."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # the user has no name here, as in some containers
        user = str(os.getuid())
    return f"solar-orch {verb} ({user}@{socket.gethostname()}"[: _LENGTH - 1] + ")"


def is_of_this_machine(other: str) -> bool:
    """Whether that instance was, or is, a process that can be seen from here."""
    return other.rsplit(":", 3)[1:2] == [_machine()]


def is_known_dead(other: str) -> bool:
    """Whether the process of that instance is certainly gone.

    False says nothing: it may run elsewhere, where this process cannot see it.
    """
    try:
        _, machine, pid, _ = other.rsplit(":", 3)
        if machine != _machine():
            return False
        # The state follows the name, which may hold anything, in parentheses.
        state = Path(f"/proc/{int(pid)}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    except (ValueError, OSError, IndexError):
        return False
    return state == "Z" or (other != instance() and int(pid) == os.getpid())


@functools.cache
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        # Of pids, and of the sockets by which guards are asked.
        namespace = os.readlink("/proc/self/ns/pid") + os.readlink("/proc/self/ns/net")
    except OSError:
        # Without both a pid is no proof: be a machine of one's own.
        boot, namespace = secrets.token_hex(8), ""
    return hashlib.sha256(f"{boot}{namespace}".encode()).hexdigest()[:8]
