"""Resources: what they are to be like (a YAML file each), and what they are like (a JSON file each)."""

from __future__ import annotations

import graphlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mini_core.errors import ResourceError

#: No dot: the task that makes a change is named RESOURCE.ACTION.
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_KEYS = frozenset({"inputs", "actions", "host"})


@dataclass(frozen=True)
class Connection:
    """An input that has the value of another resource's."""

    resource: str
    input: str


@dataclass(frozen=True)
class Resource:
    """What somebody wants there to be."""

    name: str
    #: Values, or connections to those of other resources.
    inputs: Mapping[str, Any] = field(default_factory=dict)
    #: Name to command, which finds the inputs in its environment.
    actions: Mapping[str, str] = field(default_factory=dict)
    #: Where it is; tasks of one host run one after the other.
    host: str | None = None

    @property
    def needs(self) -> set[str]:
        """The names of the resources that it is connected to."""
        return {value.resource for value in self.inputs.values() if isinstance(value, Connection)}


class Resources:
    """All resources of a directory: ``resources/NAME.yaml`` and ``state/NAME.json``.

    Nothing is kept in memory: a file that somebody has edited counts at once.
    """

    def __init__(self, directory: str) -> None:
        self.directory = Path(directory)
        self._files = self.directory / "resources"
        self._states = self.directory / "state"

    def names(self) -> list[str]:
        """Those that there are, sorted."""
        return sorted(path.stem for path in self._files.glob("*.yaml"))

    def get(self, name: str) -> Resource:
        """One resource.

        :raises ResourceError: if it is not there, or not as it has to be
        """
        return _resource(name, self._document(name))

    def all(self) -> dict[str, Resource]:
        """All of them, each after those that it needs.

        :raises ResourceError: if one is not as it has to be, needs one that is not there, or itself
        """
        found = {name: self.get(name) for name in self.names()}
        for resource in found.values():
            for needed in resource.needs - found.keys():
                raise ResourceError(resource.name, f"is connected to {needed}, which is not there")
        try:
            order = graphlib.TopologicalSorter(
                {name: sorted(found[name].needs) for name in found}
            ).static_order()
            return {name: found[name] for name in order}
        except graphlib.CycleError as error:
            circle = error.args[1]
            raise ResourceError(circle[0], f"needs itself: {' -> '.join(circle)}") from error

    def values(self, name: str) -> dict[str, Any]:
        """The inputs of a resource with all connections followed.

        :raises ResourceError: if one leads nowhere
        """
        return {key: self._value(name, key, ()) for key in self.get(name).inputs}

    def set(self, name: str, values: Mapping[str, Any]) -> None:
        """Give inputs of a resource other values; connections are replaced.

        :raises ResourceError: if it has no such input
        """
        document = self._document(name)
        inputs = _resource(name, document).inputs
        for key in values:
            if key not in inputs:
                raise ResourceError(name, f"has no input {key}; there are: {', '.join(sorted(inputs))}")
        document["inputs"] |= values
        _replace(self._files / f"{name}.yaml", yaml.safe_dump(document, sort_keys=False))

    def made(self, name: str) -> dict[str, Any] | None:
        """The inputs with which a resource was last made what it is; None if it never was."""
        path = self._states / f"{name}.json"
        return json.loads(path.read_text())["inputs"] if path.exists() else None

    def note(self, name: str, action: str, values: Mapping[str, Any]) -> None:
        """Write down that an action has made a resource what these inputs say."""
        self._states.mkdir(exist_ok=True)
        _replace(self._states / f"{name}.json", json.dumps({"action": action, "inputs": dict(values)}))

    def _value(self, name: str, key: str, way: tuple[str, ...]) -> Any:
        inputs = self.get(name).inputs
        if key not in inputs:
            raise ResourceError(way[-1].split(".")[0] if way else name, f"{name} has no input {key}")
        value = inputs[key]
        if not isinstance(value, Connection):
            return value
        here = f"{name}.{key}"
        if here in way:
            raise ResourceError(name, f"its input {key} is connected to itself")
        return self._value(value.resource, value.input, (*way, here))

    def _document(self, name: str) -> dict[str, Any]:
        if not _NAME.fullmatch(name):
            raise ResourceError(name, "a name holds letters, digits, _ and - only")
        path = self._files / f"{name}.yaml"
        try:
            document = yaml.safe_load(path.read_bytes())
        except FileNotFoundError:
            known = ", ".join(self.names()) or "none"
            raise ResourceError(name, f"is not there; there are: {known}") from None
        except yaml.YAMLError as error:
            raise ResourceError(name, f"{path} is no YAML: {' '.join(str(error).split())}") from error
        if not isinstance(document, dict) or not document.keys() <= _KEYS:
            raise ResourceError(name, f"{path} must be a mapping of {', '.join(sorted(_KEYS))}")
        return document


def _resource(name: str, document: Mapping[str, Any]) -> Resource:
    inputs, actions, host = (document.get(key) for key in ("inputs", "actions", "host"))
    if not isinstance(inputs or {}, dict) or not isinstance(actions or {}, dict):
        raise ResourceError(name, "inputs and actions must be mappings")
    if not isinstance(host, str | None):
        raise ResourceError(name, f"host must be a text, not {host!r}")
    for action, command in (actions or {}).items():
        if not isinstance(action, str) or not _NAME.fullmatch(action) or not isinstance(command, str):
            raise ResourceError(name, f"the action {action!r} must be a name with a command as text")
    return Resource(
        name, {key: _input(name, key, value) for key, value in (inputs or {}).items()}, actions or {}, host
    )


def _input(name: str, key: Any, value: Any) -> Any:
    if not isinstance(key, str) or not key.isidentifier():
        raise ResourceError(name, f"the input {key!r} must be named as a variable is")
    if isinstance(value, dict) and value.keys() == {"from"}:
        resource, dot, other = str(value["from"]).partition(".")
        if not dot:
            raise ResourceError(name, f"the input {key} must be from RESOURCE.INPUT, not {value['from']!r}")
        return Connection(resource, other)
    if not isinstance(value, str | int | float | None):
        raise ResourceError(name, f"the input {key} must be a text, a number, or {{from: RESOURCE.INPUT}}")
    return value


def _replace(path: Path, text: str) -> None:
    """Write a file so that whoever reads it finds the old text or the new one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text)
    os.replace(fresh, path)
