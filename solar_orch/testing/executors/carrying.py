"""What is carried, and what becomes of what cannot be, or must not be called."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest

from solar_orch.errors import NotCarried, UnknownTaskType
from solar_orch.testing.bench import Bench
from solar_orch.testing.executors.base import TASK, ExecutorKit

#: One of each kind that has to be carried.
CARRIED: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    0.5,
    -1.0,
    1e308,
    "",
    "text\n\0 ä € 😀",
    "x" * 100_000,
    b"",
    bytes(range(256)),
    [],
    [1, "a", None, [2.5, [b"\xff"]]],
    {},
    {"": 1, "ä": {"deep": [{"er": None}]}, "_private": 2},
]
#: What no message has to carry.
PERHAPS_CARRIED: dict[str, Any] = {
    "a set": {1},
    "a large number": 2**70,
    "half a character": "\ud800",
    "a map with a key that is no text": {(1, 2): 3},
    "a complex number": 1j,
    "a long list": [0] * 200_000,
    "many bytes": b"x" * (32 * 1024 * 1024),
}


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def _as_carried(value: Any) -> Any:
    """`value` in a form in which what is equal, and of the same types, is equal; tuples count as lists."""
    if isinstance(value, (list, tuple)):
        return ["list", *map(_as_carried, value)]
    if isinstance(value, dict):
        return {key: _as_carried(each) for key, each in value.items()}
    return type(value).__name__, value


class Carrying(ExecutorKit):
    """Calls and their arguments."""

    def test_arguments_arrive_as_they_were_given(self, bench: Bench) -> None:
        worker = bench.worker()
        bench.serve(worker)
        client = bench.client()
        values = [*CARRIED, _nested(50)]
        for number, value in enumerate(values):
            client.note({}, number, value)
        bench.until(lambda: len(worker.seen) >= len(values), f"all of {len(values)} calls arrive")
        found = {args[0]: args[1] for args, _ in worker.seen}
        for number, value in enumerate(values):
            assert _as_carried(found[number]) == _as_carried(value)

    def test_named_arguments_arrive_whatever_their_names(self, bench: Bench) -> None:
        worker = bench.worker()
        bench.serve(worker)
        names = ("a", "self", "ctxt", "method", "name", "args", "kwargs", "timeout", "address", "key", "ä")
        given = {name: [name, number] for number, name in enumerate(names)}
        bench.client().note({}, 1, **given)
        bench.until(lambda: worker.seen, "a call with named arguments arrives")
        assert _as_carried(worker.seen[0][1]) == _as_carried(given)

    def test_the_context_arrives_as_it_was_given(self, bench: Bench) -> None:
        worker = bench.worker()
        bench.serve(worker)
        ctxt = {
            **TASK,
            "task_name": "task",
            "plan_uid": "plan",
            "plan_id": 7,
            "timelimit": None,
            "timeout": 2.5,
            "target": None,
            "env": {"A": "b"},
            "of the author": [True, {"x": b"y"}],
        }
        bench.client().note(copy.deepcopy(ctxt), 1)
        bench.until(lambda: worker.seen, "a call arrives")
        assert _as_carried(worker.contexts[0]) == _as_carried(ctxt)

    def test_the_outcome_is_settled_with_the_result(self, bench: Bench) -> None:
        worker = bench.worker()
        bench.serve(worker)
        bench.client().note(TASK)
        bench.until(lambda: worker.outcomes.settled, "the call is settled")
        assert worker.outcomes.settled == [(TASK, "noted", None)]

    def test_nothing_is_shared_with_the_caller(self, bench: Bench) -> None:
        worker = bench.worker()
        bench.serve(worker)
        ctxt, argument, named = {**TASK, "env": {"A": "b"}}, [1, [2]], {"x": [3]}
        bench.client().note(ctxt, argument, named=named)
        ctxt["env"]["A"] = "changed"
        ctxt["attempt"] = 99
        argument[1].append("changed")  # type: ignore[attr-defined]
        named["x"].append("changed")  # type: ignore[arg-type]
        bench.until(lambda: worker.seen, "a call arrives")
        assert worker.seen == [(([1, [2]],), {"named": {"x": [3]}})]
        assert worker.contexts == [{**TASK, "env": {"A": "b"}}]

    def test_what_has_no_copy_elsewhere_is_refused(self, bench: Bench) -> None:
        worker = bench.worker()
        bench.serve(worker)
        client = bench.client()
        with pytest.raises(NotCarried):
            bench.within(client.note, {}, lambda: None, expected="a call is refused")
        with pytest.raises(NotCarried):
            bench.within(client.note, {"x": object()}, expected="a call is refused")
        bench.fence(worker, client)
        assert len(worker.seen) == 2, "a call that was refused is not made"

    def test_whatever_is_given_is_refused_or_arrives(self, bench: Bench) -> None:
        worker = bench.worker()
        bench.serve(worker)
        client = bench.client()
        taken = {}
        for label, value in {**PERHAPS_CARRIED, "a deep list": _nested(5000)}.items():
            try:
                bench.within(client.note, {}, label, value, expected=f"a call with {label} returns")
                taken[label] = value
            except NotCarried:
                pass
        bench.fence(worker, client)
        for label, value in taken.items():
            bench.until(
                lambda label=label: any(args[0] == label for args, _ in worker.seen),  # type: ignore[misc]
                f"{label}, for which NotCarried was not raised, arrives",
            )
            arrived = next(args[1] for args, _ in worker.seen if args[0] == label)
            assert repr(arrived) == repr(value), f"{label} arrives as it was given"

    @pytest.mark.parametrize(
        "ctxt",
        [None, [], "ctxt", 7, {"task_id": 7}, {"task_id": "x", "attempt": "1"}, {"attempt": -1},
         {"task_id": "x", "timelimit": "soon"}, {"secrets": 1}, {"env": []}],
        ids=repr,
    )  # fmt: skip
    def test_a_bad_context_ends_nothing(self, bench: Bench, ctxt: Any) -> None:
        worker = bench.worker()
        run = bench.serve(worker)
        client = bench.client()
        with contextlib.suppress(NotCarried, TypeError, ValueError, AttributeError):  # refused at once
            bench.within(client.note, ctxt, "bad", expected="the call returns")
        bench.fence(worker, client)
        assert not run.is_over

    def test_arguments_that_do_not_fit_end_nothing(self, bench: Bench) -> None:
        worker = bench.worker()
        run = bench.serve(worker)
        client = bench.client()
        client.resist(TASK)
        client.resist(TASK, 1, 2, 3, unknown=4)
        client.probe({}, 1, 2, 3)
        client.shout({}, unknown=1)
        bench.fence(worker, client)
        assert not run.is_over
        assert worker.running == 0

    @pytest.mark.parametrize(
        "name", ["nothing", "callable_attribute", "for_all", "background", "call", "store", "add_method"]
    )
    def test_what_is_no_method_is_never_called(self, bench: Bench, name: str) -> None:
        worker = bench.worker()
        run = bench.serve(worker)
        client = bench.client()
        before = len(worker.backgrounds)
        getattr(client, name)({}, "nothing", {})
        bench.fence(worker, client)
        assert not worker.trespasses, f"{name} is no method of the worker and must not be called"
        assert len(worker.backgrounds) == before
        assert [args for args, _ in worker.seen if args == ("nothing", {})] == []
        assert not run.is_over

    @pytest.mark.parametrize("name", ["_private", "_outcome", "__init__", "__call__"])
    def test_private_names_are_never_called(self, bench: Bench, name: str) -> None:
        worker = bench.worker()
        worker.answers_unknown = True
        run = bench.serve(worker)
        client = bench.client()
        asked = len(worker.asked)
        try:
            method = getattr(client, name)
        except AttributeError:
            method = None
        if method is not None and name not in dir(type(client)):
            with contextlib.suppress(NotCarried, AttributeError, TypeError):
                method({}, 1)
        bench.fence(worker, client)
        assert not worker.trespasses, f"{name} is private and must not be called"
        assert name not in worker.asked[asked:], f"worker.call() must not be asked for {name}"
        assert not run.is_over

    def test_a_client_has_no_private_attributes_but_its_own(self, bench: Bench) -> None:
        client = bench.client()
        with pytest.raises(AttributeError):
            client._there_is_no_such_thing  # noqa: B018
        assert not hasattr(client, "__length_hint__")

    def test_a_worker_may_answer_to_unknown_names(self, bench: Bench) -> None:
        worker = bench.worker()
        worker.answers_unknown = True
        bench.serve(worker)
        bench.client().frobnicate(TASK, 1, a=2)
        bench.until(lambda: worker.outcomes.settled, "a call of an unknown name is settled")
        assert [type(error) for error in worker.outcomes.errors] == [UnknownTaskType]
