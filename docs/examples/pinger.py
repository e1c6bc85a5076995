"""A fourth worker: it counts what it is told of."""

from solar_orch.constructors import construct_worker
from solar_orch.extensions import make_client, make_worker
from solar_orch.workers.base import Worker


class Pinger(Worker):
    """Counts."""

    name = "pinger"

    def __init__(self, conf, clients):
        super().__init__(conf, clients)
        self.counts = {}

    def count(self, ctxt, what):
        """Count one more of `what`."""
        self.counts[what] = self.counts.get(what, 0) + 1


def pinger_worker(conf, clients):
    """The worker, by the driver that ``pinger_driver`` chooses."""
    return make_worker(conf, clients, "pinger")


def pinger_client(conf):
    """A client of it."""
    return make_client(conf, "pinger")


def construct_pinger(host):
    """Its construct hooks and its executor."""
    return construct_worker(host, "pinger")
