"""Parts together, as a host has them; to be called in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from solar_orch import plugins
from solar_orch.contracts.signatures import ContractBroken
from solar_orch.doctor.findings import Kind
from solar_orch.doctor.probing import Probe
from solar_orch.doctor.registry import Part
from solar_orch.errors import PluginError, SolarError
from solar_orch.extensions import make_client, make_worker
from solar_orch.host import Host
from solar_orch.workers import task_types

if TYPE_CHECKING:
    from oslo_config import cfg


def build_host(conf: cfg.ConfigOpts) -> dict[str, Any]:
    """Why the host cannot be built as it is configured, and whose fault it is; it opens nothing."""
    try:
        Host(conf).build()
    except PluginError as error:
        origin = f" from {error.package}" if error.package else ""
        return {
            "problem": f"{error.namespace}: {error.name}{origin}: {error.cause}",
            "namespace": error.namespace,
            "name": error.name,
            "package": error.package,
            "cause": error.cause,
        }
    except SolarError as error:
        return {"problem": str(error), "namespace": None}
    return {"problem": None}


def fit_task_types(parts: Sequence[Part], conf: cfg.ConfigOpts) -> list[dict[str, Any]]:
    """What keeps task types from being added to the configured tasks worker.

    :param parts: those in which nothing is wrong
    """
    clients = {name: make_client(conf, name) for name in plugins.names(plugins.EXTENSIONS)}
    worker = make_worker(conf, clients, "tasks")
    found = []
    for part in parts:
        probe = Probe(part, conf)
        function = probe.load()
        try:
            task_types.add(worker, part.entry.name, function)
        except ContractBroken as error:
            remedy = f"have {part.entry.package} register it under another name"
            found.append(probe.finding(Kind.TASK_TYPE, str(error), remedy).as_dict())
    return found
