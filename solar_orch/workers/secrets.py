"""Secrets of one call: filled in where it is made, and masked in all that comes of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from solar_orch.errors import CommandFailed, TaskError, Unrunnable, describe
from solar_orch.plan import templates
from solar_orch.plan.templates import Reference, Secret, TemplateError
from solar_orch.workers.calls import Ctxt
from solar_orch.workers.inputs import filled
from solar_orch.workers.output import BoundedOutput

#: What stands in the place of a secret.
MASK = "***"

#: Characters of a line that is masked also where it stands without the others of its secret.
_SHORTEST_LINE = 4


class Secrets:
    """The secrets that a call names in its context, from the environment of this process.

    :param ctxt: of the call
    """

    def __init__(self, ctxt: Ctxt) -> None:
        self._names = [str(name) for name in ctxt.get("secrets", ())]
        shown = {part for name in self._names for part in _shown_as(os.environ.get(name, ""))}
        #: The longest first, since one may be part of another.
        self._values = sorted(shown, key=len, reverse=True)

    def fill(
        self, type_: str, ctxt: Ctxt, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Ctxt, Sequence[Any], Mapping[str, Any]]:
        """Context and arguments with the secrets in them.

        :raises Unrunnable: if one is not set here, or what was given is no template
        """
        if not self._names:
            return ctxt, args, kwargs
        missing = [name for name in self._names if name not in os.environ]
        if missing:
            raise Unrunnable(f"the environment of the tasks worker has no {' and no '.join(missing)}")
        try:
            given, named = filled(type_, args, kwargs, _value, last=True)
            common = {key: ctxt[key] for key in ("env", "cwd") if key in ctxt}
            with_secrets: Ctxt = {**ctxt, **templates.fill(common, _value, last=True)}
        except TemplateError as error:
            raise Unrunnable(f"its arguments cannot be filled in: {error}") from error
        return with_secrets, given, named

    def mask(self, text: str) -> str:
        """The text without them."""
        for value in self._values:
            text = text.replace(value, MASK)
        return text

    def mask_output(self, output: BoundedOutput) -> str:
        """What is kept of an output without them, and without their parts where it was cut."""
        if not output.cut:
            return self.mask(output.text())
        return output.text(
            lambda head: self.without_begun(self.mask(head)),
            lambda tail: self._without_ended(self.mask(tail)),
        )

    def without_begun(self, text: str) -> str:
        """The text without what may be the first part of one, at its end."""
        kept = (text.removesuffix(value[:end]) for value in self._values for end in range(1, len(value)))
        return min(kept, key=len, default=text)

    def _without_ended(self, text: str) -> str:
        """The text without what may be the last part of one, at its beginning."""
        kept = (text.removeprefix(value[begin:]) for value in self._values for begin in range(1, len(value)))
        return min(kept, key=len, default=text)

    def mask_result(self, result: Any) -> Any:
        """A JSON value without them; what is none is left as it is."""
        if not self._values:
            return result
        if isinstance(result, str):
            return self.mask(result)
        if isinstance(result, list):
            return [self.mask_result(item) for item in result]
        if isinstance(result, dict):
            return {self.mask_result(key): self.mask_result(item) for key, item in result.items()}
        return result

    def mask_error(self, error: Exception) -> Exception:
        """The error itself, or one that says the same without them."""
        said: Exception = error
        if isinstance(error, CommandFailed) and error.is_cut:
            said = CommandFailed(error.code, self._without_ended(self.mask(error.stderr_tail)))
        masked = self.mask(describe(said))
        return error if masked == describe(error) else _Masked(masked, getattr(error, "retriable", True))


class _Masked(TaskError):  # noqa: N818 - stands for another
    """What was said by an error that held a secret."""

    def __init__(self, text: str, retriable: bool) -> None:
        self.retriable = retriable
        super().__init__(text)


def _shown_as(value: str) -> set[str]:
    """The texts by which a secret may be shown: all of it, its lines, and as Python writes it."""
    lines = {line for line in value.splitlines() if len(line) >= _SHORTEST_LINE}
    return {value, value.strip(), repr(value)[1:-1], *lines} - {""}


def _value(reference: Reference) -> str:
    if isinstance(reference, Secret):
        return os.environ[reference.name]
    raise TemplateError(reference.text, f"{reference.text} has no value here")
