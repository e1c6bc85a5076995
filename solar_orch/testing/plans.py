"""Plans of tests, and what became of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class _Anything:
    """Equal to whatever it is compared with."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return "ANYTHING"


#: The result of a :class:`Call` on which its author does not insist.
ANYTHING = _Anything()


@dataclass(frozen=True)
class Call:
    """One call of a task type, for a conformance test.

    :param args: the positional arguments, as a sequence
    :param kwargs: the keyword arguments
    :param result: what it returns; whatever it is when left out
    :param error: a text that the error of a call that fails contains
    :param parameters: what else the task has in its plan: ``target``, ``timelimit``, ...
    """

    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    result: Any = ANYTHING
    error: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.args, str | bytes) or not isinstance(self.args, Sequence):
            raise TypeError(f"Call takes all positional arguments as one sequence: Call([{self.args!r}])")

    def as_task(self, uid: str, type_: str, **parameters: Any) -> dict[str, Any]:
        """A task that makes this call."""
        return task(uid, type_, *self.args, kwargs=self.kwargs, **{**self.parameters, **parameters})

    def __str__(self) -> str:
        given = [*map(repr, self.args), *(f"{name}={value!r}" for name, value in self.kwargs.items())]
        return f"({', '.join(given)})"


def task(
    uid: str,
    type_: str,
    *args: Any,
    after: Iterable[str] = (),
    target: str | None = None,
    kwargs: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> dict[str, Any]:
    """One task of a plan, as it would stand in a plan file.

    :param uid: its name
    :param type_: its task type
    :param args: the arguments of the call
    :param after: the names of the tasks that it waits for
    :param target: the host or group that it is for
    :param kwargs: the keyword arguments of the call
    :param parameters: what else it has: ``retry``, ``timelimit``, ``timeout``, ...
    """
    given: dict[str, Any] = {"type": type_, "args": list(args), **parameters}
    if kwargs:
        given["kwargs"] = dict(kwargs)
    if target is not None:
        given["target"] = target
    return {"uid": uid, "parameters": given, "after": list(after), "before": []}


@dataclass(frozen=True)
class Situation:
    """What a limit is asked: whether one more task of a plan may start beside those that are in progress.

    :param tasks: those of the plan, see :func:`task`
    :param running: the names of those in progress
    :param candidate: the name of the one that would start
    """

    tasks: Sequence[Mapping[str, Any]]
    running: Collection[str]
    candidate: str

    def __str__(self) -> str:
        return f"{self.candidate} beside {', '.join(sorted(self.running)) or 'nothing'}"


@dataclass(frozen=True)
class Ended:
    """What has become of a plan."""

    #: As ``solar-orch report --format json`` prints it.
    report: Mapping[str, Any]
    #: What the tasks have returned, by their names; of those that have returned a JSON value.
    results: Mapping[str, Any] = field(default_factory=dict)

    @property
    def uid(self) -> str:
        """That of the plan."""
        return str(self.report["uid"])

    @property
    def status(self) -> str:
        """``finished`` or ``failed``, or how else the plan stands."""
        return str(self.report["status"])

    @property
    def states(self) -> dict[str, str]:
        """The state of each task, by its name."""
        return {task["name"]: task["status"] for task in self.report["tasks"]}

    def __getitem__(self, name: str) -> dict[str, Any]:
        """One task, as it stands in the report.

        :raises KeyError: if the plan has no such task
        """
        for found in self.report["tasks"]:
            if found["name"] == name:
                return dict(found)
        raise KeyError(name)

    def __str__(self) -> str:
        tasks = [
            f"  {task['name']} ({task['type']}): {task['status']}"
            + (f": {task['errmsg']}" if task["errmsg"] else "")
            for task in self.report["tasks"]
        ]
        return "\n".join([f"plan {self.uid}: {self.status}", *tasks])
