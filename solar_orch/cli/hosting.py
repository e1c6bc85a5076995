"""The host of ``solar-orch run``: workers in this process, for one plan.

Imported only where gevent has patched.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import gevent
from oslo_config import cfg

from solar_orch import plugins
from solar_orch.api.follow import Follower
from solar_orch.config import GROUP
from solar_orch.errors import DatabaseUnavailable, SolarError, UnknownPlan
from solar_orch.extensions import address_of, configured_executor
from solar_orch.host import Host

if TYPE_CHECKING:
    from solar_orch.cli.progress import Progress
    from solar_orch.store import Store

LOG = logging.getLogger(__name__)

#: Seconds between looks at the plan: from the first, growing to the last.
_PAUSES = (0.02, 0.1)
#: Seconds until the database is asked again after it was not available.
_PATIENCE = 1.0
#: Seconds after which it is said why this does not end though the plan has.
_SAY_WHY = 1.0

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve_privately(conf: cfg.ConfigOpts, directory: str) -> None:
    """Have all installed workers run in this process, and take calls where nobody else sends any.

    Addresses are sockets in `directory`, with short names, unless the executor has others.

    :raises PluginError: if the configured executor cannot be had, or gives no address
    """
    # Whoever follows the plan does so in this process, beside the workers.
    conf.set_override("runner", "gevent", group=GROUP)
    executor = configured_executor(conf)
    for number, name in enumerate(plugins.names(plugins.EXTENSIONS)):
        address_of(conf, name)  # registers the option of a worker that does not ship
        path = os.path.join(directory, f"{name[0]}{number}")
        conf.set_override(f"{name}_address", _private_address(executor, conf, path), group=GROUP)


def _private_address(executor: plugins.Plugin, conf: cfg.ConfigOpts, path: str) -> str:
    make = getattr(executor.obj, "private_address", None)
    return f"ipc://{path}" if make is None else str(plugins.call(executor, make, conf, path))


class HostedPlan:
    """A plan and the host that runs it.

    :param host: built
    :param uid: of a plan that is wanted
    :param since: the plan's latest event before it was
    """

    def __init__(self, host: Host, store: Store, progress: Progress, uid: str, since: int) -> None:
        self._host = host
        self._store = store
        self._progress = progress
        self._uid = uid
        self._since = since
        self._follower: Follower | None = None
        self._failure: Exception | None = None
        #: Whether the plan has come to its end.
        self.over = False
        #: Whether a signal has ended it before.
        self.interrupted = False

    @property
    def stopping(self) -> bool:
        """Whether the host has been asked to stop."""
        return self.over or self.interrupted

    def run(self) -> None:
        """Run the host until the plan is over, or a signal comes; blocks.

        On SIGINT and SIGTERM the plan is paused, so that nobody else goes on
        with it, and what is running gets time to end; a second one ends it at once.

        :raises Exception: whatever the host ends with, or the showing of the progress
        """
        with self._signal_handlers():
            following = gevent.spawn(self._follow)
            try:
                self._host.run()
            except SolarError as error:
                # That it was ended by signals was its user's wish.
                if not self.interrupted:
                    raise
                LOG.info("%s", error)
            finally:
                following.kill()
        if self._failure is not None:
            raise self._failure
        # What ended while the host was stopping.
        self._look()

    # -- following -----------------------------------------------------------

    def _follow(self) -> None:
        try:
            self._show_until_over()
        except Exception as error:
            self._failure = error
        self._stop_host()

    def _show_until_over(self) -> None:
        pause = _PAUSES[0]
        while not self.over:
            gevent.sleep(pause)
            try:
                self.over = self._look() and not self.interrupted
            except DatabaseUnavailable as error:
                LOG.warning("%s", error)
                gevent.sleep(_PATIENCE)
            pause = min(pause * 1.1, _PAUSES[1])

    def _look(self) -> bool:
        """Look at the plan and show it; whether it is over."""
        if self._follower is None:
            self._follower = Follower(self._store, self._uid, self._since, self._progress.tells)
        self._progress.show(self._follower, self._follower.look())
        return self._follower.over

    # -- stopping ------------------------------------------------------------

    def _stop_host(self) -> None:
        reason = gevent.spawn_later(_SAY_WHY, self._progress.say, "waiting for what else is running here")
        try:
            self._host.stop()
        finally:
            reason.kill()

    def _on_signal(self) -> None:
        if self.over:
            return
        if self.interrupted:
            self._host.stop(0)
            return
        self.interrupted = True
        self._pause()
        self._progress.say("interrupted: what is running gets time to end; interrupt again to end it at once")
        self._host.stop()

    def _pause(self) -> None:
        try:
            self._store.plans.pause(self._uid)
        except (DatabaseUnavailable, UnknownPlan) as error:
            LOG.error("%s could not be paused: %s", self._uid, error)

    @contextmanager
    def _signal_handlers(self) -> Iterator[None]:
        # Begun before those of the runner, and so called before them.
        handlers = [gevent.signal_handler(number, self._on_signal) for number in _SIGNALS]
        try:
            yield
        finally:
            for handler in handlers:
                handler.cancel()
            for number in _SIGNALS:
                # The event loop leaves the system's default behind.
                signal.signal(number, signal.getsignal(number))
