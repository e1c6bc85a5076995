"""Every error that solar_orch raises on purpose.

All derive from :class:`SolarError`.  Each carries what it is about in
fields, formats itself as text that a person can act on, and knows the exit
code with which a command that meets it ends.
"""

from __future__ import annotations

from solar_orch.errors.calls import (
    CommandFailed,
    EndUnknown,
    ExecutionTimeout,
    HostUnreachable,
    Interrupted,
    Killed,
    Rejected,
    TaskError,
    UnknownTaskType,
    Unrunnable,
)
from solar_orch.errors.carrying import AddressError, AddressInUse, NoPeer, NotCarried
from solar_orch.errors.database import DatabaseRefused, DatabaseUnavailable
from solar_orch.errors.parts import (
    ConfigError,
    DirectoryRefused,
    ExaminationFailed,
    NameRefused,
    PluginError,
    UnknownPart,
)
from solar_orch.errors.pictures import FileNotWritten, MissingExtra, PictureError
from solar_orch.errors.plans import (
    CannotStart,
    InvalidChange,
    Mistake,
    PlanError,
    PlanExists,
    PlanUnreadable,
    TransitionError,
    UnknownItem,
    UnknownPlan,
    UnknownTask,
    WrongState,
)
from solar_orch.errors.root import ExitCode, SolarError
from solar_orch.errors.text import ERRMSG_LIMIT, describe, some

__all__ = [
    "ERRMSG_LIMIT",
    "AddressError",
    "AddressInUse",
    "CannotStart",
    "CommandFailed",
    "ConfigError",
    "DatabaseRefused",
    "DatabaseUnavailable",
    "DirectoryRefused",
    "EndUnknown",
    "ExaminationFailed",
    "ExecutionTimeout",
    "ExitCode",
    "FileNotWritten",
    "HostUnreachable",
    "Interrupted",
    "InvalidChange",
    "Killed",
    "MissingExtra",
    "Mistake",
    "NameRefused",
    "NoPeer",
    "NotCarried",
    "PictureError",
    "PlanError",
    "PlanExists",
    "PlanUnreadable",
    "PluginError",
    "Rejected",
    "SolarError",
    "TaskError",
    "TransitionError",
    "UnknownItem",
    "UnknownPart",
    "UnknownPlan",
    "UnknownTask",
    "UnknownTaskType",
    "Unrunnable",
    "WrongState",
    "describe",
    "some",
]
