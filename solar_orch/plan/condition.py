"""Conditions: what ``when`` of a task says, in a language of comparisons and nothing more.

::

    condition := and-part ("or" and-part)*
    and-part  := not-part ("and" not-part)*
    not-part  := "not" not-part | comparison
    comparison := operand [("==" | "!=" | "<" | "<=" | ">" | ">=") operand]
    operand   := "(" condition ")" | 'text' | "text" | number | true | false | null | ${reference}

A text in quotes holds no references; ``$${`` is a literal ``${`` there.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from solar_orch.plan.templates import KEEP, Lookup, Reference, TemplateError, escaped, pieces, reference_at

#: Parentheses and ``not`` that may stand within each other.
MAX_DEPTH = 50

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<operator>==|!=|<=|>=|<|>)
      | (?P<bracket>[()])
      | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.]))
      | (?P<word>[A-Za-z_]\w*)
      | (?P<single>'[^']*')
      | (?P<double>"(?:[^"\\]|\\.)*")
      | (?P<reference>\$\{)
      | (?P<end>\Z)
    )""",
    re.VERBOSE | re.ASCII,
)
_NUMBER = re.compile(r"\s*-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?\s*", re.ASCII)
#: Longer digits are no number that anybody compares, and slow to read.
_LONGEST_NUMBER = 100
_CONSTANTS = {"true": True, "false": False, "null": None}
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class ConditionError(ValueError):
    """A text that is no condition, or one that cannot be decided.

    :param column: where it is wrong, from 1; 0 if it cannot be decided
    """

    def __init__(self, problem: str, column: int = 0) -> None:
        self.problem = problem
        self.column = column
        super().__init__(problem)


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that is written there."""

    value: Any


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two operands and what must hold between them."""

    left: Term
    operator: str
    right: Term


@dataclass(frozen=True, slots=True)
class Not:
    """The contrary."""

    term: Term


@dataclass(frozen=True, slots=True)
class Both:
    """``and`` or ``or`` of several."""

    word: str
    terms: tuple[Term, ...]


Term = Constant | Comparison | Not | Both | Reference


def parse(text: str) -> Term:
    """A condition taken apart.

    :raises ConditionError: if it is none
    """
    return _Parser(text).whole()


def references(term: Term) -> Iterator[Reference]:
    """All references in it, in their order."""
    match term:
        case Comparison(left, _, right):
            yield from references(left)
            yield from references(right)
        case Not(inner):
            yield from references(inner)
        case Both(_, terms):
            for inner in terms:
                yield from references(inner)
        case Constant():
            pass
        case reference:
            yield reference


def located(text: str) -> list[tuple[int, Reference]]:
    """All references in a condition, each with where it begins, from 0.

    :raises ConditionError: as :func:`parse`
    """
    _Parser(text).whole()
    starts = [match.start("reference") for match in _tokens(text) if match.lastgroup == "reference"]
    return [(start, reference_at(text, start)[0]) for start in starts]


def with_constants(text: str, lookup: Lookup) -> str:
    """The condition in which references are replaced by their values, as it would be written.

    :param lookup: gives the value of a reference, a JSON scalar, or ``KEEP``
    :raises ConditionError: as :func:`parse`
    """
    written, start = "", 0
    for at, reference in located(text):
        value = lookup(reference)
        if value is not KEEP:
            written += text[start:at] + _written(value)
            start = at + len(reference.text)
    return written + text[start:]


def _written(value: Any) -> str:
    return json.dumps(escaped(value) if isinstance(value, str) else value)


def holds(term: Term, value_of: Callable[[Reference], Any]) -> bool:
    """Whether the condition holds.

    A text that reads as a number is compared with numbers as one.

    :param value_of: gives the value of a reference
    :raises ConditionError: if values are put in an order that have none, or one that is neither
        true nor false stands alone
    """
    match term:
        case Both("and", terms):
            return all(holds(inner, value_of) for inner in terms)
        case Both(_, terms):
            return any(holds(inner, value_of) for inner in terms)
        case Not(inner):
            return not holds(inner, value_of)
        case Comparison(left, sign, right):
            return _compare(_value(left, value_of), sign, _value(right, value_of))
    value = _value(term, value_of)
    if not isinstance(value, bool):
        raise ConditionError(f"{_shown(value)} is neither true nor false; compare it with something")
    return value


def _value(term: Term, value_of: Callable[[Reference], Any]) -> Any:
    match term:
        case Constant(value):
            return value
        case Comparison() | Not() | Both():
            return holds(term, value_of)
        case reference:
            return value_of(reference)


