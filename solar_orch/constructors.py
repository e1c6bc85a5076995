"""The constructors that ship, and what anyone's constructor is made with.

The author of a fourth worker needs one line::

    def construct_pinger(host):
        return construct_worker(host, "pinger")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from solar_orch import plugins
from solar_orch.executors.base import Executor
from solar_orch.extensions import address_of, configured_executor, naming_address_option

if TYPE_CHECKING:
    from solar_orch.host import Host


def construct_worker(host: Host, name: str) -> Executor:
    """Run the construct hooks of the worker of this name, in name order, and build its executor.

    Opens nothing.  The executor is also set as ``worker.executor``.

    :raises PluginError: if a hook or the configured executor cannot be had, or fails
    :raises AddressError: if the executor takes no such address
    """
    worker = host.workers[name]
    for hook in plugins.load_all(plugins.construct_hooks(name), conf=host.conf):
        plugins.call(hook, hook.obj, worker, host.clients)
    chosen = configured_executor(host.conf)
    address = address_of(host.conf, name)
    with naming_address_option(name):
        executor = cast(Executor, plugins.call(chosen, chosen.obj.Executor, worker, address))
    worker.executor = executor
    return executor


def construct_tasks(host: Host) -> Executor:
    """Construct hooks and executor of the tasks worker."""
    return construct_worker(host, "tasks")


def construct_scheduler(host: Host) -> Executor:
    """Construct hooks and executor of the scheduler."""
    return construct_worker(host, "scheduler")


def construct_system_log(host: Host) -> Executor:
    """Construct hooks and executor of the system log."""
    return construct_worker(host, "system_log")
