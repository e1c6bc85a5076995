"""The console scripts.  Here, and only here, gevent patches; before anything else is imported.

To start is to import a few hundred modules, all of which stay.  To look for garbage among them would take
a tenth of that time, so that this is turned off until `collect_from_now_on`.
"""

from __future__ import annotations

import gc
import os
import sys

#: Seconds after which a thread that runs Python gives way to another that wants to; the default is 0.005.
_SWITCH_INTERVAL = 0.0001


def worker() -> None:
    """``solar-worker``: does not return."""
    gc.disable()
    from gevent import monkey

    monkey.patch_all()
    _share_python_fairly()

    from solar_orch.cli.worker import leave, main

    leave(main(sys.argv[1:]))


def orch() -> None:
    """``solar-orch``: does not return.  Only ``run`` hosts workers, and only for that gevent patches."""
    gc.disable()
    if "run" in sys.argv[1:]:
        from gevent import monkey

        monkey.patch_all()
        _share_python_fairly()

    from solar_orch.cli.orch import orch as group

    if "_SOLAR_ORCH_COMPLETE" in os.environ:
        from click.shell_completion import add_completion_class

        from solar_orch.cli.completion import ColonBash

        add_completion_class(ColonBash)
    group(prog_name="solar-orch")


def _share_python_fairly() -> None:
    """Let the thread that commits have its turn sooner: it asks for Python's lock after each statement."""
    sys.setswitchinterval(_SWITCH_INTERVAL)
