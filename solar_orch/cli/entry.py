"""The console scripts.  Here, and only here, gevent patches; before anything else is imported.

What they do before they are of use is to import, a few hundred modules.  Two things make that
shorter, and are done here because the process is theirs.
"""

from __future__ import annotations

import gc
import importlib.util
import sys

#: What oslo.config imports for types of options and sources of values that are hardly ever used;
#: together they take as long as it does.
_SELDOM_NEEDED = ("netaddr", "rfc3986", "stevedore")


def worker() -> None:
    """``solar-worker``: does not return."""
    _start_quickly()
    from gevent import monkey

    monkey.patch_all()

    from solar_orch.cli.worker import leave, main

    leave(main(sys.argv[1:]))


def orch() -> None:
    """``solar-orch``: does not return.  Only ``run`` hosts workers, and only for that gevent patches."""
    _start_quickly()
    if "run" in sys.argv[1:]:
        from gevent import monkey

        monkey.patch_all()

    from solar_orch.cli.orch import orch as group

    group(prog_name="solar-orch")


def _start_quickly() -> None:
    # What is imported stays: to look for garbage among it takes a tenth of the start.  It is
    # turned on by `collect_from_now_on`.
    gc.disable()
    for name in _SELDOM_NEEDED:
        _import_when_used(name)


def _import_when_used(name: str) -> None:
    """Have a module's code run when the first of its attributes is asked for, and not when it is imported."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None or name in sys.modules:
        return
    spec.loader = loader = importlib.util.LazyLoader(spec.loader)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
