"""Plans run: by the workers that are up, or else by a host in this process."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent
from oslo_config import cfg

from solar_orch import Orchestrator
from solar_orch.config import GROUP
from solar_orch.host import Host
from solar_orch.plan.report import Outcome
from solar_orch.states import State

#: Seconds that the system log of another process gets to enter what has come to its end.
_LOG = 10.0
_PAUSE = 0.05


def run(orchestrator: Orchestrator, conf: cfg.ConfigOpts, say: Callable[[str], object]) -> list[Outcome]:
    """Run the plan that was made last to its end, and see its changes entered; blocks.

    :param say: told, in a line, who runs it
    :return: what has become of its tasks
    :raises UnknownPlan: if there is no plan
    :raises PluginError, ConfigError: if no host can be built here, where that is needed
    """
    uid = orchestrator.get("last").uid
    if orchestrator.missing_workers():
        say(f"{uid}: no worker is up: run in this process")
        _run_here(orchestrator, conf, uid)
    else:
        say(f"{uid}: run by the workers that are up")
        orchestrator.run_once(uid)
        orchestrator.wait(uid, float("inf"))
    _, outcomes = orchestrator.report(uid)
    _wait_for_log(orchestrator, uid, outcomes)
    return outcomes


def _run_here(orchestrator: Orchestrator, conf: cfg.ConfigOpts, uid: str) -> None:
    conf.set_override("executor", "inline", group=GROUP)
    host = Host(conf)
    host.build()  # a part that is missing shows here, before anything is begun
    orchestrator.run_once(uid)
    running = gevent.spawn(host.run)
    try:
        while not orchestrator.is_over(uid) and not running.ready():
            gevent.sleep(_PAUSE)
    finally:
        host.stop()
        running.get()  # raises what the host ended with


def _wait_for_log(orchestrator: Orchestrator, uid: str, outcomes: list[Outcome]) -> None:
    """Wait until what is staged says of each task that has ended what has become of it."""
    ended = {task.name for task in outcomes if task.status in (State.SUCCESS, State.ERROR)}
    deadline = time.monotonic() + _LOG
    while time.monotonic() < deadline and any(
        f"{item['resource']}.{item['action']}" in ended and item["plan_uid"] != uid
        for item in orchestrator.staged()
    ):
        time.sleep(_PAUSE)
