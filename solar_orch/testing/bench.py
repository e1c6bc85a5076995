"""Executors, workers and clients of one kind, made for a test, watched, and ended after it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import gevent

from solar_orch import config, plugins
from solar_orch.config import GROUP
from solar_orch.errors import NoPeer, SolarError
from solar_orch.executors.base import Client, Executor
from solar_orch.testing.recorder import Recorder

if TYPE_CHECKING:
    from oslo_config import cfg

T = TypeVar("T")


def loaded(name: str) -> plugins.Plugin:
    """The executor of this name, as a host loads it.

    :raises PluginError: if a host would refuse it
    """
    return plugins.load_one(plugins.EXECUTORS, name)


def configured(options: Mapping[str, Any], part: plugins.Plugin) -> cfg.ConfigOpts:
    """A configuration in which these options are set, those of the part among them.

    :param options: name to value; of other groups than ``[orchestration]`` as ``group.name``
    """
    conf = config.load(["--config-file", os.devnull])
    plugins.load_one(part.namespace, part.name, conf=conf)
    for name, value in options.items():
        group, _, option = name.rpartition(".")
        conf.set_override(option, value, group=group or GROUP)
    return conf


class Run:
    """A call of ``executor.run()``, in a greenlet."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        #: What it raised; returned from the greenlet, since gevent would print it.
        self.error: BaseException | None = None
        self._greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        try:
            self.executor.run()
        except Exception as error:
            self.error = error

    @property
    def is_over(self) -> bool:
        """Whether it has returned, or raised."""
        return bool(self._greenlet.dead)


