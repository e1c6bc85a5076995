"""The options of the runner."""

from __future__ import annotations

from oslo_config import cfg

GROUP = "processes"

_OPTIONS = [
    cfg.IntOpt(
        "restart_limit",
        default=5,
        min=0,
        help="How many times in a row a worker that dies is begun again.",
    ),
    cfg.FloatOpt(
        "restart_delay",
        default=0.5,
        min=0.0,
        help="Seconds until a worker that has died is begun again; doubled each further time.",
    ),
    cfg.FloatOpt(
        "restart_delay_max",
        default=30.0,
        min=0.0,
        help="Seconds that this delay is at most.",
    ),
    cfg.FloatOpt(
        "restart_reset",
        default=60.0,
        min=0.0,
        help="Seconds that a worker must have lived for its earlier deaths to be forgotten.",
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options, as solar-orch and oslo-config-generator ask for them."""
    return [(GROUP, _OPTIONS)]
