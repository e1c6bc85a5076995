"""What an attempt is given: whether its task is to run at all, and its arguments filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from solar_orch.plan import condition, templates
from solar_orch.plan.condition import ConditionError
from solar_orch.plan.model import SHELL_TYPES
from solar_orch.plan.templates import KEEP, Reference, Result, Secret, TemplateError
from solar_orch.workers.calls import Ctxt

if TYPE_CHECKING:
    from solar_orch.store import Store
    from solar_orch.store.attempts import Dispatch as Attempt


class Inputs:
    """The inputs of one plan's attempts.  Its methods block on the database.

    :param env: what commands of the plan find in their environment
    :param cwd: where they run; None: where the worker does
    """

    def __init__(self, store: Store, plan_id: int, env: Mapping[str, str], cwd: str | None) -> None:
        self._store = store
        self._plan_id = plan_id
        self._common: dict[str, Any] = {}
        if env:
            self._common["env"] = dict(env)
        if cwd is not None:
            self._common["cwd"] = cwd
        #: What is wrong with what all commands are given; none of them can be given anything then.
        self._mistake: TemplateError | None = None
        self._common_secrets: set[str] = set()
        try:
            self._common_secrets = _secrets(self._common)
        except TemplateError as error:
            self._mistake = error

    # -- conditions ------------------------------------------------------------

    def judge(self, positions: Sequence[int]) -> dict[int, bool | str]:
        """Of each of these tasks that has a condition whether it holds, or why that cannot be said."""
        verdicts: dict[int, bool | str] = {}
        terms: dict[int, condition.Term] = {}
        for position, text in self._store.results.conditions(self._plan_id, positions).items():
            try:
                terms[position] = condition.parse(text)
            except ConditionError as error:
                verdicts[position] = f"its condition is wrong: {error}"
        results = self._results_for(
            reference for term in terms.values() for reference in condition.references(term)
        )
        for position, term in terms.items():
            try:
                verdicts[position] = condition.holds(term, lambda reference: _known(reference, results))
            except (ConditionError, TemplateError) as error:
                verdicts[position] = f"its condition cannot be decided: {error}"
        return verdicts

    # -- arguments -------------------------------------------------------------

    def fill(self, attempts: Sequence[Attempt]) -> list[tuple[Attempt, Ctxt] | TemplateError]:
        """For each attempt what it is given: with its arguments, and what its context holds of them.

        Secrets are left for the tasks worker to fill in: their names are in the context then, and all
        that is given is still a template.
        """
        if not self._common and not any(attempt.templates for attempt in attempts):
            return [(attempt, {}) for attempt in attempts]
        if self._mistake is not None:
            return [self._mistake] * len(attempts)
        references: list[Reference] = []
        mistakes: dict[int, TemplateError] = {}
        for place, attempt in enumerate(attempts):
            try:
                references += templates.references(
                    [attempt.args, attempt.kwargs] if attempt.templates else []
                )
            except TemplateError as error:
                mistakes[place] = error
        results = self._results_for(references)
        return [
            mistakes.get(place) or self._given(attempt, results) for place, attempt in enumerate(attempts)
        ]

    def _given(self, attempt: Attempt, results: Mapping[str, Any]) -> tuple[Attempt, Ctxt] | TemplateError:
        secrets = set(self._common_secrets)
        try:
            if attempt.templates:
                secrets |= _secrets([attempt.args, attempt.kwargs])

            def lookup(reference: Reference) -> Any:
                return KEEP if isinstance(reference, Secret) else _known(reference, results)

            last = not secrets
            if attempt.templates:
                args, kwargs = filled(attempt.type, attempt.args, attempt.kwargs, lookup, last=last)
                attempt = replace(attempt, args=args, kwargs=kwargs)
            extra: Ctxt = templates.fill(self._common, lookup, last=last)
        except TemplateError as error:
            return error
        except RecursionError:
            return TemplateError("", "a result is nested too deeply")
        if secrets:
            extra["secrets"] = sorted(secrets)
        return attempt, extra

    def _results_for(self, references: Iterable[Reference]) -> dict[str, Any]:
        names = {reference.task for reference in references if isinstance(reference, Result)}
        return self._store.results.of(self._plan_id, names) if names else {}


def filled(
    type_: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    lookup: templates.Lookup,
    *,
    last: bool,
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a task in which references are replaced; see ``templates.fill``.

    What becomes part of a command for a shell is quoted.

    :raises TemplateError: if they are no templates, or `lookup` raises it
    """
    given = [templates.fill(arg, lookup, last=last, insert=_insert(type_, place, arg))
             for place, arg in enumerate(args)]  # fmt: skip
    named = {
        name: templates.fill(arg, lookup, last=last, insert=_insert(type_, name, arg))
        for name, arg in kwargs.items()
    }
    return given, named


def _insert(type_: str, place: int | str, arg: Any) -> templates.Insert | None:
    is_command = type_ in SHELL_TYPES and place in (0, "command") and isinstance(arg, str)
    return templates.inserted_in_shell if is_command else None


def _known(reference: Reference, results: Mapping[str, Any]) -> Any:
    if isinstance(reference, Result):
        return reference.of(results)
    raise TemplateError(reference.text, f"{reference.text} has no value here")


def _secrets(value: Any) -> set[str]:
    return {reference.name for reference in templates.references(value) if isinstance(reference, Secret)}