class Bench:
    """Makes workers, executors and clients of one kind of executor, and ends them.

    :param part: the executor
    :param address: where its workers are served
    :param options: see :func:`configured`
    :param deadline: seconds to wait for what should happen soon
    """

    def __init__(
        self, part: plugins.Plugin, address: str, options: Mapping[str, Any], deadline: float
    ) -> None:
        self.part = part
        self.address = address
        self.options = dict(options)
        self.deadline = deadline
        #: What another process takes in addition, whose imports are many.
        self._seconds_to_start = 2 * deadline
        self._tokens = map(str, itertools.count(1))
        self._endings: list[Callable[[], object]] = []
        #: What other processes write to stderr, by their pids.
        self._complaints: dict[int, IO[str]] = {}

    # -- waiting -----------------------------------------------------------------

    def until(self, condition: Callable[[], object], expected: str, seconds: float = 0.0) -> None:
        """Let greenlets run until `condition()` is true.

        :param expected: what that means, for the message when it takes too long
        :param seconds: that it may take in addition to the usual
        :raises AssertionError: if it does
        """
        deadline = time.monotonic() + self.deadline + seconds
        while not condition():
            assert time.monotonic() < deadline, f"within {self.deadline + seconds:g} seconds: {expected}"
            gevent.sleep(0.002)

    def within(self, function: Callable[..., T], *args: Any, expected: str, seconds: float = 0.0) -> T:
        """Call what may block, in a greenlet.

        :param seconds: that it may take in addition to the usual
        :raises AssertionError: if it does not return in time
        :raises Exception: what it raises
        """
        outcome: list[T] = []
        errors: list[Exception] = []

        def call() -> None:
            try:
                outcome.append(function(*args))
            except Exception as error:
                errors.append(error)

        greenlet = gevent.spawn(call)
        greenlet.join(self.deadline + seconds)
        if not greenlet.dead:
            greenlet.kill(block=False)
            raise AssertionError(f"within {self.deadline + seconds:g} seconds: {expected}")
        if errors:
            raise errors[0]
        assert outcome, f"it returns: {expected}"
        return outcome[0]

    # -- making ------------------------------------------------------------------

    def worker(self, pool_size: int = 100) -> Recorder:
        """Make a worker with a configuration of its own."""
        return Recorder(configured({**self.options, "pool_size": pool_size}, self.part))

    def executor(self, worker: Recorder) -> Executor:
        """Make the executor of a worker; it is stopped after the test if it runs then."""
        executor: Executor = self.part.obj.Executor(worker, self.address)
        worker.executor = executor
        return executor

    def client(self, send_timeout: float | None = None) -> Any:
        """Make a client, which is closed after the test.

        :param send_timeout: as long as the test waits for anything when None
        """
        client: Client = self.part.obj.Client(self.address)
        client.send_timeout = self.deadline if send_timeout is None else send_timeout
        self._endings.append(lambda: client.close(0))
        return client

    def start(self, executor: Executor) -> Run:
        """Have an executor run beside the test; does not wait for anything."""
        run = Run(executor)
        self._endings.append(lambda: self._end(executor))
        return run

    def serve(self, worker: Recorder) -> Run:
        """Make the executor of a worker, run it, and wait until calls arrive."""
        return self.ready(self.start(self.executor(worker)))

    def ready(self, run: Run) -> Run:
        """Wait until calls arrive at a running executor.

        :raises Exception: what its ``run()`` raised instead
        """
        worker = run.executor.worker
        assert isinstance(worker, Recorder)
        token = next(self._tokens)
        prober: Client = self.part.obj.Client(self.address)
        prober.send_timeout = 0.5
        gevent.sleep(0.003)  # as a rule it listens by then; to connect before takes longer

        def arrives() -> bool:
            if run.is_over:
                raise run.error or SolarError("run() has returned, though nobody asked for a stop")
            with contextlib.suppress(NoPeer):
                prober.probe({}, token)
            gevent.sleep(0.005)
            return token in worker.probed

        try:
            self.until(arrives, "a control arrives at the worker, whose executor runs")
        finally:
            self.within(prober.close, 1.0, expected="close() of a client returns", seconds=1.0)
        return run

    def fence(self, worker: Recorder, client: Any) -> None:
        """Wait until calls that are made now have been made, and with them, as a rule, those made before."""
        for _ in range(2):
            token = next(self._tokens)
            client.note({}, token)
            self.until(
                lambda token=token: any(args == (token,) for args, _ in worker.seen),  # type: ignore[misc]
                "a further call arrives",
            )
            gevent.sleep(0.01)

    # -- other processes ----------------------------------------------------------

    def other_worker(self, journal: Path) -> subprocess.Popen[str]:
        """A process that serves a worker at this address, and writes down the calls; calls arrive there."""
        process = self._peer(
            "serve", {"name": self.part.name, "address": self.address, "options": self.options,
                      "journal": str(journal)}
        )  # fmt: skip
        token = f"other {next(self._tokens)}"
        client = self.client(send_timeout=0.5)

        def arrives() -> bool:
            assert process.poll() is None, f"the other worker runs; it said: {self._said_by(process)}"
            with contextlib.suppress(NoPeer):
                client.probe({}, token)
            gevent.sleep(0.02)
            return {"probe": token} in journal_of(journal)

        self.until(
            arrives, "a control arrives at the worker of another process", seconds=self._seconds_to_start
        )
        return process

    def other_sender(self, count: int, **surroundings: Any) -> int:
        """Have another process make so many calls; how many it says that may be lost."""
        given = {"name": self.part.name, "address": self.address, "count": count, "seconds": self.deadline}
        process = self._peer("send", given, **surroundings)
        self.until(
            lambda: process.poll() is not None,
            "another process makes its calls, closes its client and ends",
            seconds=self._seconds_to_start,
        )
        said = process.communicate()[0]
        assert process.returncode == 0, (
            f"the other process can make its calls; it said: {self._said_by(process)}"
        )
        lost: int = json.loads(said.splitlines()[-1])["lost"]
        return lost

    def _peer(
        self,
        what: str,
        given: Mapping[str, Any],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.Popen[str]:
        complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed after the test
        self._endings.append(complaints.close)
        process = subprocess.Popen(
            [sys.executable, "-m", "solar_orch.testing.peer", what],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Not a pipe, which would be full some day.
            stderr=complaints,
            text=True,
            env={**os.environ, **(env or {}), "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
            cwd=cwd,
        )
        self._complaints[process.pid] = complaints
        self._endings.append(lambda: _kill(process))
        assert process.stdin is not None
        process.stdin.write(json.dumps(given))
        process.stdin.close()
        process.stdin = None
        return process

    def _said_by(self, process: subprocess.Popen[str]) -> str:
        complaints = self._complaints[process.pid]
        complaints.seek(0)
        return complaints.read()

    # -- ending ------------------------------------------------------------------

    def close(self) -> None:
        """End everything; what does not end in time is left behind."""
        for ending in reversed(self._endings):
            with contextlib.suppress(Exception):
                self.within(ending, expected="it ends")

    def _end(self, executor: Executor) -> None:
        worker = executor.worker
        assert isinstance(worker, Recorder)
        worker.release.set()
        worker.outcomes.release()
        executor.stop(0)


def _kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def journal_of(path: Path) -> list[dict[str, Any]]:
    """What a worker of another process has written down."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def notes_of(path: Path) -> list[Any]:
    """The first argument of each call of ``note`` in a journal."""
    return [line["note"][0] for line in journal_of(path) if "note" in line]
