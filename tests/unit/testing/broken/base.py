"""What broken executors are made with."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gevent

from solar_orch.executors import inline


@dataclass
class Broken:
    """A broken executor: which file of the kit it is tried by, and what of that must fail."""

    name: str
    #: Of an entry point that it is registered by.
    target: str
    kit: type
    fails: frozenset[str]


BROKEN: list[Broken] = []


class Sound:
    """As it should be."""

    Executor: Any = inline.Executor
    Client: Any = inline.Client
    capabilities: frozenset[str] = frozenset()


def broken(kit: type, *fails: str) -> Callable[[type], type]:
    """Note that a part must fail these tests of a file of the kit, and no other.

    :param fails: names of tests, without ``test_``
    """

    def note(part: type) -> type:
        target = f"{part.__module__}:{part.__name__}"
        BROKEN.append(Broken(part.__name__, target, kit, frozenset(f"test_{name}" for name in fails)))
        return part

    return note


class Failing(inline.Executor):
    """An executor that can be ended by an error."""

    def fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._ask_to_stop(0.0)


class Keeping(inline.Client):
    """Sends a little later."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.kept: list[Any] = []

    def _call(self, method: str, ctxt: Any, /, *args: Any, **kwargs: Any) -> None:
        self._executor()
        self.kept.append((method, copy.deepcopy(ctxt), args, kwargs))
        if len(self.kept) == 1:
            gevent.spawn_later(0.01, self.send)

    def send(self) -> None:
        kept, self.kept = self.kept, []
        for method, ctxt, args, kwargs in kept:
            super()._call(method, ctxt, *args, **kwargs)
