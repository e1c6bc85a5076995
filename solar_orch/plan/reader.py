"""From the text of a plan file to plain values, and nothing but JSON's kinds of values.

The text is YAML; one that is JSON as a whole is read by JSON's own rules, and faster.  The
parser's events are walked here, because PyYAML's composer recurses as deep as the text nests
(libyaml's crashes the interpreter), lets duplicate keys pass and expands aliases.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from solar_orch.errors import Mistake

#: A longer text (in bytes of UTF-8) is refused.
MAX_BYTES = 64 * 1024 * 1024
#: Collections may stand in each other this deep; a task's ``args`` are the fifth level.
MAX_DEPTH = 20
#: Reading ends here; so deep, libyaml's time would grow with the square of the depth.
_HOPELESS_DEPTH = 200
#: Further mistakes are counted only.
_MAX_KEPT = 1000

#: The loader whose events are read: libyaml's where PyYAML was built with it.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_CORE = "tag:yaml.org,2002:"
_CORE_TAGS = frozenset(_CORE + name for name in ("str", "int", "float", "bool", "null", "seq", "map"))
_NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_OCTAL_BY_ZERO = re.compile(r"[-+]?0[0-9_]")
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"\[\]{},:]+|[\[\]{},]|\n')

Position = tuple[int, int]


class _Broken:
    """See :data:`BROKEN`."""

    def __repr__(self) -> str:
        return "BROKEN"


#: Stands for a value that could not be read and that a mistake has been made out for.
BROKEN: Final = _Broken()


@dataclass(slots=True, eq=False)
class Wanted:
    """A value whose place in the text is wanted, and the wanted values below it.

    Places are (line, column) from 1; None until :func:`read` has passed by.
    """

    below: dict[str | int, Wanted] = field(default_factory=dict)
    value_at: Position | None = None
    key_at: Position | None = None

    def at(self, path: tuple[str | int, ...]) -> Wanted:
        """The node for the value that `path` (keys and indexes) leads to; made if new."""
        node = self
        for step in path:
            node = node.below.setdefault(step, Wanted())
        return node


@dataclass(slots=True)
class Document:
    """What was read.

    :ivar value: dict, list, str, int (of 64 bits), float (finite), bool or None, or
        :data:`BROKEN`, which may stand inside too
    :ivar mistakes: at most a thousand
    :ivar untold: how many more there were
    :ivar whole: False when reading could not go on to the end; `value` is BROKEN then
    """

    value: Any
    mistakes: list[Mistake] = field(default_factory=list)
    untold: int = 0
    whole: bool = True


def read(data: str | bytes, wanted: Wanted | None = None) -> Document:
    """Read one document.  Pure: no I/O; raises nothing on any input of these types.

    :param data: the text, or its bytes in UTF-8
    :param wanted: gets the places of its values filled in; costs a little time
    """
    text = _decode(data)
    if isinstance(text, Mistake):
        return Document(BROKEN, [text], whole=False)
    if text.lstrip()[:1] == "{":
        attempt = _JsonAttempt(text)
        if attempt.clean and wanted is None:
            return Document(attempt.value)
        if attempt.is_json:
            return _Builder(_json_events(text).__next__, text).document(wanted)
    unprintable = _NOT_PRINTABLE.search(text)
    if unprintable:
        line, column = _place(text, unprintable.start())
        problem = f"the character {unprintable[0]!a} cannot stand in a plan file"
        return Document(BROKEN, [Mistake(line, column, problem)], whole=False)
    return _Builder(LOADER(text).get_event, text).document(wanted)


def shortened(text: str, limit: int = 60) -> str:
    """`text` in quotes, on one line, for use in a message."""
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")


def _decode(data: str | bytes) -> str | Mistake:
    too_large = Mistake(1, 1, f"the file is larger than {MAX_BYTES // 1024**2} MiB")
    if len(data) > MAX_BYTES:
        return too_large
    if isinstance(data, bytes):
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            line, column = _place(data[: error.start].decode(), error.start)
            byte = data[error.start]
            return Mistake(line, column, f"not UTF-8 (byte 0x{byte:02x}); save the file as UTF-8")
    else:
        text = data
        surrogate = None if text.isascii() else _LONE_SURROGATE.search(text)
        if surrogate:
            return Mistake(*_place(text, surrogate.start()), f"{surrogate[0]!a} is half of a character")
        if not text.isascii() and len(text.encode()) > MAX_BYTES:
            return too_large
    return text.removeprefix("\ufeff")


def _place(text: str, index: int) -> Position:
    before = text[:index]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


# -- JSON ------------------------------------------------------------------


class _JsonAttempt:
    """Whether a text is JSON, and `clean`: with nothing in it that has to be refused."""

    def __init__(self, text: str) -> None:
        self.clean = _SURROGATE_ESCAPE.search(text) is None
        self.value: Any = None
        try:
            self.value = json.loads(
                text,
                object_pairs_hook=self._mapping,
                parse_int=self._int,
                parse_float=self._float,
                parse_constant=self._constant,
            )
            self.is_json = True
        except (ValueError, RecursionError):
            self.is_json = self.clean = False
        self.clean = self.clean and not _deeper_than(MAX_DEPTH, self.value)

    def _mapping(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        mapping = dict(pairs)
        self.clean = self.clean and len(mapping) == len(pairs)
        return mapping

    def _int(self, digits: str) -> int:
        number = int(digits) if len(digits) <= 20 else None
        if number is None or not _fits(number):
            self.clean = False
            return 0
        return number

    def _float(self, digits: str) -> float:
        number = float(digits)
        self.clean = self.clean and math.isfinite(number)
        return number

    def _constant(self, _: str) -> None:
        self.clean = False


def _deeper_than(depth: int, value: Any) -> bool:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(depth):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
    return bool(level)


def _json_events(text: str) -> Iterator[yaml.Event]:
    """The events of a text that is known to be JSON, as YAML's parser would give them.

    YAML's parser itself cannot be asked: tabs and escaped surrogate pairs are JSON only.
    """
    line, line_start = 0, 0
    yield yaml.StreamStartEvent()
    yield yaml.DocumentStartEvent()
    for token in _JSON_TOKEN.finditer(text):
        word = token[0]
        if word == "\n":
            line, line_start = line + 1, token.end()
            continue
        start = token.start()
        mark = yaml.Mark("", start, line, start - line_start, None, 0)
        if word == "{":
            yield yaml.MappingStartEvent(None, None, True, mark)
        elif word == "[":
            yield yaml.SequenceStartEvent(None, None, True, mark)
        elif word == "}":
            yield yaml.MappingEndEvent(mark)
        elif word == "]":
            yield yaml.SequenceEndEvent(mark)
        elif word != ",":
            yield _json_scalar(word, mark)
    yield yaml.DocumentEndEvent()
    yield yaml.StreamEndEvent()


def _json_scalar(word: str, mark: yaml.Mark) -> yaml.ScalarEvent:
    if word[0] == '"':
        return yaml.ScalarEvent(None, _CORE + "str", (False, False), json.loads(word), mark)
    if word in ("true", "false"):
        tag = "bool"
    elif word == "null":
        tag = "null"
    else:
        tag = "float" if re.search("[.eEIN]", word) else "int"
    return yaml.ScalarEvent(None, _CORE + tag, (False, False), word, mark)


# -- events to values --------------------------------------------------------


class _Stop(Exception):  # noqa: N818 - no error by itself: the mistake has been told
    """Reading cannot go on."""


class _Unfit(Exception):  # noqa: N818 - turned into a mistake where the place is known
    """A scalar that a plan cannot carry; its text says why."""


class _Builder:
    """Builds one document's value out of events."""

    def __init__(self, next_event: Callable[[], yaml.Event], text: str) -> None:
        self._source = next_event
        self._text = text
        self._scalars = _Scalars()
        self._mistakes: list[Mistake] = []
        self._untold = 0
        self._placing = False
        self._last: Position = (1, 1)

    def document(self, wanted: Wanted | None) -> Document:
        self._placing = wanted is not None
        try:
            value = self._only_document(wanted)
            whole = True
        except _Stop:
            value, whole = BROKEN, False
        return Document(value, self._mistakes, self._untold, whole)

    def _only_document(self, wanted: Wanted | None) -> Any:
        self._next()
        if isinstance(self._next(), yaml.StreamEndEvent):
            self._tell((1, 1), "the file is empty; a plan has a name and tasks")
            raise _Stop
        value = self._node(self._next(), 1, wanted)
        self._next()
        further = self._next()
        if not isinstance(further, yaml.StreamEndEvent):
            self._tell(_start(further), "a second document begins here; a file holds one plan")
        return value

    def _next(self) -> Any:
        try:
            event = self._source()
        except yaml.MarkedYAMLError as error:
            self._tell_syntax(error)
            raise _Stop from None
        # Escapes and directives with absurd numbers make PyYAML raise the latter two.
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            self._tell(self._last, f"not valid YAML from here on: {str(error).splitlines()[0]}")
            raise _Stop from None
        return event

    def _node(self, event: Any, depth: int, wanted: Wanted | None) -> Any:
        if wanted is not None:
            wanted.value_at = _start(event)
        kind = type(event)
        if kind is yaml.ScalarEvent:
            return self._scalar(event)
        if kind is yaml.AliasEvent:
            self._tell(_start(event), f"aliases (*{event.anchor}) are not taken; write the value out")
            return BROKEN
        self._last = _start(event)
        expected = _CORE + ("map" if kind is yaml.MappingStartEvent else "seq")
        if event.tag not in (None, "!", expected):
            self._tell_tag(event)
            self._skip(depth)
            return BROKEN
        if depth > MAX_DEPTH:
            self._tell(_start(event), f"nested deeper than {MAX_DEPTH} levels")
            self._skip(depth)
            return BROKEN
        if kind is yaml.MappingStartEvent:
            return self._mapping(depth, wanted)
        return self._sequence(depth, wanted)

    def _sequence(self, depth: int, wanted: Wanted | None) -> list[Any]:
        items: list[Any] = []
        while True:
            event = self._next()
            if type(event) is yaml.SequenceEndEvent:
                return items
            below = None if wanted is None else wanted.below.get(len(items))
            items.append(self._node(event, depth + 1, below))

    def _mapping(self, depth: int, wanted: Wanted | None) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        lines: dict[str, int] = {}
        while True:
            event = self._next()
            if type(event) is yaml.MappingEndEvent:
                return mapping
            key = self._key(event, depth)
            if key is None or key in mapping:
                if key is not None:
                    first = f"; it stands in line {lines[key]} already" if self._placing else ""
                    self._tell(_start(event), f"duplicate key {shortened(key)}{first}")
                self._node(self._next(), depth + 1, None)
                continue
            below = None if wanted is None else wanted.below.get(key)
            if below is not None:
                below.key_at = _start(event)
            if self._placing:
                lines[key] = _start(event)[0]
            mapping[key] = self._node(self._next(), depth + 1, below)

    def _key(self, event: Any, depth: int) -> str | None:
        if type(event) is not yaml.ScalarEvent:
            if type(event) is not yaml.AliasEvent:
                self._tell(_start(event), "a key must be a string, not a list or mapping")
                self._skip(depth)
            else:
                self._tell(_start(event), f"aliases (*{event.anchor}) are not taken; write the key out")
            return None
        if event.value == "<<" and event.tag is None and event.implicit[0]:
            self._tell(_start(event), "merge keys (<<) are not taken; write the keys out")
            return None
        key = self._scalar(event)
        if isinstance(key, str):
            return key
        if key is not BROKEN:
            said = shortened(event.value)
            self._tell(_start(event), f"a key must be a string, and {said} is not one unless it is quoted")
        return None

    def _scalar(self, event: Any) -> Any:
        try:
            return self._scalars.value(event)
        except _Unfit as unfit:
            self._tell(_start(event), str(unfit))
            return BROKEN

    def _skip(self, depth: int) -> None:
        """Pass over the rest of the collection that has just begun."""
        inner = 1
        while inner:
            event = self._next()
            if isinstance(event, yaml.CollectionStartEvent):
                inner += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                inner -= 1
            if depth + inner > _HOPELESS_DEPTH:
                raise _Stop

    def _tell(self, place: Position, message: str) -> None:
        if len(self._mistakes) < _MAX_KEPT:
            self._mistakes.append(Mistake(*place, message))
        else:
            self._untold += 1

    def _tell_tag(self, event: Any) -> None:
        self._tell(_start(event), f"the tag {shortened(event.tag.replace(_CORE, '!!'))} is not taken here")

    def _tell_syntax(self, error: yaml.MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else self._last
        if "nesting depth" in (error.problem or ""):
            # libyaml's own bound, which newer ones meet while they look ahead.
            self._tell(place, f"nested deeper than {MAX_DEPTH} levels")
            return
        message = f"not valid YAML: {error.problem or error.context}"
        if error.problem and error.context:
            since = f" that begins in line {error.context_mark.line + 1}" if error.context_mark else ""
            message += f" ({error.context}{since})"
        if mark and self._text[mark.index : mark.index + 1] == "\t":
            message += "; indent with spaces, not with tabs"
        self._tell(place, message)


def _start(event: Any) -> Position:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


class _Scalars:
    """Scalars by YAML's own rules, less what is no JSON value or a trap."""

    def __init__(self) -> None:
        self._rules: Any = yaml.SafeLoader("")
        #: Keys, task names and types come again and again; and one string serves all of them.
        self._plain: dict[str, Any] = {}

    def value(self, event: Any) -> Any:
        """:raises _Unfit: if a plan cannot carry it"""
        text = event.value
        if event.tag == "!":
            return self._text(text)
        if event.tag is None:
            if not event.implicit[0]:
                return self._text(text)
            try:
                return self._plain[text]
            except KeyError:
                value = self._plain[text] = self._resolved(text)
                return value
        return self._constructed(event.tag, text)

    def _resolved(self, text: str) -> Any:
        tag = self._rules.resolve(yaml.ScalarNode, text, (True, False))
        if tag in (_CORE + "merge", _CORE + "value"):
            return text
        if tag == _CORE + "timestamp":
            raise _Unfit(f"{text} is a date, which a plan cannot carry; put quotes around it")
        if tag in (_CORE + "int", _CORE + "float") and ":" in text:
            raise _Unfit(f"{text} is a number to the base of 60 in YAML; put quotes around it")
        if tag == _CORE + "int" and _OCTAL_BY_ZERO.match(text):
            raise _Unfit(f"{shortened(text)} is octal in YAML; put quotes around it, or drop the zero")
        return self._constructed(tag, text)

    def _constructed(self, tag: str, text: str) -> Any:
        if tag == _CORE + "str":
            return self._text(text)
        if tag not in _CORE_TAGS or tag in (_CORE + "seq", _CORE + "map"):
            raise _Unfit(f"the tag {shortened(tag.replace(_CORE, '!!'))} is not taken here")
        kind = tag.removeprefix(_CORE)
        construct = getattr(self._rules, f"construct_yaml_{kind}")
        try:
            value = construct(yaml.ScalarNode(tag, text))
        except (ValueError, LookupError):
            # Longer than int() takes, no digits after 0x, or an explicit tag on other text.
            raise _Unfit(f"{shortened(text)} cannot be read as {kind}; put quotes around it") from None
        if kind == "int" and not _fits(value):
            raise _Unfit(f"the integer {shortened(text)} does not fit in 64 bits; put quotes around it")
        if kind == "float" and not math.isfinite(value):
            raise _Unfit(f"{shortened(text)} is not a finite number; put quotes around it")
        return value

    def _text(self, text: str) -> str:
        # Only escapes can bring these in.
        if not text.isascii() and _LONE_SURROGATE.search(text):
            raise _Unfit(f"{shortened(text)} holds half of a character (a lone surrogate)")
        return text


def _fits(number: int) -> bool:
    return -(2**63) <= number < 2**64