def _compare(left: Any, sign: str, right: Any) -> bool:
    left, right = _as_number(left, right), _as_number(right, left)
    if sign in ("==", "!="):
        same = left == right and isinstance(left, bool) == isinstance(right, bool)
        return same == (sign == "==")
    numbers = _is_number(left) and _is_number(right)
    if not numbers and not (isinstance(left, str) and isinstance(right, str)):
        raise ConditionError(f"{_shown(left)} {sign} {_shown(right)}: these two have no order")
    return _ORDERS[sign](left, right)


def _as_number(value: Any, other: Any) -> Any:
    """A text beside a number is one itself, if it reads as one: commands answer in texts."""
    if isinstance(value, str) and _is_number(other) and len(value) <= _LONGEST_NUMBER:
        return json.loads(value) if _NUMBER.fullmatch(value) else value
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _tokens(text: str) -> Iterator[re.Match[str]]:
    """The tokens up to the end.

    :raises ConditionError: for what is none
    """
    at = 0
    while True:
        match = _TOKEN.match(text, at)
        if match is None:
            at = len(text) - len(text[at:].lstrip())
            raise ConditionError(f"{text[at : at + 20]!r} is not understood", at + 1)
        yield match
        if match.lastgroup == "end":
            return
        at = match.end()
        if match.lastgroup == "reference":
            try:
                _, at = reference_at(text, match.start("reference"))
            except TemplateError as error:
                raise ConditionError(error.problem, match.start("reference") + 1) from error


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._next = 0
        self._depth = 0

    def whole(self) -> Term:
        term = self._or()
        if self._kind != "end":
            raise self._unexpected("'and', 'or' or the end")
        return term

    @property
    def _token(self) -> re.Match[str]:
        return self._tokens[self._next]

    @property
    def _kind(self) -> str:
        return self._token.lastgroup or ""

    @property
    def _word(self) -> str:
        return self._token[self._kind]

    def _unexpected(self, wanted: str) -> ConditionError:
        found = "the end" if self._kind == "end" else repr(self._word)
        return ConditionError(f"{wanted} is expected, not {found}", self._token.start(self._kind) + 1)

    def _take(self, *words: str) -> str | None:
        """The next token if it is one of these, which is passed then."""
        if self._kind in ("word", "operator", "bracket") and self._word in words:
            self._next += 1
            return self._tokens[self._next - 1][self._tokens[self._next - 1].lastgroup or ""]
        return None

    def _or(self) -> Term:
        return self._joined("or", lambda: self._joined("and", self._not))

    def _joined(self, word: str, part: Callable[[], Term]) -> Term:
        terms = [part()]
        while self._take(word):
            terms.append(part())
        return terms[0] if len(terms) == 1 else Both(word, tuple(terms))

    def _not(self) -> Term:
        if not self._take("not"):
            return self._comparison()
        self._deeper()
        term = Not(self._not())
        self._depth -= 1
        return term

    def _comparison(self) -> Term:
        left = self._operand()
        sign = self._take("==", "!=", "<", "<=", ">", ">=")
        return left if sign is None else Comparison(left, sign, self._operand())

    def _operand(self) -> Term:
        if self._take("("):
            self._deeper()
            term = self._or()
            if not self._take(")"):
                raise self._unexpected("')'")
            self._depth -= 1
            return term
        if self._kind == "reference":
            reference, _ = reference_at(self._text, self._token.start("reference"))
            self._next += 1
            return reference
        constant = Constant(self._constant())
        self._next += 1
        return constant

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ConditionError(
                f"more than {MAX_DEPTH} parentheses within each other", self._token.start() + 1
            )

    def _constant(self) -> Any:
        word = self._word
        if self._kind == "single":
            return self._literal(word[1:-1])
        if self._kind in ("double", "number"):
            try:
                value = json.loads(word, strict=False)
            except ValueError:
                raise self._unexpected("a value") from None
            return self._literal(value) if isinstance(value, str) else value
        if self._kind == "word" and word in _CONSTANTS:
            return _CONSTANTS[word]
        raise self._unexpected("a value in quotes, a number, true, false, null, ${...} or '('")

    def _literal(self, text: str) -> str:
        """What is in quotes: no reference, which would be compared as the text that it is written with."""
        at = self._token.start(self._kind) + 1
        try:
            parts = pieces(text)
        except TemplateError as error:
            raise ConditionError(error.problem, at) from error
        for part in parts:
            if not isinstance(part, str):
                raise ConditionError(f"{part.text} stands in quotes; drop the quotes around it", at)
        return "".join(map(str, parts))
