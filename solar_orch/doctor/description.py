"""What one part is like, for those who want to use it."""

from __future__ import annotations

import functools
import importlib
import inspect
from typing import TYPE_CHECKING, Any

from solar_orch import plugins
from solar_orch.contracts import options as brought
from solar_orch.contracts import versions
from solar_orch.contracts.table import Contract, contract_of
from solar_orch.doctor import places, statics
from solar_orch.doctor.examination import of_process, preload, unfit_task_types
from solar_orch.doctor.findings import Kind
from solar_orch.doctor.isolation import run_all
from solar_orch.doctor.patching import patched
from solar_orch.doctor.probing import Broken, Probe, probe
from solar_orch.doctor.registry import Part, Registry
from solar_orch.interpolation import is_secret
from solar_orch.workers.usage import usage

if TYPE_CHECKING:
    from oslo_config import cfg

#: Stands for a value that must not be shown.
_HIDDEN = "(secret)"


def describe(conf: cfg.ConfigOpts, namespace: str, name: str, seconds: float) -> list[dict[str, Any]]:
    """Describe the parts of one name: more than one if several packages register it.

    Imports each in a process of its own, and blocks for as long as that takes.

    :param seconds: that the import may take
    :raises UnknownPart: if there is none
    """
    registry = Registry(conf)
    parts = registry.find(namespace, name)
    preload()
    ended = run_all({part: patched(functools.partial(_look_at, part, conf)) for part in parts}, seconds)
    known = [
        finding.as_dict()
        for finding in statics.examine(registry)
        if (finding.namespace, finding.name) == (parts[0].entry.namespace, name)
    ]
    described = []
    for part, each in ended.items():
        found = list(of_process(part, conf, each)) or unfit_task_types([part], conf, seconds)
        described.append(
            {
                **part.as_dict(),
                "contract": _contract(contract_of(part.entry.namespace)),
                **(each.value["description"] if each.value else _UNKNOWN),
                "findings": [
                    *(item for item in known if _is_about(item, part)),
                    *(finding.as_dict() for finding in found),
                ],
            }
        )
    return described


#: What is said of a part that cannot be imported.
_UNKNOWN: dict[str, Any] = {
    "summary": None,
    "doc": None,
    "file": None,
    "line": None,
    "api": None,
    "usage": None,
    "capabilities": None,
    "options": [],
}


def _is_about(finding: dict[str, Any], part: Part) -> bool:
    return bool(finding["kind"] == Kind.DUPLICATE or finding["package"] == part.entry.package)


def _look_at(part: Part, conf: cfg.ConfigOpts) -> dict[str, Any]:
    found = probe(part, conf)
    try:
        obj = Probe(part, conf).load()
    except Broken:
        return {**found, "description": _UNKNOWN}
    return {**found, "description": _description(part, obj, conf)}


def _description(part: Part, obj: Any, conf: cfg.ConfigOpts) -> dict[str, Any]:
    place = places.of_object(obj)
    namespace = part.entry.namespace
    doc = inspect.getdoc(obj)
    return {
        "summary": doc.strip().partition("\n")[0] if doc else None,
        "doc": doc,
        "file": place and place.file,
        "line": place and place.line,
        "api": _text(versions.declared(obj)),
        "usage": usage(part.entry.name, obj) if namespace == plugins.TASK_TYPES and callable(obj) else None,
        "capabilities": _capabilities(obj) if namespace == plugins.EXECUTORS else None,
        "options": _options(part, obj, conf),
    }


def _capabilities(obj: Any) -> list[str] | None:
    said: Any = getattr(obj, "capabilities", frozenset())
    return sorted(map(str, said)) if isinstance(said, set | frozenset) else None


def _options(part: Part, obj: Any, conf: cfg.ConfigOpts) -> list[dict[str, Any]]:
    try:
        options = brought.brought_by(obj, part.entry.target)
    except BaseException:  # which is a finding of its own
        return []
    return [
        {
            "group": group or "DEFAULT",
            "name": option.name,
            "type": type(option.type).__name__.lower(),
            "default": _HIDDEN if option.secret else _text(option.default),
            "value": _HIDDEN if is_secret(conf, option.dest, group) else _value(conf, group, option),
            "help": option.help,
        }
        for group, opts in options
        for option in opts
    ]


def _value(conf: cfg.ConfigOpts, group: str | None, option: cfg.Opt) -> str | None:
    try:
        return _text((conf if group is None else conf[group])[option.dest])
    except Exception:  # which is a finding of its own
        return None


def _text(value: Any) -> str | None:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return None if value is None else str(value)


def _contract(contract: Contract | None) -> dict[str, Any] | None:
    if contract is None:
        return None
    module, _, name = contract.described_by.partition(":")
    doc = inspect.getdoc(getattr(importlib.import_module(module), name)) or ""
    return {
        "usage": contract.usage,
        "summary": doc.partition("\n")[0],
        "described_by": f"{module}.{name}",
    }
