"""Errors of the database."""

from __future__ import annotations

from solar_orch.errors.root import ExitCode, SolarError


class DatabaseRefused(SolarError):
    """What stands at the database URL is not a database of this version; it is left untouched."""

    exit_code = ExitCode.USAGE

    def __init__(self, database: str, problem: str) -> None:
        self.database = database
        self.problem = problem
        super().__init__(f"database {database}: {problem}")


class DatabaseUnavailable(SolarError):
    """The database could not be reached or written for as long as was waited.

    :param in_doubt: whether the change may have been made all the same: its commit was not answered,
        and could not be read back
    """

    def __init__(self, database: str, problem: str, *, in_doubt: bool = False) -> None:
        self.database = database
        self.problem = problem
        self.in_doubt = in_doubt
        doubt = " (whether the last change was made is not known)" if in_doubt else ""
        super().__init__(f"database {database} is not available: {problem}{doubt}")
