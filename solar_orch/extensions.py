"""The extensions and clients that ship, and what anyone's extension or client is made with.

The author of a fourth worker needs one line for each::

    def pinger_worker(conf, clients):
        return make_worker(conf, clients, "pinger")

    def pinger_client(conf):
        return make_client(conf, "pinger")
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

from oslo_config import cfg

from solar_orch import plugins
from solar_orch.config import GROUP, AssumedOpt
from solar_orch.errors import AddressError, AddressInUse
from solar_orch.executors.base import Client
from solar_orch.workers.base import Worker

if TYPE_CHECKING:
    from solar_orch.contracts.parts import Limit


def make_worker(conf: cfg.ConfigOpts, clients: Mapping[str, Client], name: str) -> Worker:
    """Make the worker of this name by the driver that option ``{name}_driver`` chooses.

    Opens nothing.  The option is registered, with the default ``solar``,
    when nobody has registered it.

    :raises PluginError: if the driver cannot be had, or fails
    """
    option = f"{name}_driver"
    chosen = option_of(conf, option, default="solar")
    driver = plugins.load_one(plugins.drivers(name), chosen, option=option, conf=conf)
    return cast(Worker, plugins.call(driver, driver.obj, conf, clients))


def make_client(conf: cfg.ConfigOpts, name: str, address: str | None = None) -> Client:
    """Make the client of the worker of this name, by the configured executor.

    Opens nothing.

    :param address: where the worker takes its calls; what the configuration says when None
    :raises PluginError: if the executor cannot be had, or its ``Client`` fails
    :raises AddressError: if that takes no such address
    """
    executor = configured_executor(conf)
    with naming_address_option(name):
        client = cast(Client, plugins.call(executor, executor.obj.Client, address or address_of(conf, name)))
    client.send_timeout = conf[GROUP].send_timeout
    return client


@contextlib.contextmanager
def naming_address_option(name: str) -> Iterator[None]:
    """Have an error of the address of a worker say which option gives it."""
    try:
        yield
    except AddressInUse:
        raise
    except AddressError as error:
        raise AddressError(error.address, f"{error.problem} (option {name}_address)") from error


def configured_executor(conf: cfg.ConfigOpts) -> plugins.Plugin:
    """The part that option ``executor`` chooses.

    :raises PluginError: if it cannot be had
    """
    return plugins.load_one(plugins.EXECUTORS, conf[GROUP].executor, option="executor", conf=conf)


def address_of(conf: cfg.ConfigOpts, name: str) -> str:
    """What option ``{name}_address`` says; by default a socket in the runtime directory.

    The option is registered when nobody has registered it.
    """
    return option_of(conf, f"{name}_address", default=f"ipc://$runtime_dir/{name}.sock")


def option_of(conf: cfg.ConfigOpts, option: str, *, default: str) -> str:
    """The value of a text option of ``[orchestration]``, registered first if nobody has done so."""
    if option not in conf[GROUP]:
        conf.register_opt(AssumedOpt(option, default=default), group=GROUP)
    return cast(str, conf[GROUP][option])


def tasks_worker(conf: cfg.ConfigOpts, clients: Mapping[str, Client]) -> Worker:
    """The tasks worker, by the driver that ``tasks_driver`` chooses, with the task types of all packages."""
    from solar_orch.workers import task_types  # brings gevent; who only sends needs none

    worker = make_worker(conf, clients, "tasks")
    for type_ in plugins.load_all(plugins.TASK_TYPES, conf=conf):
        plugins.call(type_, task_types.add, worker, type_.name, type_.obj)
    return worker


def scheduler_worker(conf: cfg.ConfigOpts, clients: Mapping[str, Client]) -> Worker:
    """The scheduler, by the driver that ``scheduler_driver`` chooses, with the configured limits."""
    worker = make_worker(conf, clients, "scheduler")
    worker.limits = chosen_limits(conf)
    return worker


def chosen_limits(conf: cfg.ConfigOpts) -> dict[str, Limit]:
    """The limits that the option ``limits`` names, by their names.

    :raises PluginError: if one of them cannot be had, or fails when it is made
    """
    return {name: _limit(conf, name) for name in conf[GROUP].limits}


def _limit(conf: cfg.ConfigOpts, name: str) -> Limit:
    plugin = plugins.load_one(plugins.LIMITS, name, option="limits", conf=conf)
    limit = plugins.call(plugin, plugin.obj, conf)
    if not callable(getattr(limit, "allows", None)):
        raise plugin.error(f"must make a limit, with allows(plan, running, candidate), but made {limit!r}")
    return cast("Limit", limit)


def system_log_worker(conf: cfg.ConfigOpts, clients: Mapping[str, Client]) -> Worker:
    """The system log, by the driver that ``system_log_driver`` chooses."""
    return make_worker(conf, clients, "system_log")


def tasks_client(conf: cfg.ConfigOpts) -> Client:
    """A client of the tasks worker."""
    return make_client(conf, "tasks")


def scheduler_client(conf: cfg.ConfigOpts) -> Client:
    """A client of the scheduler."""
    return make_client(conf, "scheduler")


def system_log_client(conf: cfg.ConfigOpts) -> Client:
    """A client of the system log."""
    return make_client(conf, "system_log")
