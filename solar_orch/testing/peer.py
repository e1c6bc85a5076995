"""The other process of a test: a worker that notes its calls, or a program that only sends.

``python -m solar_orch.testing.peer serve|send``, with what it needs as JSON on its standard input.
A worker is patched by gevent, as in ``solar-worker``; a sender is not, as in ``solar-orch``.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def main() -> None:
    """Do as the first argument says."""
    if sys.argv[1] == "serve":
        # Before anything else is imported.
        from gevent import monkey

        monkey.patch_all()
    given = json.load(sys.stdin)
    if sys.argv[1] == "serve":
        serve(**given)
    else:
        send(**given)


def serve(name: str, address: str, options: dict[str, Any], journal: str) -> None:
    """Run a worker until killed."""
    from pathlib import Path

    from solar_orch.testing.bench import configured, loaded
    from solar_orch.testing.recorder import Recorder

    part = loaded(name)
    worker = Recorder(configured(options, part), Path(journal))
    executor = part.obj.Executor(worker, address)
    worker.executor = executor
    executor.run()


def send(name: str, address: str, count: int, seconds: float) -> None:
    """Make so many calls of ``note``, each with its number; say how many may be lost."""
    from solar_orch.testing.bench import loaded

    client = loaded(name).obj.Client(address)
    client.send_timeout = seconds
    for number in range(count):
        client.note({}, number)
    sys.stdout.write(json.dumps({"lost": client.close(seconds)}))


if __name__ == "__main__":
    main()
