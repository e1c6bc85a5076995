"""Conformance tests of whole workers: extension, client and constructor of one name."""

from __future__ import annotations

from typing import Any

import pytest

from solar_orch import plugins
from solar_orch.errors import PluginError
from solar_orch.extensions import address_of
from solar_orch.held import Held
from solar_orch.host import Host
from solar_orch.testing import foreign
from solar_orch.testing.base import Conformance
from solar_orch.testing.hosting import Solar
from solar_orch.testing.installation import installed
from solar_orch.testing.plans import Call

#: Comes after what its author has registered.
_HOOK = "zz_solar_testing"


class ExtensionConformance(Conformance):
    """Proves that a worker is whole, and that calls through its client arrive at it.

    ``name`` is that of the worker, under which all of its parts are registered.
    """

    #: One of its methods; not one that only plans call.
    method: str = "ping"
    #: A call of that method that succeeds.
    call: Call = Call()

    def namespace(self) -> str:
        return plugins.EXTENSIONS

    def test_its_parts_have_one_name(self, solar: Solar) -> None:
        """Extension, client and constructor are registered under the worker's name, and a driver is there."""
        for namespace in (plugins.EXTENSIONS, plugins.CLIENTS, plugins.CONSTRUCTORS):
            plugins.load_one(namespace, self.name, conf=solar.conf)
        drivers = plugins.drivers(self.name)
        assert plugins.names(drivers), f"no package registers a driver in {drivers}"

    def test_building_it_opens_nothing(self, solar: Solar) -> None:
        """Only when the host runs may its parts open descriptors, greenlets, threads or processes."""
        Host(solar.conf, workers=[self.name]).build()  # imports what it needs
        before = Held()
        host = Host(solar.conf, workers=[self.name])
        host.build()
        opened = Held().beyond(before)
        assert not opened, f"building the worker opens what may be opened only when it runs: {opened}"
        assert host.workers[self.name].name == self.name

    def test_its_driver_is_chosen_by_an_option(self, solar: Solar) -> None:
        """The option ``NAME_driver`` decides which driver it is made by."""
        solar.options(**{f"{self.name}_driver": "no_such_driver"})
        with pytest.raises(PluginError) as caught:
            solar.host  # noqa: B018 - builds it
        namespace = plugins.drivers(self.name)
        assert caught.value.namespace == namespace, (
            f"the driver was to be looked for in {namespace}, and the host said: {caught.value}"
        )

    def test_its_address_is_chosen_by_an_option(self, solar: Solar) -> None:
        """The option ``NAME_address`` decides where its executor listens and its client sends to."""
        address = f"ipc://{solar.root}/elsewhere"
        solar.options(**{f"{self.name}_address": address})
        executor, client = solar.host.executors[self.name], solar.host.clients[self.name]
        assert address_of(solar.conf, self.name) == address
        assert executor.address == address, f"its executor listens at {executor.address}, not at {address}"
        assert client.address == address, f"its client sends to {client.address}, not to {address}"

    def test_a_call_arrives(self, solar: Solar) -> None:
        """A call through its client is made by the worker, with all arguments, and succeeds."""
        told: list[tuple[str, Any]] = []
        method = solar.host.workers[self.name].methods[self.method]
        method.on_success(lambda ctxt, result, *args, **kwargs: told.append(("made", (args, kwargs))))
        method.on_error(lambda ctxt, error, *args, **kwargs: told.append(("failed", error)))
        solar.start()
        getattr(solar.host.clients[self.name], self.method)({}, *self.call.args, **self.call.kwargs)
        solar.wait_until(lambda: told, f"{self.method}{self.call} arrives")
        assert told == [("made", (tuple(self.call.args), dict(self.call.kwargs)))]

    def test_its_hooks_are_run(self, solar: Solar) -> None:
        """Construct hooks that other packages register for it are run, with the worker and all clients."""
        hooks = plugins.construct_hooks(self.name)
        del foreign.HOOKED[:]
        with installed("solar-testing-hook", {hooks: {_HOOK: "solar_orch.testing.foreign:probe_hook"}}):
            host = solar.host
        assert [(host.workers[self.name], host.clients)] == foreign.HOOKED, (
            f"the hooks of {hooks} were to be run once for this worker: {foreign.HOOKED}"
        )

    def test_it_runs_beside_the_others_and_stops(self, solar: Solar) -> None:
        """A host with all workers that are installed begins, and ends when it is stopped."""
        solar.start()
        solar.stop()
