"""The construct hooks of the package."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solar_orch.workers.outbox import Outbox
from solar_pinger.driver import is_target

if TYPE_CHECKING:
    from solar_orch.executors.base import Client
    from solar_orch.workers.base import Worker
    from solar_orch.workers.calls import Ctxt

solar_orch_api = "1"

#: The file in the state directory.
FILE = "pinger.json"


def watch_targets(worker: Worker, clients: Mapping[str, Client]) -> None:
    """Of the tasks worker: have the target of each task watched, from its first call on."""
    # A call waits for nobody who is told of it.
    outbox = Outbox(clients["pinger"], "pinger")
    worker.background(outbox.send_always)
    known: set[str] = set()

    def tell(ctxt: Ctxt) -> None:
        target = ctxt.get("target")
        if target is not None and target not in known and is_target(target):
            known.add(target)
            outbox.put("watch", {}, target)

    worker.for_all.before(tell)


def keep_table(worker: Worker, clients: Mapping[str, Client]) -> None:
    """Of the pinger: keep what the latest probe of each target has come to, in a file."""
    table: dict[str, dict[str, Any]] = {}
    path = Path(worker.conf.orchestration.state_dir, FILE)

    def reached(ctxt: Ctxt, result: float, target: str) -> None:
        table[target] = {"seconds": round(result, 6), "error": None, "failures": 0, "at": time.time()}
        _write(path, table)

    def not_reached(ctxt: Ctxt, error: Exception, target: str) -> None:
        failures = table.get(target, {}).get("failures", 0) + 1
        table[target] = {"seconds": None, "error": str(error), "failures": failures, "at": time.time()}
        _write(path, table)

    worker.methods["probe"].on_success(reached)
    worker.methods["probe"].on_error(not_reached)
    worker.methods["forget"].on_success(lambda ctxt, result, target: table.pop(target, None))


def _write(path: Path, table: Mapping[str, Any]) -> None:
    """Write the file so that who reads it finds a whole one at any time."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(table, indent=1, sort_keys=True), encoding="utf-8")
    os.replace(fresh, path)
