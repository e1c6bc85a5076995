"""What is expected of an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from solar_http.exchange import Answer
from solar_orch.errors import Unrunnable

_RANGE = re.compile(r"(\d{3})-(\d{3})")
_KEYS = ("status", "headers", "contains", "json")


@dataclass(frozen=True)
class Expectation:
    """Statuses, header fields, a text, and values at places of a JSON body."""

    statuses: Sequence[range] = (range(200, 300),)
    headers: Mapping[str, str] = field(default_factory=dict)
    contains: str | None = None
    #: By JSON Pointer.
    json: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Any) -> Expectation:
        """What a plan gives.

        :param given: a status, a list of them, or a mapping of ``status`` (also as ``"200-299"``),
            ``headers`` (name to value), ``contains`` (a text) and ``json`` (JSON Pointer, as in
            RFC 6901, to value)
        :raises Unrunnable: if it is none of that
        """
        if given is None:
            return cls()
        if not isinstance(given, Mapping):
            return cls(_statuses(given))
        unknown = [str(key) for key in given if key not in _KEYS]
        if unknown:
            raise Unrunnable(f"http: expect has no {', '.join(unknown)}; it takes {', '.join(_KEYS)}")
        contains = given.get("contains")
        if not isinstance(contains, str | None):
            raise Unrunnable(f"http: expect: contains must be a text, not {contains!r}")
        headers = _mapping("headers", given)
        pointers = _mapping("json", given)
        for pointer in pointers:
            if pointer and not pointer.startswith("/"):
                raise Unrunnable(f"http: expect: json: {pointer!r} is no JSON Pointer; it begins with /")
        return cls(
            _statuses(given["status"]) if "status" in given else cls.statuses,
            {name.lower(): str(value) for name, value in headers.items()},
            contains,
            pointers,
        )

    def missed_by(self, answer: Answer) -> list[str]:
        """What an answer lacks, each in a few words; empty if it is as expected."""
        return [*self._missed_status(answer), *self._missed_headers(answer), *self._missed_body(answer)]

    def _missed_status(self, answer: Answer) -> list[str]:
        if any(answer.status in statuses for statuses in self.statuses):
            return []
        return [f"status {answer.status} {answer.reason}".rstrip() + f", expected {_shown(self.statuses)}"]

    def _missed_headers(self, answer: Answer) -> list[str]:
        return [
            f"header {name} is {'another one' if name in answer.headers else 'not there'}, expected {value!r}"
            for name, value in self.headers.items()
            if answer.headers.get(name) != value
        ]

    def _missed_body(self, answer: Answer) -> list[str]:
        missed = []
        if self.contains is not None and self.contains not in answer.text():
            missed.append(f"the body does not contain {self.contains!r}")
        if not self.json:
            return missed
        try:
            document = answer.json()
        except ValueError as error:
            return [*missed, f"the body is no JSON: {error}"]
        for pointer, expected in self.json.items():
            try:
                found = resolve(document, pointer)
            except LookupError:
                missed.append(f"json {pointer} is not there, expected {json.dumps(expected)}")
            else:
                if not _same(found, expected):
                    missed.append(
                        f"json {pointer} is {json.dumps(found):.200}, expected {json.dumps(expected)}"
                    )
        return missed


def resolve(document: Any, pointer: str) -> Any:
    """What a JSON Pointer (RFC 6901) leads to.

    :raises LookupError: if that is nothing
    """
    for escaped in pointer.split("/")[1:]:
        token = escaped.replace("~1", "/").replace("~0", "~")
        if isinstance(document, list):
            if not re.fullmatch(r"0|[1-9]\d*", token):
                raise KeyError(token)
            document = document[int(token)]
        elif isinstance(document, dict):
            document = document[token]
        else:
            raise KeyError(token)
    return document


def _same(found: Any, expected: Any) -> bool:
    """Equal as JSON: true is not 1."""
    return bool(found == expected) and isinstance(found, bool) == isinstance(expected, bool)


def _mapping(key: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    value = given.get(key) or {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise Unrunnable(f"http: expect: {key} must be a mapping with texts as keys, not {value!r}")
    return value


def _statuses(given: Any) -> list[range]:
    values = given if isinstance(given, list) else [given]
    if not values:
        raise Unrunnable("http: expect: status: the list is empty")
    return [_status(value) for value in values]


def _status(value: Any) -> range:
    found = _RANGE.fullmatch(value) if isinstance(value, str) else None
    first, last = (int(found[1]), int(found[2])) if found else (value, value)
    if type(first) is not int or not 100 <= first <= last <= 599:
        raise Unrunnable(
            'http: expect: status must be a number from 100 to 599, a range as "200-299", or a list,'
            f" not {value!r}"
        )
    return range(first, last + 1)


def _shown(statuses: Sequence[range]) -> str:
    return " or ".join(
        str(each.start) if len(each) == 1 else f"{each.start}-{each.stop - 1}" for each in statuses
    )
