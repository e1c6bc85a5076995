"""Errors of plans, and of those who steer them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from solar_orch.errors.root import ExitCode, SolarError
from solar_orch.errors.text import some


@dataclass(frozen=True, order=True)
class Mistake:
    """One thing that is wrong in a plan file; lines and columns count from 1."""

    line: int
    column: int
    message: str
    #: How many it is: more than one for the last line of many, which says how many more there are.
    number: int = 1


class PlanError(SolarError):
    """A plan file with mistakes, all of which are listed.

    :param source: the file's name
    :param mistakes: in the order of the file
    """

    exit_code = ExitCode.USAGE

    def __init__(self, source: str, mistakes: Sequence[Mistake]) -> None:
        self.source = source
        self.mistakes = sorted(set(mistakes))
        super().__init__("\n".join(f"{source}:{m.line}:{m.column}: {m.message}" for m in self.mistakes))


class PlanUnreadable(SolarError):
    """A plan file that is not there or cannot be read.

    :param source: its path
    """

    exit_code = ExitCode.USAGE

    def __init__(self, source: str, problem: str) -> None:
        self.source = source
        self.problem = problem
        super().__init__(f"{source}: {problem}")


class PlanExists(SolarError):
    """A plan with this uid is in the database already."""

    exit_code = ExitCode.USAGE

    def __init__(self, uid: str) -> None:
        self.uid = uid
        super().__init__(
            f"a plan with the uid {uid} exists already; drop 'uid' from the file to get a new one"
        )


class UnknownPlan(SolarError):
    """There is no plan with this uid."""

    exit_code = ExitCode.USAGE

    def __init__(self, uid: str, similar: Sequence[str] = ()) -> None:
        self.uid = uid
        self.similar = list(similar)
        if uid == "last":
            problem = "there is no plan yet; make one with: solar-orch create PLAN"
        else:
            problem = f"there is no plan with the uid {uid}"
            if similar:
                problem += f"; did you mean {' or '.join(similar)}?"
        super().__init__(problem)


class UnknownTask(SolarError):
    """A plan has no task of this name.

    :param similar: names of its tasks that are like it
    """

    exit_code = ExitCode.USAGE

    def __init__(self, plan_uid: str, name: str, similar: Sequence[str] = ()) -> None:
        self.plan_uid = plan_uid
        self.name = name
        self.similar = list(similar)
        meant = f"; did you mean {' or '.join(similar)}?" if similar else ""
        super().__init__(f"plan {plan_uid} has no task {name}{meant}")


class WrongState(SolarError):
    """The state of a plan, or of one of its tasks, does not allow what is asked for; nothing was changed.

    :param problem: how it stands
    :param remedy: what could be done, or ""
    """

    exit_code = ExitCode.USAGE

    def __init__(self, plan_uid: str, problem: str, remedy: str = "") -> None:
        self.plan_uid = plan_uid
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"plan {plan_uid} {problem}" + (f"; {remedy}" if remedy else ""))


class CannotStart(SolarError):
    """A task that was chosen to run waits for others that are neither done nor chosen; nothing was changed.

    :param name: of the task
    :param waits_for: the names of the others
    """

    exit_code = ExitCode.USAGE

    def __init__(self, name: str, waits_for: Sequence[str]) -> None:
        self.name = name
        self.waits_for = list(waits_for)
        super().__init__(
            f"{name} cannot be started alone: it waits for {some(waits_for)}; choose what comes before it as"
            " well, or let that count as done with: solar-orch noop"
        )


class UnknownItem(SolarError):
    """No changes with these ids are staged.

    :param ids: in order
    """

    exit_code = ExitCode.USAGE

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = list(ids)
        super().__init__(
            f"no change is staged with the id {some(list(map(str, ids)))}; see: solar-orch log staged"
        )


class InvalidChange(SolarError):
    """A change that cannot be staged."""

    exit_code = ExitCode.USAGE


class TransitionError(SolarError):
    """A move that the table of transitions does not allow."""

    def __init__(self, old: str, new: str) -> None:
        self.old = old
        self.new = new
        super().__init__(f"a task cannot go from {old} to {new}")
