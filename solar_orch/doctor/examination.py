"""Everything that is installed is looked at, each part in a process of its own.

To be called in a process that has imported no part; it forks others from itself.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from solar_orch import plugins
from solar_orch.contracts.options import FUNCTION
from solar_orch.doctor import places, statics
from solar_orch.doctor.assembly import build_host, fit_task_types
from solar_orch.doctor.findings import Diagnosis, Finding, Kind
from solar_orch.doctor.isolation import Ended, run_all
from solar_orch.doctor.patching import patched
from solar_orch.doctor.probing import Probe, probe
from solar_orch.doctor.registry import Part, Registry

if TYPE_CHECKING:
    from oslo_config import cfg

#: Where most of what ships is, with all that takes time to import; each process begins with it.
_PRELOADED = (
    "solar_orch.executors.zerorpc",
    "solar_orch.executors.inline",
    "solar_orch.constructors",
    "solar_orch.extensions",
    "solar_orch.hooks",
    "solar_orch.host",
    "solar_orch.runners.gevent",
    "solar_orch.workers.scheduler",
    "solar_orch.workers.system_log",
    "solar_orch.workers.task_types",
    "solar_orch.workers.tasks",
    # What gevent's patching imports.
    "concurrent.futures.thread",
    "gevent.events",
    "gevent.monkey.api",
    "gevent.select",
    "gevent.selectors",
    "gevent.signal",
    "gevent.ssl",
    "gevent.threading",
    "gevent.time",
)

#: A host is made of many parts, and gets so much more time than one of them.
_TIMES_FOR_A_HOST = 3


def preload() -> None:
    """Import what ships, so that this is not done once for each part."""
    for module in _PRELOADED:
        # What cannot be imported is found with the part that it stands for.
        with contextlib.suppress(Exception):
            importlib.import_module(module)


def examine(conf: cfg.ConfigOpts, seconds: float) -> Diagnosis:
    """Look at every installed part, and at all of them together; blocks for as long as that takes.

    :param seconds: that the import of one part may take
    """
    registry = Registry(conf)
    parts = registry.parts
    found = list(statics.examine(registry))
    preload()
    ended = run_all({part: patched(functools.partial(probe, part, conf)) for part in parts}, seconds)
    for part, each in ended.items():
        found += of_process(part, conf, each)
    found += _clashing_options(ended)
    host, more = _together(conf, parts, found, seconds)
    packages = {part.entry.package for part in parts}
    return Diagnosis(sorted([*found, *more], key=_order), len(parts), len(packages), host)


def of_process(part: Part, conf: cfg.ConfigOpts, ended: Ended) -> Iterator[Finding]:
    """What is wrong with a part, by what became of the process in which it was looked at."""
    looked_at, target, package = (
        Probe(part, conf),
        part.entry.target,
        part.entry.distribution or "the package",
    )
    if ended.problem is None:
        yield from map(Finding.from_dict, ended.value["findings"])
    else:
        yield looked_at.finding(
            Kind.HANG if ended.hung else Kind.CRASH,
            f"importing it {ended.problem}",
            f"have it wait when it is used, not when it is imported, or uninstall {package}"
            if ended.hung
            else f"mend what it does when it is imported, or uninstall {package}",
            places.of_frames(ended.frames, target),
        )
    if ended.written:
        line = ended.written.splitlines()[0]
        yield looked_at.finding(
            Kind.OUTPUT,
            f"importing it writes to stdout, where answers to programs stand: {line!r}",
            "log it by logging.getLogger(__name__)",
            places.of_frames(ended.written_at, target),
        )


def _clashing_options(ended: dict[Part, Ended]) -> Iterator[Finding]:
    """Options of the same name that differ from those of another part."""
    first: dict[tuple[str, str], tuple[Part, str]] = {}
    told = set()
    for part, each in ended.items():
        for option in each.value["options"] if each.problem is None else ():
            key = option["group"], option["name"]
            other, looks = first.setdefault(key, (part, option["looks"]))
            pair = *key, part.entry.package, other.entry.package
            if looks == option["looks"] or pair in told:
                continue
            told.add(pair)
            yield statics.finding(
                part,
                Kind.OPTIONS,
                f"its option {key[1]} of [{key[0]}] is another one than that of {other.entry.name} in"
                f" {other.entry.namespace}, from {other.entry.package}",
                f"have {FUNCTION}() of {part.entry.package} name the option, or its group, after the package",
            )


def _together(
    conf: cfg.ConfigOpts, parts: Sequence[Part], found: Sequence[Finding], seconds: float
) -> tuple[str | None, list[Finding]]:
    """Whether the parts make a host; why not, and what was not found in them one by one."""
    wrong = {(finding.namespace, finding.name) for finding in found}
    hanging = [finding for finding in found if finding.selected and finding.kind is Kind.HANG]
    if hanging:
        finding = hanging[0]
        return f"{finding.namespace}: {finding.name} from {finding.package}: {finding.problem}", []
    sound = [part for part in parts if (part.entry.namespace, part.entry.name) not in wrong]
    more = unfit_task_types(sound, conf, seconds)
    host = run_all({"host": patched(functools.partial(build_host, conf))}, seconds * _TIMES_FOR_A_HOST)[
        "host"
    ]
    if host.problem is not None:
        return f"building it {host.problem}", more
    built = host.value
    if built["problem"] and built["namespace"]:
        known = wrong | {(finding.namespace, finding.name) for finding in more}
        if (built["namespace"], built["name"]) not in known:
            more.append(
                Finding(
                    Kind.HOST,
                    built["namespace"],
                    built["name"],
                    built["package"],
                    True,
                    built["cause"],
                    "mend it, or configure another part in its place",
                )
            )
    return built["problem"], more


def unfit_task_types(parts: Sequence[Part], conf: cfg.ConfigOpts, seconds: float) -> list[Finding]:
    """What is wrong with task types beside those that the configured driver has.

    :param parts: in which nothing has been found; those of other namespaces do not matter
    """
    types = [part for part in parts if part.entry.namespace == plugins.TASK_TYPES]
    if not types:
        return []
    fit = patched(functools.partial(fit_task_types, types, conf))
    ended = run_all({"types": fit}, seconds * _TIMES_FOR_A_HOST)["types"]
    # Where they cannot be tried, neither can the host be built, and that says why.
    return list(map(Finding.from_dict, ended.value or ()))


def _order(finding: Finding) -> tuple[str, str, str, str]:
    return finding.namespace, finding.name, finding.package or "", finding.kind
