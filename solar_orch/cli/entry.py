"""The console scripts.  Here, and only here, gevent patches; before anything else is imported.

To start is to import a few hundred modules, all of which stay.  To look for garbage among them would take
a tenth of that time, so that this is turned off until `collect_from_now_on`.
"""

from __future__ import annotations

import gc
import sys


def worker() -> None:
    """``solar-worker``: does not return."""
    gc.disable()
    from gevent import monkey

    monkey.patch_all()

    from solar_orch.cli.worker import leave, main

    leave(main(sys.argv[1:]))


def orch() -> None:
    """``solar-orch``: does not return.  Only ``run`` hosts workers, and only for that gevent patches."""
    gc.disable()
    if "run" in sys.argv[1:]:
        from gevent import monkey

        monkey.patch_all()

    from solar_orch.cli.orch import orch as group

    group(prog_name="solar-orch")
