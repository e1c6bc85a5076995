"""One part is imported and looked at; to be called in a process of its own."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import re
import sys
import types
from typing import TYPE_CHECKING, Any

from solar_orch.contracts import options as brought
from solar_orch.contracts import versions
from solar_orch.contracts.signatures import ContractBroken
from solar_orch.contracts.table import contract_of
from solar_orch.doctor import places
from solar_orch.doctor.findings import Finding, Kind, Place
from solar_orch.doctor.openings import opened_by
from solar_orch.doctor.registry import Part, alike, registered_at
from solar_orch.errors import ConfigError
from solar_orch.plugins import plain
from solar_orch.workers.base import Worker

if TYPE_CHECKING:
    from oslo_config import cfg


class Broken(Exception):  # noqa: N818 - said of the part
    """What is wrong with a part, so that nothing more can be found out."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding


class Probe:
    """Looks at one part.

    :param conf: in which the options that it brings are registered
    """

    def __init__(self, part: Part, conf: cfg.ConfigOpts) -> None:
        self.part = part
        self.entry = part.entry
        self.conf = conf

    def finding(self, kind: Kind, problem: str, remedy: str, place: Place | None = None) -> Finding:
        """What is wrong with the part, here or where it is registered."""
        entry = self.entry
        return Finding(
            kind,
            entry.namespace,
            entry.name,
            entry.package,
            self.part.selected,
            " ".join(problem.split()),
            remedy,
            place or registered_at(entry),
        )

    def run(self) -> list[Finding]:
        """Import it, and find what is wrong."""
        try:
            obj, opened = opened_by(self.load)
        except Broken as broken:
            return [broken.finding]
        found = [self._opens(opened)] if opened else []
        found += [self._version(obj)] if versions.mismatch(obj) else self._contract(obj)
        return [*found, *self._options(obj)]

    def _opens(self, opened: list[str]) -> Finding:
        module = sys.modules.get(self.entry.target.partition(":")[0].strip())
        return self.finding(
            Kind.OPENS,
            f"importing it opens {_listed(opened)}, and a runner may fork",
            "open it when it is first used, or in Executor.run()",
            places.of_object(module) if module is not None else None,
        )

    # -- importing -------------------------------------------------------------------

    def load(self) -> Any:
        """What the entry point loads to.

        :raises Broken: if it cannot be had
        """
        target = self.entry.target
        match = importlib.metadata.EntryPoint.pattern.match(target)
        if match is None:
            raise self._broken(
                Kind.MALFORMED,
                f"its target {target!r} is not of the form module or module:attribute",
                "mend the entry point in the setup.cfg or pyproject.toml, and install the package again",
            )
        module = self._imported(match["module"])
        obj: Any = module
        for name in filter(None, (match["attr"] or "").split(".")):
            obj = self._attribute(obj, name)
        return obj

    def _imported(self, name: str) -> types.ModuleType:
        try:
            return importlib.import_module(name)
        except BaseException as error:  # a module may well say sys.exit() where it is imported
            kind = Kind.SYNTAX if isinstance(error, SyntaxError) else Kind.IMPORT
            raise self._broken(
                kind,
                f"it cannot be imported: {plain(error)}",
                self._mended_import(error, name),
                places.of_error(error, self.entry.target),
            ) from error

    def _mended_import(self, error: BaseException, module: str) -> str:
        package = self.entry.distribution or "the package"
        if isinstance(error, ModuleNotFoundError) and error.name:
            if error.name == module or module.startswith(f"{error.name}."):
                return (
                    f"see that {package} holds a module {error.name}, and lists the package that it is in,"
                    " and install it again"
                )
            missing = error.name.partition(".")[0]
            return f"install {missing}, and have {package} require it"
        return f"mend this line, or uninstall {package}"

    def _attribute(self, obj: Any, name: str) -> Any:
        try:
            return getattr(obj, name)
        except AttributeError:
            there = [each for each in dir(obj) if not each.startswith("_")]
            meant = alike(name, there)
            raise self._broken(
                Kind.ATTRIBUTE,
                f"its target is {self.entry.target}, but {_named(obj)} has no {name}",
                f"did you mean {' or '.join(meant)}? Mend the entry point, and install the package again"
                if meant
                else f"define {name} there, or mend the entry point and install the package again",
                places.of_object(obj),
            ) from None
        except BaseException as error:
            raise self._broken(
                Kind.IMPORT,
                f"it cannot be had: {plain(error)}",
                f"mend this line, or uninstall {self.entry.distribution or 'the package'}",
                places.of_error(error, self.entry.target),
            ) from error

    def _broken(self, kind: Kind, problem: str, remedy: str, place: Place | None = None) -> Broken:
        return Broken(self.finding(kind, problem, remedy, place))

    # -- what it is ------------------------------------------------------------------

    def _version(self, obj: Any) -> Finding:
        said, _, remedy = (versions.mismatch(obj) or "").partition(": ")
        module = obj if inspect.ismodule(obj) else sys.modules.get(getattr(obj, "__module__", None) or "")
        declared_at = places.of_line(getattr(module, "__file__", None), rf"\b{versions.ATTRIBUTE}\b")
        return self.finding(
            Kind.VERSION, said, remedy or f'write {versions.ATTRIBUTE} = "{versions.API}"', declared_at
        )

    def _contract(self, obj: Any) -> list[Finding]:
        contract = contract_of(self.entry.namespace)
        if contract is None:
            return []
        try:
            contract.check(obj)
            if contract.worker is not None and isinstance(obj, type) and issubclass(obj, Worker):
                _require_name(obj, contract.worker)
        except ContractBroken as error:
            return [
                self.finding(
                    Kind.CONTRACT,
                    str(error),
                    f"make it {contract.usage}, see solar-orch plugins show",
                    places.of_object(obj),
                )
            ]
        except BaseException as error:  # an attribute of it may be a property that fails
            return [
                self.finding(
                    Kind.CONTRACT,
                    f"it cannot be looked at: {plain(error)}",
                    f"make it {contract.usage}, see solar-orch plugins show",
                    places.of_error(error, self.entry.target),
                )
            ]
        return []

    # -- what it brings --------------------------------------------------------------

    def _options(self, obj: Any) -> list[Finding]:
        try:
            options = brought.brought_by(obj, self.entry.target)
        except ContractBroken as error:
            return [self._unusable(str(error), self._list_opts_at(obj))]
        except BaseException as error:
            problem = f"{brought.FUNCTION} failed: {plain(error)}"
            return [self._unusable(problem, places.of_error(error, self.entry.target))]
        found = []
        for group, opts in options:
            for option in opts:
                finding = self._option(obj, group, option)
                if finding is not None:
                    found.append(finding)
        return found

    def _option(self, obj: Any, group: str | None, option: cfg.Opt) -> Finding | None:
        try:
            brought.register(self.conf, [(group, [option])])
        except ContractBroken as error:
            said, _, remedy = str(error).rpartition(": ")
            return self.finding(Kind.OPTIONS, said, remedy, self._list_opts_at(obj))
        except ConfigError as error:
            return self.finding(
                Kind.VALUE,
                f"in [{group or 'DEFAULT'}], {error}",
                f"set {option.name} to another value",
                self._list_opts_at(obj),
            )
        except Exception as error:
            return self._unusable(
                f"its option {option.name} cannot be registered: {plain(error)}", self._list_opts_at(obj)
            )
        return None

    def _unusable(self, problem: str, place: Place | None) -> Finding:
        remedy = f"have {brought.FUNCTION}() return [(group, [option, ...])], as for oslo-config-generator"
        return self.finding(Kind.OPTIONS, problem, remedy, place)

    def _list_opts_at(self, obj: Any) -> Place | None:
        module = sys.modules.get(self.entry.target.partition(":")[0].strip())
        function = getattr(obj, brought.FUNCTION, None) or getattr(module, brought.FUNCTION, None)
        return places.of_object(function if callable(function) else module)


def probe(part: Part, conf: cfg.ConfigOpts) -> dict[str, Any]:
    """What is wrong with a part, and the options that it brings, as JSON."""
    looked_at = Probe(part, conf)
    return {"findings": [finding.as_dict() for finding in looked_at.run()], "options": _brought(looked_at)}


def _brought(probe: Probe) -> list[dict[str, Any]]:
    """Of each option how others would have to be to be the same."""
    try:
        obj = probe.load()
        options = brought.brought_by(obj, probe.entry.target)
    except BaseException:  # which has been found already
        return []
    return [
        {
            "group": group or "DEFAULT",
            "name": option.dest,
            # Addresses tell only that they are in different processes.
            "looks": re.sub(r" at 0x[0-9a-f]+", "", repr(sorted(vars(option).items()))),
        }
        for group, opts in options
        for option in opts
    ]


def _require_name(driver: type[Worker], worker: str) -> None:
    if driver.name != worker:
        raise ContractBroken(
            f"{driver.__qualname__}.name must be that of its worker, {worker!r}, but is {driver.name!r}"
        )


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _named(obj: Any) -> str:
    return f"the module {obj.__name__}" if inspect.ismodule(obj) else getattr(obj, "__qualname__", repr(obj))
