"""The conformance kit for executors.

One file for each subject: what is carried (:mod:`.carrying`), how calls run
(:mod:`.running`) and are ended (:mod:`.killing`), how an executor begins and stops (:mod:`.serving`),
what it does for background functions (:mod:`.background`), clients and addresses
(:mod:`.connecting`), and the capabilities (:mod:`.capabilities`).
"""

from __future__ import annotations

from solar_orch.testing.executors.background import Background
from solar_orch.testing.executors.capabilities import Capabilities
from solar_orch.testing.executors.carrying import Carrying
from solar_orch.testing.executors.connecting import Connecting
from solar_orch.testing.executors.killing import Killing
from solar_orch.testing.executors.running import Running
from solar_orch.testing.executors.serving import Serving

__all__ = ["ExecutorConformance"]


class ExecutorConformance(Carrying, Running, Killing, Serving, Background, Connecting, Capabilities):
    """The contract of :mod:`solar_orch.executors.base`, tried on the executor of one name.

    Derive from it in a test module, and have pytest run that::

        class TestOurs(ExecutorConformance):
            name = "ours"

    The executor is loaded by its entry point, as a host does, so that its
    distribution must be installed.  The tests know nothing of it but the contract.  What it
    declares in ``capabilities`` is tried too; a test of what it does not declare is
    skipped, and says so.  The whole takes a few seconds.  A test that waits for ever for an
    executor which blocks the process is ended by ``pytest-timeout`` after a minute.

    To be set or overridden:

    ``name``
        That of the entry point in ``solar.orchestration.executors``.
    ``options``
        Options that differ from their defaults: name to value, and for options in a group of
        their own ``group.name``.  They can be written as JSON.
    ``deadline``
        Seconds to wait for what should happen at once; 10 by default.
    ``address``
        A fixture, that is, a method with ``@pytest.fixture``: an address at which no worker is
        served, another one for each test.  By default that of an ipc socket in a
        private directory, which does for executors that take any text.  It may use fixtures
        of the author's own, such as a server that the executor needs.
    """
