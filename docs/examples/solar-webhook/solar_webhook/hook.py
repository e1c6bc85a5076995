"""The construct hook, and its options."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oslo_config import cfg, types

from solar_orch.errors import ConfigError
from solar_orch.executors.base import Client
from solar_orch.workers.base import Worker
from solar_webhook.delivery import Receiver, Secret
from solar_webhook.ends import STATUSES
from solar_webhook.telling import Teller

LOG = logging.getLogger(__name__)

#: The version of the contracts of solar_orch that this was written for.
solar_orch_api = "1"

GROUP = "webhook"


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options of group ``[webhook]``."""
    return [
        (
            GROUP,
            [
                cfg.StrOpt(
                    "url",
                    secret=True,
                    help="Where it is told that a plan has ended, by a POST; not set: nothing is told.",
                ),
                cfg.StrOpt(
                    "secret",
                    secret=True,
                    help="Signs what is told, as the specification Standard Webhooks has it: whsec_ and a "
                    "key in base64; not set: nothing is signed.",
                ),
                cfg.StrOpt(
                    "ca_file",
                    help="Path of a PEM file with the certificates of the authorities that are trusted; "
                    "not set: those of the system.",
                ),
                cfg.ListOpt(
                    "statuses",
                    default=["finished", "failed"],
                    item_type=types.String(choices=sorted(STATUSES)),
                    help="Of which ends is told: finished, failed, stopped.",
                ),
                cfg.FloatOpt(
                    "interval", default=1.0, min=0.01, help="Seconds between looks for plans that have ended."
                ),
                cfg.FloatOpt(
                    "timeout",
                    default=10.0,
                    min=0.01,
                    help="Seconds after which a POST is given up, until the next.",
                ),
                cfg.FloatOpt(
                    "retry_delay",
                    default=1.0,
                    min=0.01,
                    help="Seconds until an end is told again if that has failed; doubled each time, "
                    "up to 300.",
                ),
                cfg.FloatOpt(
                    "give_up_after",
                    default=7 * 86400.0,
                    min=0.0,
                    help="Seconds after which an end that cannot be told is dropped, with an error in "
                    "the log.",
                ),
                cfg.IntOpt(
                    "queue_size",
                    default=1000,
                    min=1,
                    help="How many ends may wait to be told; while as many do, no further ones are "
                    "looked for.",
                ),
            ],
        )
    ]


def system_log_hook(worker: Worker, clients: Mapping[str, Client]) -> None:
    """Tell of the ends of plans beside the calls of the system log.

    Of the workers that ship the system log is stopped last, so that of what
    ends while a host stops is told as well.

    :raises ConfigError: if an option of ``[webhook]`` cannot be used
    """
    options = worker.conf[GROUP]
    if options.url is None:
        LOG.debug("no plan's end is told: option url of [%s] is not set", GROUP)
        return
    receiver = _used("url", Receiver, options.url, options.timeout, options.ca_file)
    secret = None if options.secret is None else _used("secret", Secret, options.secret)
    teller = Teller(Path(worker.conf.orchestration.state_dir), worker.store, options, receiver, secret)
    worker.background(teller.tell_always)


def _used(option: str, make: Any, *args: Any) -> Any:
    """What is made of an option's value, which may be secret and is not shown.

    :raises ConfigError: if it cannot be used
    """
    try:
        return make(*args)
    except ValueError as error:
        raise ConfigError(f"[{GROUP}] {option}: {error}") from error
