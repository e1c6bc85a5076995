"""The options of ``[redis_streams]``, for workers.  Clients have their address alone."""

from __future__ import annotations

from oslo_config import cfg

GROUP = "redis_streams"

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "group",
        default="solar",
        help="The consumer group by which the workers at one address share its calls.",
    ),
    cfg.IntOpt("batch", default=100, min=1, max=10_000, help="Calls that a worker reads at once, at most."),
    cfg.FloatOpt(
        "block",
        default=2.0,
        min=0.01,
        max=60.0,
        help="Seconds that a read waits on the server for a call.",
    ),
    cfg.FloatOpt(
        "claim_after",
        default=5.0,
        min=0.1,
        help="Seconds after which a worker takes calls that another one has read and not taken,"
        " because it was killed or stopped meanwhile.",
    ),
]
