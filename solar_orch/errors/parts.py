"""Errors of configuration, parts and new distributions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from solar_orch.errors.root import ExitCode, SolarError


class ConfigError(SolarError):
    """A configuration that cannot be used.

    :param option: name of the option, or None when no single one is at fault
    :param value: what it was set to, or None when that is not known or must not be shown
    :param source: file or environment variable that set it
    """

    exit_code = ExitCode.USAGE

    def __init__(
        self,
        problem: str,
        *,
        option: str | None = None,
        value: str | None = None,
        source: str | None = None,
    ) -> None:
        self.problem = problem
        self.option = option
        self.value = value
        self.source = source
        where = f" ({source})" if source else ""
        assigned = "" if value is None else f" = {value!r}"
        what = f"option {option}{assigned}: " if option else ""
        super().__init__(f"{what}{problem}{where}")


class PluginError(SolarError):
    """A part that is missing, broken, of the wrong type or found twice.

    :param namespace: the entry-point namespace
    :param name: the entry point's name
    :param package: ``distribution version`` that registers it, or None
    :param cause: what is wrong, one line
    :param available: the names that the namespace does have
    """

    exit_code = ExitCode.USAGE

    def __init__(
        self,
        namespace: str,
        name: str,
        cause: str,
        *,
        package: str | None = None,
        available: Iterable[str] = (),
    ) -> None:
        self.namespace = namespace
        self.name = name
        self.package = package
        self.cause = cause
        self.available = sorted(set(available))
        origin = f" from {package}" if package else ""
        super().__init__(f"{namespace}: {name}{origin}: {cause} ({self._hint()})")

    def _hint(self) -> str:
        others = [name for name in self.available if name != self.name]
        if others == self.available:
            return f"names that could be had: {', '.join(others) or 'none'}"
        return f"other names: {', '.join(others) or 'none'}; all of it: solar-orch plugins doctor"


class UnknownPart(SolarError):
    """A namespace that nobody reads or registers a part in, or a name that no package registers there.

    :param what: ``namespace`` or ``name``
    :param given: what was asked for
    :param where: the namespace of a name
    :param suggestions: what may have been meant
    :param available: all that there are
    """

    exit_code = ExitCode.USAGE

    def __init__(
        self,
        what: str,
        given: str,
        *,
        where: str | None = None,
        suggestions: Sequence[str] = (),
        available: Sequence[str] = (),
    ) -> None:
        self.what = what
        self.given = given
        self.where = where
        self.suggestions = list(suggestions)
        self.available = list(available)
        meant = f"; did you mean {' or '.join(self.suggestions)}?" if self.suggestions else ""
        there = f" (there are: {', '.join(self.available)})" if self.available and not meant else ""
        within = f" in {where}" if where else ""
        super().__init__(f"there is no {what} {given}{within}{meant}{there}")


class ExaminationFailed(SolarError):
    """The process in which parts are examined did not give an answer.

    :param problem: how it ended
    """

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"the installed parts could not be examined: {problem}")


class NameRefused(SolarError):
    """A name that a new distribution cannot have.

    :param name: as it was given
    :param problem: what is wrong with it, and what could be done
    """

    exit_code = ExitCode.USAGE

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        self.problem = problem
        super().__init__(f"the name {name!r} cannot be used: {problem}")


class DirectoryRefused(SolarError):
    """A directory that cannot be made as a new one.

    :param path: of the directory
    """

    exit_code = ExitCode.USAGE

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path} {problem}")
