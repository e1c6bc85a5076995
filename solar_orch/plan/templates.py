"""Templates: texts in which ``${...}`` stands for a value that is filled in later.

``${NAME}`` is a variable, known when a plan is made; ``${tasks.NAME.result}`` what an earlier
task has come to, known when the task is dispatched; ``${env.NAME}`` a secret, known to the
tasks worker only.  ``$${`` is a literal ``${``, whenever the last of these have been filled in;
``${'$'}`` is a dollar, which is needed only right before a reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from solar_orch.plan import shell

#: What begins a reference, and what stands for that literally.
_BEGIN = "${"
_LITERAL = "$${"
#: What stands for a dollar where one alone would make a literal of the reference behind it.
_DOLLAR = "${'$'}"

_REFERENCE = re.compile(
    r"""\$\{(?:
        (?P<variable>[A-Za-z_]\w*)
      | env\.(?P<secret>[A-Za-z_]\w*)
      | tasks (?: \.(?P<name>[\w-]+) | \[(?:'(?P<single>[^']+)'|"(?P<double>[^"]+)")\] ) \.result
        (?P<path> (?: \.[A-Za-z_]\w* | \[\d+\] | \['[^']*'\] | \["[^"]*"\] )* )
    )\}""",
    re.VERBOSE | re.ASCII,
)
_STEP = re.compile(r"""\.([A-Za-z_]\w*)|\[(\d+)\]|\['([^']*)'\]|\["([^"]*)"\]""", re.ASCII)

_FORMS = "${NAME}, ${tasks.NAME.result}, ${tasks['NAME'].result} or ${env.NAME}"


#: Stands for a value in what is told to be before another one.
_ANY_WORD = "x"


class TemplateError(ValueError):
    """A text that is no template.

    :param text: the part that is wrong
    :param at: where it stands in the text, from 0
    """

    def __init__(self, text: str, problem: str, at: int = 0) -> None:
        self.text = text
        self.problem = problem
        self.at = at
        super().__init__(problem)


@dataclass(frozen=True, slots=True)
class Variable:
    """``${NAME}``."""

    name: str
    #: As it is written.
    text: str


@dataclass(frozen=True, slots=True)
class Secret:
    """``${env.NAME}``."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """``${tasks.NAME.result}``, or a part of it."""

    task: str
    #: Keys and indices that lead to the part.
    path: tuple[str | int, ...]
    text: str

    def of(self, results: Mapping[str, Any]) -> Any:
        """The value; None where there is no such task or part.

        :param results: task name to result
        """
        value = results.get(self.task)
        for step in self.path:
            if isinstance(value, dict) and isinstance(step, str):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        return value


Reference = Variable | Secret | Result
#: A literal text, or a reference.
Piece = str | Reference


def is_template(text: str) -> bool:
    """Whether it holds a reference, or something that stands for ``${`` literally."""
    return _BEGIN in text


def pieces(text: str) -> list[Piece]:
    """A template taken apart; adjacent literal texts are one piece.

    :raises TemplateError: for a ``${`` that begins none of the references that there are
    """
    return [piece for _, piece in located(text)]


def located(text: str) -> list[tuple[int, Piece]]:
    """As :func:`pieces`, each with where it begins in the text.

    :raises TemplateError: as :func:`pieces`
    """
    found: list[tuple[int, Piece]] = []
    literal, begun, start = "", 0, 0
    while (at := text.find(_BEGIN, start)) >= 0:
        if at > start and text[at - 1] == "$":
            literal += text[start : at - 1] + _BEGIN
            start = at + len(_BEGIN)
            continue
        literal += text[start:at]
        if text.startswith(_DOLLAR, at):
            literal += "$"
            start = at + len(_DOLLAR)
            continue
        reference, start = reference_at(text, at)
        if literal:
            found.append((begun, literal))
        found.append((at, reference))
        literal, begun = "", start
    literal += text[start:]
    return [*found, (begun, literal)] if literal or not found else found


def reference_at(text: str, at: int) -> tuple[Reference, int]:
    """The reference that begins there, and where it ends.

    :raises TemplateError: if there is none
    """
    match = _REFERENCE.match(text, at)
    if match is None:
        written = text[at : at + 40].split("}", maxsplit=1)[0].split("\n", maxsplit=1)[0] + "}"
        raise TemplateError(
            written, f"{written} is not one of {_FORMS}; to have it left as it is, write ${written}", at
        )
    whole = match.group()
    if match["variable"]:
        return Variable(match["variable"], whole), match.end()
    if match["secret"]:
        return Secret(match["secret"], whole), match.end()
    name = match["name"] or match["single"] or match["double"]
    return Result(name, tuple(_steps(match["path"])), whole), match.end()


def _steps(path: str) -> Iterator[str | int]:
    for name, index, single, double in _STEP.findall(path):
        yield int(index) if index else name or single or double


def references(value: Any) -> Iterator[Reference]:
    """All references in the texts of a JSON value, in their order; keys of mappings hold none.

    :raises TemplateError: as :func:`pieces`
    """
    for text in texts(value):
        if is_template(text):
            yield from (piece for piece in pieces(text) if not isinstance(piece, str))


def texts(value: Any) -> Iterator[str]:
    """All texts of a JSON value but the keys of mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)


#: Gives the value of a reference, or KEEP.
Lookup = Callable[[Reference], Any]
#: Makes a value part of a text: ``inserted(value, the literal text before it)``.
Insert = Callable[[Any, str], str]


class _Keep:
    """See :data:`KEEP`."""


#: What a lookup gives for a reference that is left for later.
KEEP: Final = _Keep()


def fill(value: Any, lookup: Lookup, *, last: bool, insert: Insert | None = None) -> Any:
    """A JSON value in whose texts references are replaced.

    A text that is one reference and nothing else becomes the value as it is; within a longer
    one, texts are inserted as they are and other values as JSON, null as nothing.

    :param last: whether nothing is filled in after this, so that ``$${`` becomes ``${``; else what is
        inserted is written so that nothing in it is taken for a reference
    :param insert: makes a value part of a longer text
    :raises TemplateError: as :func:`pieces`
    """
    if isinstance(value, str):
        return _fill_text(value, lookup, last, insert or inserted) if is_template(value) else value
    if isinstance(value, list):
        return [fill(item, lookup, last=last, insert=insert) for item in value]
    if isinstance(value, dict):
        return {key: fill(item, lookup, last=last, insert=insert) for key, item in value.items()}
    return value


def _fill_text(text: str, lookup: Lookup, last: bool, insert: Insert) -> Any:
    parts = pieces(text)
    if len(parts) == 1 and not isinstance(parts[0], str):
        value = lookup(parts[0])
        if value is KEEP:
            return text
        return value if last else _escaped_value(value)
    # Literal texts are escaped when they are whole: a dollar and a brace may come from two of them.
    filled, literal, before = "", "", ""
    for piece in parts:
        if isinstance(piece, str):
            literal += piece
            before += piece
            continue
        if (value := lookup(piece)) is not KEEP:
            literal += insert(value, before)
        else:
            filled += (literal if last else _escaped_before_reference(literal)) + piece.text
            literal = ""
        before += _ANY_WORD
    return filled + (literal if last else escaped(literal))


def _escaped_before_reference(literal: str) -> str:
    before = literal.rstrip("$")
    return escaped(before) + _DOLLAR * (len(literal) - len(before))


def escaped(text: str) -> str:
    """A template that stands for this text."""
    return text.replace(_BEGIN, _LITERAL)


def _escaped_value(value: Any) -> Any:
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, list):
        return [_escaped_value(item) for item in value]
    if isinstance(value, dict):
        return {key: _escaped_value(item) for key, item in value.items()}
    return value


def inserted(value: Any, before: str = "") -> str:
    """A value as a part of a text: one as it is, null as nothing, others as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)


def inserted_in_shell(value: Any, before: str) -> str:
    """A value as one word of a command for ``sh``, or as a part of the word that it stands in.

    :param before: the literal text of the command before it, which tells whether it stands in quotes
    :raises TemplateError: where it stands so that no quoting is safe, see ``plan.shell``
    """
    try:
        return shell.quoted(inserted(value), before)
    except shell.Unquotable as error:
        raise TemplateError("", str(error), len(before)) from error
