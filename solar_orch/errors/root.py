"""The root of all errors, and what the commands exit with."""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """What the commands exit with."""

    OK = 0
    #: Something failed: a task is in ERROR, an executor died, a database is gone.
    FAILURE = 1
    #: Wrong usage, configuration, plug-in, plan or uid.
    USAGE = 2
    #: ``solar-worker``: the lock of an address is held by another process.
    ADDRESS_IN_USE = 3
    #: ``solar-orch -w``: the wait ran out.
    WAIT_EXPIRED = 3
    #: ``solar-orch run-once``: no worker is up to run the plan.
    NO_WORKER = 4
    #: Ctrl-C during ``solar-orch run``.
    INTERRUPTED = 130


class SolarError(Exception):
    """The root of all errors of this package."""

    exit_code: ExitCode = ExitCode.FAILURE
