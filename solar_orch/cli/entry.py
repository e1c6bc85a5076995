"""The console scripts.  Here, and only here, gevent patches; before anything else is imported."""

from __future__ import annotations

import sys


def worker() -> None:
    """``solar-worker``: does not return."""
    from gevent import monkey

    monkey.patch_all()

    from solar_orch.cli.worker import leave, main

    leave(main(sys.argv[1:]))


def orch() -> None:
    """``solar-orch``: does not return.  Only ``run`` hosts workers, and only for that gevent patches."""
    if "run" in sys.argv[1:]:
        from gevent import monkey

        monkey.patch_all()

    from solar_orch.cli.orch import orch as group

    group(prog_name="solar-orch")
