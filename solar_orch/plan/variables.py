"""Variables of a plan, and the references that are left in its texts once they have been filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from solar_orch.plan import condition, templates
from solar_orch.plan.checks import Wrong
from solar_orch.plan.complaints import Complaints, Path
from solar_orch.plan.condition import ConditionError
from solar_orch.plan.reader import BROKEN, shortened
from solar_orch.plan.templates import KEEP, Reference, Result, Secret, TemplateError, Variable

_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_FLOAT = re.compile(r"-?\d{1,300}(\.\d{1,300})?([eE][+-]?\d{1,2})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Use:
    """A place where a plan uses the result of a task."""

    reference: Result
    path: Path
    text: str
    at: int


class Variables:
    """Fills variables in, and complains of references that cannot stand where they do.

    :param given: of ``--var``; they go before what the plan says
    :ivar uses: of results, by index of the task that uses them
    """

    def __init__(self, complaints: Complaints, given: Mapping[str, str]) -> None:
        self._complaints = complaints
        self._given = given
        self._values: dict[str, Any] = dict(given)
        self._declared: dict[str, Any] = {}
        self._used: set[str] = set()
        #: Whether ``vars`` could be read, so that what is not in it is undefined.
        self._complete = True
        self.uses: dict[int, list[Use]] = {}

    def declare(self, declared: dict[str, Any] | None) -> None:
        """Take the plan's own; None where they could not be read."""
        if declared is None:
            self._complete = False
            return
        self._declared = declared
        for name, default in declared.items():
            if name not in self._given:
                self._values[name] = default
                continue
            try:
                self._values[name] = _as_kind_of(default, self._given[name])
            except Wrong as wrong:
                self._complaints.add(("vars", name), f"--var {name} {wrong}")

    def unused(self) -> Iterator[str]:
        """The names in ``vars`` that nothing uses."""
        return (name for name in self._declared if name not in self._used)

    def complain_of_unknown(self) -> None:
        """Complain of what was given and is neither declared nor used."""
        known = self._used | self._declared.keys()
        for name in self._given:
            if name not in known and self._complete:
                hint = self._complaints.suggestion(name, known)
                message = f"--var gives {shortened(name)}, and the plan has no such variable{hint}"
                self._complaints.add((), message)

    # -- texts ---------------------------------------------------------------------

    def fill(self, value: Any, path: Path, *, kept: tuple[type, ...] = ()) -> Any:
        """A JSON value with its variables filled in.

        :param kept: kinds of references that may stand there and are left; with none the value is final
        """
        if isinstance(value, str):
            return self._filled(value, path, kept) if templates.is_template(value) else value
        if isinstance(value, list):
            return [self.fill(item, (*path, i), kept=kept) for i, item in enumerate(value)]
        if isinstance(value, dict):
            return {key: self.fill(item, (*path, key), kept=kept) for key, item in value.items()}
        return value

    def fill_text(self, value: str, path: Path, *, kept: tuple[type, ...] = ()) -> str:
        """As :meth:`fill`; what becomes another kind of value is written out."""
        return templates.inserted(self.fill(value, path, kept=kept))

    def fill_condition(self, text: str, path: Path) -> str:
        """A condition with its variables filled in."""
        try:
            found = condition.located(text)
        except ConditionError as error:
            self._complaints.add(path, f"when: {error.problem}", part=(text, max(error.column - 1, 0)))
            return text
        if not self._may_all_stand(found, path, (Result,), text):
            return text
        return condition.with_constants(text, self._lookup)

    def _filled(self, text: str, path: Path, kept: tuple[type, ...]) -> Any:
        try:
            found = templates.located(text)
        except TemplateError as error:
            self._complaints.add(path, error.problem, part=(text, error.at))
            return text
        references = [(at, piece) for at, piece in found if not isinstance(piece, str)]
        if not self._may_all_stand(references, path, kept, text):
            return text
        return templates.fill(text, self._lookup, last=not kept)

    def _lookup(self, reference: Reference) -> Any:
        return self._values[reference.name] if isinstance(reference, Variable) else KEEP

    def _may_all_stand(
        self, found: list[tuple[int, Reference]], path: Path, kept: tuple[type, ...], text: str
    ) -> bool:
        """Whether no reference is wrong there; complains of each that is."""
        wrong = [ref for at, ref in found if not self._may_stand(ref, path, kept, text, at)]
        return not wrong

    def _may_stand(
        self, reference: Reference, path: Path, kept: tuple[type, ...], text: str, at: int
    ) -> bool:
        if isinstance(reference, Variable):
            return self._is_defined(reference, path, text, at)
        if isinstance(reference, kept):
            if isinstance(reference, Result):
                self.uses.setdefault(int(path[1]), []).append(Use(reference, path, text, at))
            return True
        known_later = "a secret, which only the tasks worker knows"
        if isinstance(reference, Result):
            known_later = "a result, which only a task's args, kwargs and when can use"
        self._complaints.add(
            path, f"{reference.text} is {known_later}; it cannot stand here", part=(text, at)
        )
        return False

    def _is_defined(self, reference: Variable, path: Path, text: str, at: int) -> bool:
        name = reference.name
        self._used.add(name)
        value = self._values.get(name)
        if value is not None:
            return value is not BROKEN
        if name in self._declared:
            message = f"the variable {shortened(name)} has no value; give it one: --var {name}=..."
        elif self._complete:
            hint = self._complaints.suggestion(name, self._values)
            hint = hint or f"; give it by --var {name}=..., or under vars; ${reference.text} is left as it is"
            message = f"undefined variable {shortened(name)}{hint}"
        else:
            return False
        self._complaints.add(path, message, part=(text, at))
        return False


def _as_kind_of(default: Any, text: str) -> Any:
    """What was given on the command line, as the kind of value that the default is."""
    if isinstance(default, bool):
        if text not in ("true", "false"):
            raise Wrong(f"must be true or false, as its default is, not {shortened(text)}")
        return text == "true"
    if isinstance(default, (int, float)):
        if _INTEGER.fullmatch(text):
            return int(text)
        if not _FLOAT.fullmatch(text):
            raise Wrong(f"must be a number, as its default is, not {shortened(text)}")
        return float(text)
    return text


#: References that may stay in a task's args and kwargs, and in what a plan says of all its commands.
IN_ARGUMENTS = (Result, Secret)
IN_SURROUNDINGS = (Secret,)
