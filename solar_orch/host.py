"""The host: names from the configuration become parts, are put together, and run.

It knows no transport, no worker and no way of running them by name.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from oslo_config import cfg

from solar_orch import plugins
from solar_orch.config import GROUP
from solar_orch.contracts.table import read_by_hosts
from solar_orch.errors import PluginError
from solar_orch.executors.base import Client, Executor
from solar_orch.plugins import Plugin
from solar_orch.workers.base import Worker

LOG = logging.getLogger(__name__)


class Host:
    """Clients, workers and executors of one process, made from what is installed.

    Making a host resolves nothing and opens nothing: :meth:`build` resolves,
    :meth:`run` opens.  A host runs once.

    :param conf: configuration with the group ``[orchestration]``
    :param workers: names of the workers to run here; None for all that are
        installed; empty for none, which leaves the clients
    """

    def __init__(self, conf: cfg.ConfigOpts, workers: Sequence[str] | None = None) -> None:
        self.conf = conf
        self._wanted = None if workers is None else list(dict.fromkeys(workers))
        self._runner: Plugin | None = None
        self._stopping = False
        #: The client of every installed worker, by worker name, whichever workers run here.
        self.clients: dict[str, Client] = {}
        #: The workers that run here, by name.
        self.workers: dict[str, Worker] = {}
        #: Their executors, by worker name.
        self.executors: dict[str, Executor] = {}
        #: Every part that was loaded to build this host, in the order of loading.
        self.plugins: list[Plugin] = []

    def build(self) -> None:
        """Resolve all names and make clients, workers, hooks' subscriptions and executors.

        Opens nothing; imports the parts, and blocks for as long as that
        takes.  Doing it twice changes nothing.  When it fails, the clients
        that were made are closed.

        :raises PluginError: if any part is missing, broken, of the wrong type or found twice
        :raises ConfigError: if a part refuses its configuration
        """
        if self._runner is not None:
            return
        with plugins.session() as loaded:
            try:
                self._resolve_and_make()
            except BaseException:
                self._close_clients(timeout=0)
                self.clients, self.workers, self.executors = {}, {}, {}
                raise
            self.plugins = list(loaded.values())

    def run(self) -> None:
        """Build if that is still to be done, then run everything until it is stopped.

        Blocks.  The clients are closed when the runner returns or raises.

        :raises PluginError, ConfigError: from :meth:`build`
        :raises AddressInUse: if an address is served by another process
        :raises Exception: whatever else ends an executor
        """
        self.build()
        assert self._runner is not None
        for plugin in self.plugins:
            LOG.info("%s: %s (%s)", plugin.namespace, plugin.name, plugin.package)
        try:
            if not self._stopping:
                self._runner.obj(dict(self.executors), self.conf)
        finally:
            self._close_clients(timeout=self.conf[GROUP].send_timeout)

    def stop(self, timeout: float | None = None) -> None:
        """Stop all executors, those of the lowest ``drain_order`` first; :meth:`run` then returns.

        For a program that embeds the host; call it from another greenlet
        than the one in :meth:`run`.  Blocks until all have stopped.  Before
        :meth:`run` it makes that return without running anything.

        :param timeout: seconds that all running calls together get to end; None for ``drain_timeout``
        :raises Exception: the first that an executor raised, after all were told to stop
        """
        self._stopping = True
        seconds = self.conf[GROUP].drain_timeout if timeout is None else timeout
        deadline = time.monotonic() + seconds
        failure: Exception | None = None
        for name in sorted(self.executors, key=lambda name: self.workers[name].drain_order):
            try:
                self.executors[name].stop(max(0.0, deadline - time.monotonic()))
            except Exception as error:
                LOG.exception("the executor of %s could not be stopped", name)
                failure = failure or error
        if failure is not None:
            raise failure

    def _resolve_and_make(self) -> None:
        _warn_of_what_nobody_reads()
        extensions = _by_name(plugins.EXTENSIONS, self.conf)
        clients = _by_name(plugins.CLIENTS, self.conf)
        constructors = _by_name(plugins.CONSTRUCTORS, self.conf)
        selected = _selected(extensions, self._wanted)
        for error in unmatched(selected):
            raise error
        for name, plugin in clients.items():
            self.clients[name] = _make_client(plugin, self.conf)
        for name in selected:
            self.workers[name] = _make_worker(extensions[name], self.conf, self.clients)
        for name in selected:
            self.executors[name] = _make_executor(constructors[name], self)
        self._runner = plugins.load_one(
            plugins.RUNNERS, self.conf[GROUP].runner, option="runner", conf=self.conf
        )

    def _close_clients(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        for name, client in self.clients.items():
            try:
                client.close(max(0.0, deadline - time.monotonic()))
            except Exception:
                LOG.exception("the client of %s could not be closed", name)


def _warn_of_what_nobody_reads() -> None:
    """A namespace that is written wrong is no part that is broken: nobody ever asks for it."""
    read = read_by_hosts(plugins.names(plugins.EXTENSIONS))
    for namespace in plugins.namespaces():
        if namespace not in read:
            LOG.warning(
                "%s: no host reads this namespace, where %s is registered; see: solar-orch plugins doctor",
                namespace,
                ", ".join(plugins.names(namespace)),
            )


def unmatched(selected: Sequence[str]) -> list[PluginError]:
    """Parts of workers that lack a part of the same name.  Imports nothing.

    A worker is tied together by one name: its extension needs a client, and,
    where it is to run, a constructor; neither of those is of use without an extension.

    :param selected: the workers that are to run
    """
    extensions = plugins.entries(plugins.EXTENSIONS)
    installed = {entry.name for entry in extensions}
    found = []
    for namespace, needed in ((plugins.CLIENTS, installed), (plugins.CONSTRUCTORS, set(selected))):
        entries = plugins.entries(namespace)
        there = {entry.name for entry in entries}
        found += [
            entry.error(f"this worker has no part of the same name in {namespace}")
            for entry in extensions
            if entry.name in needed - there
        ]
        found += [
            entry.error(f"there is no worker of the same name in {plugins.EXTENSIONS}")
            for entry in entries
            if entry.name not in installed
        ]
    return found


def _by_name(namespace: str, conf: cfg.ConfigOpts) -> dict[str, Plugin]:
    return {plugin.name: plugin for plugin in plugins.load_all(namespace, conf=conf)}


def _selected(extensions: dict[str, Plugin], wanted: Sequence[str] | None) -> list[str]:
    if not extensions:
        raise PluginError(
            plugins.EXTENSIONS, "any worker", "no installed package registers one; is solar-orch installed?"
        )
    for name in wanted or ():
        if name not in extensions:
            raise PluginError(plugins.EXTENSIONS, name, "no such worker is installed", available=extensions)
    return list(extensions if wanted is None else wanted)


def _make_client(plugin: Plugin, conf: cfg.ConfigOpts) -> Client:
    client: Client = plugins.call(plugin, plugin.obj, conf)
    # A client answers to every name, so that only what its class really has counts.
    missing = object()
    lacking = [
        name
        for name in ("close", "__getattr__")
        if inspect.getattr_static(client if name == "close" else type(client), name, missing) is missing
    ]
    if lacking:
        raise plugin.error(
            f"its factory must return a Client, with close(timeout), but returned {client!r}, whose class has"
            f" no {' and no '.join(lacking)}"
        )
    return client


def _make_worker(plugin: Plugin, conf: cfg.ConfigOpts, clients: dict[str, Client]) -> Worker:
    worker = plugins.call(plugin, plugin.obj, conf, clients)
    if not isinstance(worker, Worker):
        raise plugin.error(
            f"its factory must return a solar_orch.workers.base.Worker, but returned {worker!r}"
        )
    if worker.name != plugin.name:
        raise plugin.error(
            f"its factory returned a worker with the name {worker.name!r}: "
            f"{type(worker).__qualname__}.name must be {plugin.name!r}"
        )
    return worker


def _make_executor(plugin: Plugin, host: Host) -> Executor:
    construct: Callable[[Host], Any] = plugin.obj
    executor = plugins.call(plugin, construct, host)
    lacking = [part for part in ("run", "stop", "kill") if not callable(getattr(executor, part, None))]
    lacking += [part for part in ("worker", "address") if not hasattr(executor, part)]
    if lacking:
        raise plugin.error(
            f"must return an Executor, but returned {executor!r}, without {', '.join(lacking)}"
        )
    worker = host.workers[plugin.name]
    if worker.executor is None:
        worker.executor = executor
    return executor  # type: ignore[no-any-return]
