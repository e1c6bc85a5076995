"""Processes of their own that tests start, and end."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

# Where a command has run, gevent's loop asks after all children: that of the library would find its own gone.
from gevent import subprocess

from solar_orch.held import descendants, is_alive
from solar_orch.testing.hosting import Solar
from solar_orch.testing.waiting import wait_until

_WORKER = "from solar_orch.cli.entry import worker; worker()"


class Process:
    """A Python that runs beside the test; its output is kept.

    What the test has put on its path is on the path of the process as well.

    :param args: those of the interpreter
    :param output: the file to which stdout and stderr go
    :param patience: seconds after which what is waited for will not come any more
    """

    def __init__(self, args: Sequence[str], output: Path, patience: float) -> None:
        self._patience = patience
        self._output = output
        with output.open("wb") as stream:
            self._popen = subprocess.Popen(
                [sys.executable, *args],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return int(self._popen.pid)

    @property
    def children(self) -> list[int]:
        """The living processes below it."""
        return descendants(self.pid)

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._output.read_text(errors="replace")

    def so_far(self) -> str:
        """What is known of it, for a message."""
        return f"it has written:\n{self.log}"

    def send(self, number: int) -> None:
        """Send it a signal."""
        self._popen.send_signal(number)

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for what it brings about.

        :param what: is said when it does not come
        :raises AssertionError: if it does not come in time, or the process ends without
        """
        __tracebackhide__ = True
        wait_until(lambda: condition() or self._popen.poll() is not None, self._said(what), self._patience)
        if self._popen.poll() is not None and not condition():
            raise AssertionError(
                f"the process ended with code {self._popen.poll()} before {self._said(what)()}"
            )

    def end(self) -> int:
        """Wait for its end; its exit code.

        :raises AssertionError: if it does not end in time
        """
        __tracebackhide__ = True
        wait_until(lambda: self._popen.poll() is not None, self._said("its end"), self._patience)
        return int(self._popen.wait())

    def must_leave_none(self, children: Sequence[int]) -> None:
        """See that processes that ran below it end as well.

        :raises AssertionError: if one does not end in time
        """
        __tracebackhide__ = True
        said = self._said(f"the end of the processes {', '.join(map(str, children))}")
        wait_until(lambda: not any(map(is_alive, children)), said, self._patience)

    def kill(self) -> None:
        """Kill it, and what runs below it."""
        left = self.children if self._popen.poll() is None else []
        for pid in (self.pid, *left):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._popen.wait()

    def _said(self, what: str) -> Callable[[], str]:
        return lambda: f"{what}; {self.so_far()}"


def worker(solar: Solar, *args: str) -> Process:
    """Start a ``solar-worker`` with the options, the directory and the database of the fixture.

    The executor ``inline`` does not reach it: set the option ``executor`` first.

    :param args: of its command line
    """
    command = ["-c", _WORKER, "--config-file", solar.write_configuration(), *args]
    output = solar.root / f"worker.{len(list(solar.root.glob('worker.*')))}"
    return Process(command, output, solar.patience)
