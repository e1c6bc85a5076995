"""The driver that ships: it probes by connecting."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from gevent import socket
from oslo_config import cfg

from solar_orch.errors import SolarError, TaskError, Unrunnable
from solar_orch.workers.base import Worker
from solar_orch.workers.calls import Ctxt, Stopping

if TYPE_CHECKING:
    from solar_orch.executors.base import Client

LOG = logging.getLogger(__name__)

solar_orch_api = "1"

_TARGET = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]/]+)):([0-9]{1,5})", re.ASCII)

_OPTIONS = [
    cfg.FloatOpt("interval", default=10.0, min=0.01, help="Seconds between two probes of a target."),
    cfg.FloatOpt("timeout", default=3.0, min=0.01, help="Seconds after which a target cannot be reached."),
    cfg.IntOpt("most", default=1000, min=1, help="How many targets are watched at once."),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options of the driver."""
    return [("pinger", _OPTIONS)]


class Pinger(Worker):
    """Watches tcp targets, ``HOST:PORT``; who wants to know what came of that subscribes to ``probe``."""

    name: ClassVar[str] = "pinger"
    #: After the tasks worker, which tells it of targets until its end.
    drain_order: ClassVar[int] = 30

    def __init__(self, conf: cfg.ConfigOpts, clients: Mapping[str, Client]) -> None:
        super().__init__(conf, clients)
        #: The targets that are watched, those first watched first.
        self.watched: dict[str, None] = {}
        self._probed: set[str] = set()
        self.background(self._probe_always)

    def watch(self, ctxt: Ctxt, target: str) -> None:
        """Probe a target now, and from now on.

        :raises Unrunnable: if it is no ``HOST:PORT``
        """
        _host_and_port(target)
        if target in self.watched:
            return
        self.watched[target] = None
        while len(self.watched) > self.conf.pinger.most:
            del self.watched[next(iter(self.watched))]
        self._send_probe(target)

    def forget(self, ctxt: Ctxt, target: str) -> None:
        """Probe a target no more."""
        self.watched.pop(target, None)

    def probe(self, ctxt: Ctxt, target: str) -> float:
        """Connect to a target once.

        :return: the seconds that it took
        :raises TaskError: if it cannot be reached within the option ``timeout``
        """
        host, port = _host_and_port(target)
        begun = time.monotonic()
        try:
            socket.create_connection((host, port), self.conf.pinger.timeout).close()
        except OSError as error:
            raise TaskError(f"{target} cannot be reached: {error.strerror or error}") from error
        finally:
            self._probed.discard(target)
        return time.monotonic() - begun

    def _probe_always(self, stopping: Stopping) -> None:
        while not stopping.wait(self.conf.pinger.interval):
            for target in list(self.watched):
                self._send_probe(target)

    def _send_probe(self, target: str) -> None:
        """Have a target probed by a call of its own, so that a slow one holds up none, and all are told."""
        if target in self._probed:
            return
        self._probed.add(target)
        try:
            self.clients[self.name].probe({}, target)
        except SolarError as error:  # this worker is being stopped
            self._probed.discard(target)
            LOG.debug("%s is not probed: %s", target, error)


def is_target(target: object) -> bool:
    """Whether this is something that can be watched."""
    found = _TARGET.fullmatch(target) if isinstance(target, str) else None
    return found is not None and 1 <= int(found[3]) <= 65535


def _host_and_port(target: str) -> tuple[str, int]:
    found = _TARGET.fullmatch(target) if is_target(target) else None
    if found is None:
        raise Unrunnable(f"a target that is watched must read HOST:PORT, not {target!r}")
    return found[1] or found[2], int(found[3])
