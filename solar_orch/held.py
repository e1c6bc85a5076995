"""What a process holds open: descriptors, greenlets, threads and child processes."""

from __future__ import annotations

import contextlib
import gc
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import gevent

from solar_orch.workers.orphans import PLAN

_DESCRIPTORS = "/proc/self/fd"

#: What tells things of one kind apart: addresses, and numbers of inodes.
_OWN = re.compile(r"(\"Greenlet-\d+\" )?at 0x[0-9a-f]+:? ?|\[\d+\]")


class Held:
    """What this process holds at the moment at which it is made: how many things of each kind."""

    def __init__(self) -> None:
        gc.collect()
        self.kinds = Counter(_OWN.sub("", each) for each in _everything())

    def beyond(self, earlier: Held, least: int = 1) -> str:
        """What is there in addition to an earlier moment, as text; empty if there is nothing.

        :param least: so many more of one kind are needed, for fewer to be let pass
        """
        more = self.kinds - earlier.kinds
        return ", ".join(f"{number} more of {kind}" for kind, number in more.items() if number >= least)


def descriptors() -> dict[str, str]:
    """What each descriptor of this process leads to, by its number."""
    found = {}
    for number in os.listdir(_DESCRIPTORS):
        with contextlib.suppress(FileNotFoundError):  # that with which the directory is read is gone
            found[number] = os.readlink(f"{_DESCRIPTORS}/{number}")
    return found


def greenlets() -> list[gevent.Greenlet]:
    """Those of this process that were started and have not ended; takes some ten milliseconds."""
    # By their types: what stands for something else may fail when it is asked for its class.
    return [obj for obj in gc.get_objects() if issubclass(type(obj), gevent.Greenlet) and obj]


def threads() -> int:
    """How many the kernel knows of in this process."""
    return len(os.listdir("/proc/self/task"))


def processes_of(plan_uid: str) -> list[str]:
    """The commands of the living processes that a plan's tasks have started, wherever those have gone."""
    wanted = f"{PLAN}={plan_uid}".encode()
    return [
        f"{pid} ({_command(pid)})"
        for pid in _processes()
        if wanted in _read(pid, "environ").split(bytes(1)) and is_alive(pid)
    ]


def descendants(pid: int) -> list[int]:
    """The living children of a process, and theirs."""
    children: dict[int, list[int]] = {}
    for child in _processes():
        if is_alive(child):
            children.setdefault(_parent(child), []).append(child)
    found, open_ = [], [pid]
    while open_:
        open_ = [child for parent in open_ for child in children.get(parent, ())]
        found += open_
    return found


def children(pid: int) -> list[int]:
    """The living children of a process."""
    return [child for child in _processes() if _parent(child) == pid and is_alive(child)]


def program(pid: int) -> str:
    """The name of the program that a process runs; empty if it is gone."""
    return _read(pid, "comm").decode(errors="replace").strip()


def _everything() -> Iterator[str]:
    for target in descriptors().values():
        yield f"descriptor of {target}"
    for greenlet in greenlets():
        yield f"greenlet {greenlet!r}"
    for _ in range(threads()):
        yield "threads"
    for pid in descendants(os.getpid()):
        yield f"process {_command(pid)}"


def _processes() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _command(pid: int) -> str:
    return _read(pid, "cmdline").replace(bytes(1), b" ").decode(errors="replace").strip()


def _stat(pid: int) -> list[bytes]:
    """State, parent and so on; empty if the process is gone."""
    # The name of a program may hold blanks and parentheses.
    return _read(pid, "stat").rpartition(b")")[2].split()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended, and of which nobody has asked how, does not."""
    stat = _stat(pid)
    return bool(stat) and stat[0] not in (b"Z", b"X")


def _parent(pid: int) -> int:
    stat = _stat(pid)
    return int(stat[1]) if stat else 0


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
