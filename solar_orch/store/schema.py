"""The tables.

``SCHEMA_VERSION`` is raised with every change here; a database of another
version is refused.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION = 3

METADATA = MetaData()

schema_version = Table(
    "solar_schema",
    METADATA,
    Column("version", Integer, nullable=False),
)

plans = Table(
    "plans",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("uid", String(140), nullable=False, unique=True),
    Column("name", String(100), nullable=False),
    # Unix seconds by the database's clock, as all columns that end in _at or _time.
    Column("created_at", Float, nullable=False),
    Column("status", String(16), nullable=False),
    # What commands find in their environment, and where they run, unless their task says otherwise.
    Column("env", JSON(none_as_null=True)),
    Column("cwd", Text),
    # That the plan is to run: the truth that a call of `next` only hints at.
    Column("wanted", Boolean, nullable=False, default=False),
    # Who leads it.  An epoch is never used twice, so that it fences a leader that was replaced.
    Column("lease_owner", String(64)),
    Column("lease_epoch", Integer, nullable=False, default=0),
    Column("lease_beat", Integer, nullable=False, default=0),
    Column("lease_since", Float),
    # Raised by every steering command; tells a leader to load the plan anew.
    Column("revision", Integer, nullable=False, default=0),
    sqlite_autoincrement=True,
)

tasks = Table(
    "tasks",
    METADATA,
    Column("id", Integer, primary_key=True),
    # No foreign key, here and below: a plan is deleted at once, and what it leaves behind in steps.
    Column("plan_id", Integer, nullable=False),
    # Place in topological order.
    Column("position", Integer, nullable=False),
    Column("name", String(200), nullable=False),
    Column("type", String(100), nullable=False),
    Column("args", JSON, nullable=False),
    Column("kwargs", JSON, nullable=False),
    # Whether anything in args and kwargs is filled in when the task is dispatched, or later.
    Column("templates", Boolean, nullable=False, default=False),
    # What must hold for it to run; else it becomes NOOP.
    Column("condition", Text),
    Column("target", String),
    Column("timelimit", Float),
    Column("timeout", Float),
    Column("retry", Integer, nullable=False),
    Column("retry_delay", Float, nullable=False),
    Column("retry_delay_max", Float),
    Column("on_lost", String(8), nullable=False),
    Column("on_error", String(8), nullable=False),
    Column("type_limit", Integer),
    Column("resource_type", String),
    # None stands for the length of the longest path below it.
    Column("weight", Float),
    Column("status", String(12), nullable=False),
    # Number of dispatches so far; fences every change of an attempt.
    Column("attempt", Integer, nullable=False, default=0),
    # How many attempts failed, and how many were lost, since the task was last reset.
    Column("failures", Integer, nullable=False, default=0),
    Column("losses", Integer, nullable=False, default=0),
    # Who had claimed the attempts that were lost, apart by spaces: what they started must be gone first.
    Column("lost_workers", Text, nullable=False, default=""),
    Column("errmsg", Text),
    # Of the attempt now in progress: who claimed it, the beat that keeps it alive, a wish to kill it.
    Column("worker", String(64)),
    Column("beat", Integer, nullable=False, default=0),
    Column("kill", String),
    Column("dispatched_at", Float),
    Column("start_time", Float),
    Column("end_time", Float),
    Column("output", Text),
    Column("result", JSON),
    UniqueConstraint("plan_id", "name"),
    UniqueConstraint("plan_id", "position"),
)
Index(
    "tasks_in_progress",
    tasks.c.plan_id,
    sqlite_where=tasks.c.status == "INPROGRESS",
)

#: `child` waits for `parent`; both are positions of tasks of the plan.
edges = Table(
    "edges",
    METADATA,
    Column("plan_id", Integer, primary_key=True),
    Column("child", Integer, primary_key=True),
    Column("parent", Integer, primary_key=True),
    sqlite_with_rowid=False,
)

#: Every transition, written with it in one transaction.
events = Table(
    "events",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("plan_id", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("old", String(12), nullable=False),
    Column("new", String(12), nullable=False),
    Column("at", Float, nullable=False),
    # The instance of a worker, or the command, that made it.
    Column("by", String(64), nullable=False),
    Column("message", Text),
    sqlite_autoincrement=True,
)
Index("events_of_plan", events.c.plan_id, events.c.id)

#: Running workers, one row for each worker of each process.
workers = Table(
    "workers",
    METADATA,
    Column("instance", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("host", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("address", String, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("beat", Integer, nullable=False, default=0),
    Column("beat_at", Float, nullable=False),
)

#: The system log: changes that are staged, and those that were made.
log_items = Table(
    "log_items",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("log", String(8), nullable=False),  # staged or history
    Column("resource", String, nullable=False),
    Column("action", String, nullable=False),
    Column("diff", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("state", String(8), nullable=False),  # staged, error or success
    Column("errmsg", Text),
    Column("plan_uid", String(140)),
    # The latest event when it was staged: it is not what earlier tasks made.
    Column("after_event", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    sqlite_autoincrement=True,
)
Index("log_items_of_log", log_items.c.log, log_items.c.resource, log_items.c.action)

#: One outcome for each attempt that finished.
log_outcomes = Table(
    "log_outcomes",
    METADATA,
    Column("event_id", Integer, primary_key=True),
    Column("plan_uid", String(140), nullable=False),
    Column("task_name", String(200), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("status", String(12), nullable=False),
    Column("errmsg", Text),
    Column("at", Float, nullable=False),
)
Index("log_outcomes_of_plan", log_outcomes.c.plan_uid, log_outcomes.c.event_id)

#: Up to which event each follower has read, by follower's name.
cursors = Table(
    "cursors",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("event_id", Integer, nullable=False),
)

#: The latest commit of each process: tells whether one whose answer was lost was made.
commits = Table(
    "commits",
    METADATA,
    Column("slot", String(80), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("at", Float, nullable=False),
    sqlite_with_rowid=False,
)
