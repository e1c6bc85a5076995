"""A host for tests, in this process."""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent

from solar_orch import config
from solar_orch.errors import ConfigError, SolarError
from solar_orch.host import Host
from solar_orch.plan.model import Plan
from solar_orch.plan.parse import parse
from solar_orch.store import Store
from solar_orch.testing.calls import RunningCalls
from solar_orch.testing.plans import Ended
from solar_orch.testing.running import RunningPlan
from solar_orch.testing.waiting import wait_until
from solar_orch.testing.watchdog import Watchdog

if TYPE_CHECKING:
    import pytest
    from oslo_config import cfg

#: Seconds after which what is waited for will not come any more.
PATIENCE = 30.0
#: Seconds for which a call may keep everything else from running.
STANDSTILL = 5.0


class Solar:
    """A host in this process, with a directory and a database of its own.

    It is made when it is first needed, with the options as they are then,
    and runs until :meth:`stop`, or the end of the test.  What a part is
    refused for is raised as it is, as by ``solar-worker``.  All methods
    belong to the main greenlet; those that wait let other greenlets run.

    :param root: a private directory with a short path
    """

    def __init__(self, root: Path) -> None:
        #: The directory of everything; the state directory is ``s`` in it.
        self.root = root
        #: Seconds after which a wait is given up.
        self.patience = PATIENCE
        #: Seconds for which a call may block the event loop; then it is ended.
        self.standstill = STANDSTILL
        self._options: dict[str, dict[str, str]] = {}
        self._conf: cfg.ConfigOpts | None = None
        self._host: Host | None = None
        self._store: Store | None = None
        self._serving: Any = None
        self._failure: BaseException | None = None
        self._stopping = False
        self._watchdog: Watchdog | None = None
        self._calls: RunningCalls | None = None
        self.options(
            state_dir=root / "s",
            runtime_dir=root / "r",
            executor="inline",
            poll_interval=0.1,
            drain_timeout=5,
        )

    # -- configuration -----------------------------------------------------------

    def options(self, group: str = config.GROUP, /, **values: object) -> None:
        """Set options, before the host is made: ``solar.options(tasks_driver="ours")``.

        They are written to a configuration file, and read as any other.

        :param group: of the options, for those that a part brings
        :param values: a list is written with commas
        :raises SolarError: if the host is there already
        """
        if self._host is not None:
            raise SolarError("options are set before the host is made; call stop() for a new one")
        self._options.setdefault(group, {}).update(
            {name: _written(value) for name, value in values.items() if value is not None}
        )
        self._conf = None

    @property
    def conf(self) -> cfg.ConfigOpts:
        """The configuration.

        :raises ConfigError: if an option cannot have its value
        """
        if self._conf is None:
            self._conf = config.load(["--config-file", self.write_configuration()], prog="solar-worker")
        return self._conf

    def write_configuration(self) -> str:
        """Write the options to a file, for processes that read it; its path."""
        file = configparser.RawConfigParser()
        file.read_dict(self._options)
        path = self.root / "solar.conf"
        with path.open("w", encoding="utf-8") as stream:
            file.write(stream)
        return str(path)

    # -- the host ------------------------------------------------------------------

    @property
    def host(self) -> Host:
        """The host, built; workers, to subscribe to before it runs, are in ``host.workers``.

        :raises PluginError, ConfigError: if it cannot be built
        """
        __tracebackhide__ = True
        if self._host is None:
            host = Host(self.conf)
            _told_plainly(host.build)
            self._host = host
            if "tasks" in host.workers:
                self._calls = RunningCalls(host.workers["tasks"])
        return self._host

    @property
    def store(self) -> Store:
        """The database."""
        if self._store is None:
            self._store = Store(self.conf)
        return self._store

    @property
    def calls(self) -> RunningCalls:
        """The calls of the tasks worker that run now."""
        assert self.host is not None
        assert self._calls is not None, "no tasks worker is installed"
        return self._calls

    @property
    def blocking(self) -> list[SolarError]:
        """The calls that have blocked the event loop, as the errors with which they were ended."""
        return list(self._watchdog.found) if self._watchdog is not None else []

    def start(self) -> None:
        """Run the host in the background, unless it runs already; returns when all workers take calls.

        :raises PluginError, ConfigError: if it cannot be built
        :raises Exception: that with which it ended instead
        """
        __tracebackhide__ = True
        if self._serving is not None:
            return
        host = self.host
        self._stopping, self._failure = False, None
        calls = self._calls
        self._watchdog = Watchdog(self.standstill, calls.of_current_greenlet if calls else lambda: None)
        self._watchdog.begin()
        self._serving = gevent.spawn(self._serve, host)
        self.wait_until(
            lambda: all(getattr(executor, "taking", True) for executor in host.executors.values()),
            "all workers take calls",
        )

    def stop(self, timeout: float | None = None) -> None:
        """Stop the host, as SIGTERM stops ``solar-worker``; blocks until it has ended.

        The next use makes a new host on the same database, and its plans go on.

        :param timeout: seconds that running calls get to end; the option ``drain_timeout`` when None
        :raises Exception: that with which the host ended
        """
        __tracebackhide__ = True
        host, serving = self._host, self._serving
        self._stopping = True
        try:
            if host is not None and serving is not None:
                host.stop(timeout)
                serving.join(self.patience)
                if not serving.dead:
                    raise AssertionError(f"the host does not stop within {self.patience:g} s")
        finally:
            if self._watchdog is not None:
                self._watchdog.end()
            self._close_store()
            self._host = self._serving = self._conf = self._calls = None
        self._raise_failure()

    def wait_until(
        self, condition: Callable[[], object], what: str | Callable[[], str], seconds: float | None = None
    ) -> None:
        """Let the host run until `condition()` is true.

        :param what: what is waited for, for the message
        :param seconds: for which to wait; ``patience`` when None
        :raises AssertionError: if it does not become true in time; the message says where calls wait
        :raises Exception: that with which the host ended meanwhile
        """
        __tracebackhide__ = True

        def holds() -> object:
            __tracebackhide__ = True
            if self._serving is not None and self._serving.dead and not self._stopping:
                self._raise_failure()
                raise AssertionError("the host has ended by itself")
            return condition()

        def said() -> str:
            text = what() if callable(what) else what
            return f"{text}\n{self._calls.where()}" if self._calls is not None else text

        wait_until(holds, said, self.patience if seconds is None else seconds)

    def _serve(self, host: Host) -> None:
        try:
            host.run()
        except BaseException as error:
            self._failure = error

    def _raise_failure(self) -> None:
        __tracebackhide__ = True
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _close_store(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    # -- plans ---------------------------------------------------------------------

    def run(self, *tasks: Mapping[str, Any], seconds: float | None = None) -> Ended:
        """Run a plan of these tasks to its end; blocks.

        :param tasks: see :func:`solar_orch.testing.task`; or one whole plan, as in a plan file
        :param seconds: for which to wait for the end; ``patience`` when None
        :raises PlanError: if this is no plan
        :raises PluginError, ConfigError: if the host cannot be built
        :raises AssertionError: if the plan is not over in time; the message says what stands still
        """
        __tracebackhide__ = True
        plan = self._begin(tasks)
        return plan.end(seconds)

    @contextlib.contextmanager
    def running(self, *tasks: Mapping[str, Any]) -> Iterator[RunningPlan]:
        """Run a plan of these tasks beside what is done within; waits for its end when that is left.

        If the host was stopped within, its end is not waited for.

        :param tasks: as :meth:`run` takes them
        :raises PlanError, PluginError, ConfigError, AssertionError: as :meth:`run`
        """
        __tracebackhide__ = True
        plan = self._begin(tasks)
        yield plan
        if self._serving is not None:
            plan.end()

    def want(self, *tasks: Mapping[str, Any]) -> str:
        """Write a plan to the database that is to run, whoever runs it; its uid.

        :param tasks: as :meth:`run` takes them
        :raises PlanError: if this is no plan
        """
        return self.store.plans.create(_plan(tasks), wanted=True)

    def _begin(self, tasks: tuple[Mapping[str, Any], ...]) -> RunningPlan:
        __tracebackhide__ = True
        _plan(tasks)  # what is no plan shows before anything is opened
        self.start()
        uid = self.want(*tasks)
        self.host.clients["scheduler"].next({"plan_uid": uid}, uid)
        return RunningPlan(self, uid)

    def runs_call(self, uid: str, name: str) -> bool:
        """Whether the call of a task has begun and not ended; True if that cannot be told."""
        return self._calls is None or self._calls.has(uid, name)


@contextlib.contextmanager
def opened() -> Iterator[Solar]:
    """A fresh :class:`Solar`; afterwards its host is stopped, what runs is ended, and its files are gone."""
    # A short path: that of a socket must be.
    root = Path(tempfile.mkdtemp(prefix="solar-"))
    solar = Solar(root)
    try:
        yield solar
    finally:
        try:
            solar.stop(0)
        finally:
            shutil.rmtree(root, ignore_errors=True)


def forget_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no variable of the environment set an option: they are stronger than a configuration file."""
    for variable in [name for name in os.environ if name.startswith("OS_") and "__" in name]:
        monkeypatch.delenv(variable)


def _plan(tasks: tuple[Mapping[str, Any], ...]) -> Plan:
    whole = len(tasks) == 1 and "tasks" in tasks[0]
    return parse(json.dumps(dict(tasks[0]) if whole else {"name": "test", "tasks": list(tasks)}))


def _written(value: object) -> str:
    """A value as it stands in a configuration file."""
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(map(str, value))
    # A $ would refer to another option.
    return str(value).replace("$", "$$") if isinstance(value, Path) else str(value)


def _told_plainly(build: Callable[[], None]) -> None:
    """Call `build`; its error says enough without the way on which it came."""
    __tracebackhide__ = True
    try:
        build()
    except (ConfigError, SolarError) as error:
        raise error.with_traceback(None) from error.__cause__
