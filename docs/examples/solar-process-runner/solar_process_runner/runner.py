"""The runner ``processes``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from solar_orch.errors import ConfigError
from solar_orch.extensions import configured_executor

# What is beside the entry point in its module counts as of the runner: its options.
from solar_process_runner import options
from solar_process_runner.supervisor import Supervisor

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.executors.base import Executor

solar_orch_api = "1"


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options of the runner."""
    return options.list_opts()


def run(executors: Mapping[str, Executor], conf: cfg.ConfigOpts) -> None:
    """Run each executor in a process of its own until SIGTERM or SIGINT; blocks.

    To be called in the main thread of a process that does nothing else.

    :param executors: by worker name; nothing of them is open
    :raises ConfigError: if the configured executor does not reach from process to process
    :raises WorkerDied: if a worker has died too often, after all others have stopped
    """
    executor = configured_executor(conf)
    if "processes" not in getattr(executor.obj, "capabilities", ()):
        raise ConfigError(
            "the runner processes gives each worker a process of its own, and this executor does not"
            " promise to reach from one to another (its capabilities lack 'processes'): name another"
            " executor, zerorpc for one, or the runner gevent",
            option="executor",
            value=executor.name,
        )
    if executors:
        Supervisor(executors, conf).run()
