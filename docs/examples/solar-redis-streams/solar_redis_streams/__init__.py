"""The executor ``redis``: calls travel through a stream of a Redis server, which keeps them meanwhile.

A worker's address is ``redis://HOST:PORT/DB?stream=NAME``, see :class:`.address.Address`.
"""

import uuid

from oslo_config import cfg

from solar_redis_streams.address import parse
from solar_redis_streams.client import Client
from solar_redis_streams.executor import Executor
from solar_redis_streams.options import GROUP, OPTIONS

__all__ = ["Client", "Executor", "capabilities", "list_opts", "private_address", "solar_orch_api"]

#: The version of the contracts that this was made for.
solar_orch_api = "1"

#: See :data:`solar_orch.executors.base.CAPABILITIES`.
capabilities = frozenset({"ordered", "processes", "hosts", "queued", "shared"})


def private_address(conf: cfg.ConfigOpts, path: str) -> str:
    """For ``solar-orch run``: a stream on the server of the tasks worker that nobody else uses.

    :param path: what an executor would use that has sockets
    """
    return parse(conf.orchestration.tasks_address).another(f"solar-run-{uuid.uuid4().hex}")


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options that it brings, for the host and for ``oslo-config-generator``."""
    return [(GROUP, OPTIONS)]
