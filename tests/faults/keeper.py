"""Starting workers again when they die, as a supervisor would."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType

from harness import WORKERS, Process, Site


@dataclass
class Part:
    """A ``solar-worker`` that is kept running."""

    #: The workers in it; none means all.
    names: Sequence[str] = ()
    #: Options that it has for itself.
    options: dict[str, object] = field(default_factory=dict)
    process: Process | None = None
    #: What is injected into the next that is started, and only into that.
    faults: str | None = None
    #: How often it was started.
    starts: int = 0


class Keeper:
    """Keeps parts running until the end of its context, in which it then stops them.

    :param pause: seconds between two looks for the dead
    """

    def __init__(self, site: Site, parts: Sequence[Part], pause: float = 0.02) -> None:
        self.site = site
        self.parts = list(parts)
        self._pause = pause
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._tend_always, daemon=True)

    def __enter__(self) -> Keeper:
        self._tend()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if error is not None:
            return
        # One may have been killed at the very end of the plan.
        self._tend()
        for part in self.parts:
            assert part.process is not None
            # One that was started just now would die of the signal.
            for name in part.names or WORKERS:
                part.process.wait_for(f" {name}: ready at ")
            assert part.process.stop() == 0, part.process.log

    def kill(self, part: Part, faults: str | None = None) -> None:
        """Kill a part with -9; the one that is started in its place has these faults."""
        with self._lock:
            part.faults = faults
            if part.process is not None and part.process.code is None:
                part.process.kill()

    @property
    def deaths(self) -> int:
        """How often a part was started again."""
        return sum(part.starts - 1 for part in self.parts)

    def _tend_always(self) -> None:
        while not self._over.wait(self._pause):
            self._tend()

    def _tend(self) -> None:
        with self._lock:
            for part in self.parts:
                if part.process is None or part.process.code is not None:
                    args = [f"--worker={name}" for name in part.names]
                    part.process = self.site.begin_worker(*args, faults=part.faults, **part.options)
                    part.faults = None
                    part.starts += 1
