"""A scheduler driver that keeps a metrics file for Prometheus' node_exporter."""

import os
from collections import Counter
from pathlib import Path

from oslo_config import cfg

from solar_orch.workers.scheduler import Scheduler

solar_orch_api = "1"


def list_opts():
    """The options of this part."""
    return [
        (
            "metrics",
            [
                cfg.StrOpt("path", help="File to write, for the textfile collector; not set: none."),
                cfg.FloatOpt("interval", default=15.0, min=0.1, help="Seconds between two writes."),
            ],
        )
    ]


class Metered(Scheduler):
    """The scheduler that ships, which also counts the ends of tasks by their state."""

    def __init__(self, conf, clients):
        super().__init__(conf, clients)
        self._ends = Counter()
        if conf.metrics.path:
            # Begun with the worker, ended with it, in a greenlet of its own.
            self.background(self._write_always)

    def update_next(self, ctxt, status, errmsg=None):
        """The task of `ctxt` has ended with this status."""
        super().update_next(ctxt, status, errmsg)
        self._ends[status] += 1

    def _write_always(self, stopping):
        while not stopping.wait(self.conf.metrics.interval):
            self._write()
        self._write()

    def _write(self):
        lines = ["# TYPE solar_tasks_ended_total counter"]
        for state, number in sorted(self._ends.items()):
            lines.append(f'solar_tasks_ended_total{{state="{state}"}} {number}')
        path = Path(self.conf.metrics.path)
        # Whoever reads it finds the old file or the new one, and never half of one.
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.write_text("\n".join(lines) + "\n")
        fresh.replace(path)
