"""What the database of solar_orch says of a run, read beside the workers; the only file that knows the tables."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from solar_orch.states import PlanStatus, State

_OVER = (PlanStatus.FINISHED, PlanStatus.FAILED, PlanStatus.STOPPED)


class Ledger:
    """A connection that only reads, with each look a transaction of its own."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(
            f"file:{path}?mode=ro", uri=True, isolation_level=None, timeout=5.0
        )

    def close(self) -> None:
        self._connection.close()

    def is_over(self) -> bool:
        """Whether nothing of any plan can go on."""
        return not self._one("SELECT count(*) FROM plans WHERE status NOT IN (?, ?, ?)", *_OVER)

    def logged(self) -> int:
        """Number of outcomes in the system log."""
        return int(self._one("SELECT count(*) FROM log_outcomes"))

    def ended(self) -> int:
        """Number of tasks that have ended well."""
        return int(self._one("SELECT count(*) FROM tasks WHERE status = ?", State.SUCCESS))

    def last_end(self) -> float:
        """When the last attempt ended, in Unix seconds."""
        return float(self._one("SELECT coalesce(max(at), 0) FROM events WHERE new = ?", State.SUCCESS))

    def last_event(self) -> int:
        """The number of the latest event."""
        return int(self._one("SELECT coalesce(max(id), 0) FROM events"))

    def first_end_after(self, event: int) -> float | None:
        """When the first attempt ended that did so after this event, in Unix seconds; None if none has."""
        found = self._one("SELECT min(at) FROM events WHERE id > ? AND new = ?", event, State.SUCCESS)
        return None if found is None else float(found)

    def problem(self, size: int) -> str | None:
        """What is wrong with what was kept of `size` tasks, if anything is."""
        for what, query in (
            ("tasks", "SELECT count(*) FROM tasks"),
            ("tasks in SUCCESS", "SELECT count(*) FROM tasks WHERE status = 'SUCCESS'"),
            ("outcomes in the log", "SELECT count(*) FROM log_outcomes"),
            (
                "tasks with one outcome SUCCESS in the log",
                "SELECT count(*) FROM (SELECT 1 FROM log_outcomes GROUP BY plan_uid, task_name"
                " HAVING count(*) = 1 AND min(status) = 'SUCCESS')",
            ),
        ):
            if (found := self._one(query)) != size:
                return f"{found} {what} instead of {size}"
        return None

    def _one(self, query: str, *values: Any) -> Any:
        return self._connection.execute(query, values).fetchone()[0]
