"""Conformance tests of drivers, of whichever worker."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from solar_orch import plugins
from solar_orch.contracts.signatures import ContractBroken, require_first_argument
from solar_orch.errors import Rejected
from solar_orch.executors import greenlets
from solar_orch.held import Held
from solar_orch.host import Host
from solar_orch.testing.base import Conformance
from solar_orch.testing.hosting import Solar
from solar_orch.testing.plans import Call
from solar_orch.workers.base import Worker
from solar_orch.workers.calls import Ctxt, Stopping


class WorkerConformance(Conformance):
    """Proves that a driver does what :class:`solar_orch.workers.base.Worker` promises of all workers."""

    #: The name of the worker; the driver is one of ``solar.orchestration.drivers.WORKER``.
    worker: str = "tasks"
    #: One of its methods; not one that only plans call.
    method: str = "ping"
    #: A call of that method that succeeds.
    call: Call = Call()

    def namespace(self) -> str:
        return plugins.drivers(self.worker)

    def _prepare(self, solar: Solar) -> None:
        solar.options(**{f"{self.worker}_driver": self.name})

    # -- made --------------------------------------------------------------------

    def test_it_is_registered_and_keeps_its_contract(self, solar: Solar) -> None:
        """It is found by its name, derives from ``Worker``, and has the worker's name."""
        driver = self.load(solar).obj
        assert driver.name == self.worker, (
            f"{driver.__qualname__}.name must be {self.worker!r}, and is {driver.name!r}"
        )

    def test_making_it_opens_nothing(self, solar: Solar) -> None:
        """Only when its executor runs may it open descriptors, greenlets, threads or processes."""
        driver = self.load(solar)
        clients = self._clients(solar)
        before = Held()
        plugins.call(driver, driver.obj, solar.conf, clients)
        opened = Held().beyond(before)
        assert not opened, f"making the worker opens what may be opened only when it runs: {opened}"

    def test_its_surface_is_its_public_methods(self, solar: Solar) -> None:
        """What looks like a public method can be called: no other callable has a public name.

        And all controls are methods.
        """
        worker = self._made(solar)
        lacking = _public_callables(type(worker)) - worker.methods.keys()
        assert not lacking, (
            f"these cannot be called through an executor: {', '.join(sorted(lacking))}; have the names begin"
            " with _, or make each a method, def name(self, ctxt, ...)"
        )
        unknown = worker.controls - worker.methods.keys()
        assert not unknown, f"these controls are no methods: {', '.join(sorted(unknown))}"

    def test_each_method_takes_a_context(self, solar: Solar) -> None:
        """``ctxt`` comes first in each call, whatever else a method takes."""
        for name, method in self._made(solar).methods.items():
            try:
                require_first_argument(method.function, f"{name}(ctxt, ...)")
            except ContractBroken as error:
                pytest.fail(f"the method {name} {error}")

    # -- called ------------------------------------------------------------------

    def test_subscribers_are_told_in_order(self, solar: Solar) -> None:
        """Those to all methods first, then those to the one; before, of the outcome, and after it."""
        told: list[str] = []
        worker = self._worker(solar)
        for whose, subject in (("method", worker.methods[self.method]), ("all", worker.for_all)):
            subject.before(lambda ctxt, whose=whose: told.append(f"{whose} before"))
            subject.on_success(lambda ctxt, *args, whose=whose, **kw: told.append(f"{whose} on_success"))
            subject.on_error(lambda ctxt, *args, whose=whose, **kw: told.append(f"{whose} on_error"))
            subject.after(lambda ctxt, whose=whose: told.append(f"{whose} after"))
        self._call(solar, told, "method after")
        wanted = [f"{whose} {moment}" for moment in ("before", "on_success", "after") for whose in _WHOSE]
        assert told == wanted, f"told in this order: {', '.join(told)}"

    def test_a_subscriber_that_fails_breaks_nothing(self, solar: Solar) -> None:
        """The call is made, and the other subscribers are told."""
        told: list[str] = []
        method = self._worker(solar).methods[self.method]
        for moment in ("before", "on_success", "after"):
            getattr(method, moment)(_fail)
            getattr(method, moment)(lambda ctxt, *args, moment=moment, **kw: told.append(moment))
        self._call(solar, told, "after")
        assert told == ["before", "on_success", "after"], f"told: {', '.join(told)}"

    def test_a_call_can_be_rejected(self, solar: Solar) -> None:
        """If a subscriber raises ``Rejected`` before a call, it is not made, and that is its error."""
        told: list[str] = []
        method = self._worker(solar).methods[self.method]
        function = method.function

        def made(*args: Any, **kwargs: Any) -> Any:
            told.append("made")
            return function(*args, **kwargs)

        method.function = made
        method.before(_reject)
        method.on_success(lambda ctxt, *args, **kwargs: told.append("on_success"))
        method.on_error(lambda ctxt, error, *args, **kwargs: told.append(f"on_error {error}"))
        method.after(lambda ctxt: told.append("after"))
        self._call(solar, told, "after")
        assert told == [f"on_error {_REJECTED}", "after"], f"told: {', '.join(told)}"

    # -- run ---------------------------------------------------------------------

    def test_background_functions_run_and_end(self, solar: Solar, caplog: pytest.LogCaptureFixture) -> None:
        """What is registered runs beside the calls, and all of it returns when the worker is stopped."""
        noted: list[str] = []

        def watch(stopping: Stopping) -> None:
            noted.append("begun")
            stopping.wait()
            noted.append("ended")

        self._worker(solar).background(watch)
        solar.start()
        solar.wait_until(lambda: noted, "a background function is begun")
        with caplog.at_level(logging.WARNING, logger=greenlets.__name__):
            solar.stop()
        assert noted == ["begun", "ended"]
        late = [record.getMessage() for record in caplog.records if "do not return" in record.getMessage()]
        assert not late, "; ".join(late)

    # -- helpers -----------------------------------------------------------------

    def _clients(self, solar: Solar) -> Any:
        host = Host(solar.conf, workers=[])
        host.build()
        return host.clients

    def _made(self, solar: Solar) -> Worker:
        """A worker that is made by the driver and is not to run."""
        driver = self.load(solar)
        worker: Worker = plugins.call(driver, driver.obj, solar.conf, self._clients(solar))
        return worker

    def _worker(self, solar: Solar) -> Worker:
        """The worker in the host, made by the driver."""
        __tracebackhide__ = True
        driver = self.load(solar).obj
        worker = solar.host.workers[self.worker]
        assert type(worker) is driver, (
            f"the option {self.worker}_driver names {self.name}, and the host's worker is a {type(worker)!r}:"
            " its extension does not ask for the configured driver"
        )
        return worker

    def _call(self, solar: Solar, told: list[str], last: str) -> None:
        __tracebackhide__ = True
        solar.start()
        client = solar.host.clients[self.worker]
        getattr(client, self.method)({}, *self.call.args, **self.call.kwargs)
        solar.wait_until(lambda: last in told, lambda: f"subscribers are told of the call; so far: {told}")


_WHOSE = ("all", "method")
_REJECTED = "as the test wants it"


def _fail(ctxt: Ctxt, *args: Any, **kwargs: Any) -> None:
    raise ValueError("a subscriber that fails, as the test wants it")


def _reject(ctxt: Ctxt) -> None:
    raise Rejected(_REJECTED)


def _public_callables(cls: type[Worker]) -> set[str]:
    """What its author has given a public name and can be called in whichever way; classes apart."""
    return {
        name
        for name in dir(cls)
        if not name.startswith("_")
        and not hasattr(Worker, name)
        and callable(found := getattr(cls, name))
        and not isinstance(found, type)
    }
