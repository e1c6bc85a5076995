"""What each program of a subject shares: the workload that it reads, and the one line that it answers.

It is imported in the environments of the peers, in which nothing of this project is installed.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Request:
    """What the bench asks of a program."""

    #: Of each plan, of each task, the numbers of the tasks that it waits for; these stand before it.
    plans: list[list[list[int]]]
    #: A directory of this run alone.
    directory: Path
    options: dict[str, Any]


def request() -> Request:
    """What stands in the file that the command line names."""
    read = json.loads(Path(sys.argv[1]).read_text())
    return Request(read["plans"], Path(read["directory"]), read["options"])


def answer(seconds: float, ended: int, problem: str | None = None, **details: Any) -> None:
    """Tell the bench how long the tasks took.

    :param seconds: from the moment at which the plans were wanted to the end of the last task
    :param ended: number of tasks that have ended well, counted from what was kept of them
    :param problem: what was wrong, if anything was
    """
    print(json.dumps({"seconds": seconds, "ended": ended, "problem": problem, **details}), flush=True)


def children(parents: list[list[int]]) -> list[list[int]]:
    """Of each task, the numbers of the tasks that wait for it."""
    found: list[list[int]] = [[] for _ in parents]
    for child, above in enumerate(parents):
        for parent in above:
            found[parent].append(child)
    return found


def layers(parents: list[list[int]]) -> list[list[int]]:
    """The tasks by their distance from the tasks that wait for nothing."""
    depth: list[int] = []
    for above in parents:
        depth.append(1 + max((depth[parent] for parent in above), default=-1))
    found: list[list[int]] = [[] for _ in range(max(depth, default=-1) + 1)]
    for number, level in enumerate(depth):
        found[level].append(number)
    return found
