"""Broken in background functions."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from broken.base import Sound, broken
from solar_orch.executors import inline
from solar_orch.testing.executors.background import Background


@broken(Background, "background_functions_run_until_the_last_call_has_ended")
class EndsBackgroundFunctionsFirst(Sound):
    class Executor(inline.Executor):
        def _drain(self) -> None:
            self._stopping.set()
            super()._drain()


@broken(
    Background, "background_functions_run_until_the_last_call_has_ended",
    "a_background_function_that_fails_ends_run_with_its_error",
)  # fmt: skip
class StartsNoBackgroundFunctions(Sound):
    class Executor(inline.Executor):
        def __init__(self, worker: Any, address: str) -> None:
            super().__init__(worker, address)
            worker.backgrounds = []

        def run(self) -> None:
            self.worker.backgrounds = []
            super().run()


@broken(Background, "a_background_function_may_return")
class EndsWithItsBackgroundFunctions(Sound):
    class Executor(inline.Executor):
        def _guard(self, what: str, function: Any, *args: Any) -> None:
            super()._guard(what, function, *args)
            if what != "the receiver":
                self._ask_to_stop(0)


@broken(Background, "a_background_function_that_fails_ends_run_with_its_error")
class SwallowsFailures(Sound):
    class Executor(inline.Executor):
        def _guard(self, what: str, function: Any, *args: Any) -> None:
            with suppress(Exception):
                function(*args)
