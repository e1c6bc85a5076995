"""Changes: the difference between what is wanted and what is, staged, and made into a plan."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from mini_core.errors import NothingStaged, ResourceError
from mini_core.resources import Resource, Resources
from solar_orch import Orchestrator
from solar_orch.plan.parse import parse


@dataclass(frozen=True)
class Change:
    """What an action of a resource is to make of it: input to its value before and after."""

    resource: str
    action: str
    diff: Mapping[str, list[Any]]


def wanted(resources: Resources) -> list[Change]:
    """What is to be changed, each after what it needs.

    ``run`` makes a resource that there is not yet, ``update`` changes one.

    :raises ResourceError: if a resource is not as it has to be
    """
    found = []
    for name, resource in resources.all().items():
        before, after = resources.made(name), resources.values(name)
        if before == after:
            continue
        old = before or {}
        diff = {
            key: [old.get(key), after.get(key)]
            for key in sorted({*old, *after})
            if before is None or old.get(key) != after.get(key)
        }
        found.append(Change(name, _action(resource, is_new=before is None), diff))
    return found


def _action(resource: Resource, *, is_new: bool) -> str:
    action = "run" if is_new else "update"
    if action not in resource.actions:
        raise ResourceError(resource.name, f"it has to be changed, and has no action {action}")
    return action


def stage(orchestrator: Orchestrator, resources: Resources) -> list[Change]:
    """Stage what is to be changed, and take back what is staged and no longer wanted; what is staged now.

    :raises ResourceError: if a resource is not as it has to be; nothing is staged then
    """
    changes = wanted(resources)
    missing = {(change.resource, change.action): change for change in changes}
    for item in orchestrator.staged():
        key = item["resource"], item["action"]
        if key in missing and item["diff"] == missing[key].diff:
            del missing[key]
        else:
            orchestrator.discard([item["id"]])
    for change in missing.values():
        orchestrator.stage(change.resource, change.action, dict(change.diff))
    return changes


def process(orchestrator: Orchestrator, resources: Resources) -> str:
    """Make a plan of what is staged: one task for each change, after those of the resources it needs.

    :return: the uid of the plan
    :raises NothingStaged: if nothing is staged
    :raises ResourceError: if a resource is not as it has to be
    """
    staged = {item["resource"]: item["action"] for item in orchestrator.staged()}
    if not staged:
        raise NothingStaged("nothing is staged; `mini changes stage` stages what has to be changed")
    known = resources.all()
    before = _staged_before(known, staged)
    tasks = [
        {
            "uid": f"{name}.{action}",
            "parameters": {
                "type": "solar_resource",
                "args": [name, action],
                **({"target": known[name].host} if name in known and known[name].host else {}),
            },
            "after": sorted(f"{other}.{staged[other]}" for other in before.get(name, ())),
        }
        for name, action in staged.items()
    ]
    return orchestrator.create(parse(json.dumps({"name": "changes", "tasks": tasks})))


def _staged_before(known: Mapping[str, Resource], staged: Collection[str]) -> dict[str, set[str]]:
    """For each resource the nearest that it needs, at whatever distance, and that are changed as well.

    :param known: each after those that it needs, so that what is found for one is there for the next
    """
    found: dict[str, set[str]] = {}
    for name, resource in known.items():
        found[name] = set()
        for needed in resource.needs:
            found[name] |= {needed} if needed in staged else found[needed]
    return found
