"""Conformance tests of runners, each in a process of its own."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from solar_orch import plugins
from solar_orch.api.orchestrator import Orchestrator
from solar_orch.testing import run_notes
from solar_orch.testing.base import Conformance
from solar_orch.testing.hosting import Solar
from solar_orch.testing.plans import task
from solar_orch.testing.processes import Process, worker
from solar_orch.testing.run_notes import Note

#: The names of the executors in the order in which they are stopped.
_IN_ORDER = sorted(run_notes.DRAIN_ORDERS, key=lambda name: run_notes.DRAIN_ORDERS[name])


class NotingProcess(Process):
    """A process that is led by the runner, with executors that write down what is done with them.

    :param file: in which they do
    """

    def __init__(self, args: list[str], file: Path, patience: float) -> None:
        super().__init__(args, file.with_suffix(".log"), patience)
        self._file = file

    @property
    def notes(self) -> list[Note]:
        """What was done so far."""
        return run_notes.read(self._file)

    def who(self, what: str) -> list[str]:
        """Who has done this, in order."""
        return [each.who for each in self.notes if each.what == what]

    def so_far(self) -> str:
        return f"done so far: {self.notes}\n{super().so_far()}"


#: Begins a process of a scenario.
Begin = Callable[[str], NotingProcess]


class RunnerConformance(Conformance):
    """Proves that a runner does what :class:`solar_orch.contracts.parts.Runner` asks for.

    It runs executors that note what is done with them, and those of a real
    ``solar-worker``, in a process of its own that gevent has patched.
    """

    _namespace: ClassVar[str] = plugins.RUNNERS

    patience: float = 30.0

    def _prepare(self, solar: Solar) -> None:
        # One that can be used from other processes.
        solar.options(executor=self.options.get("executor", "zerorpc"), runner=self.name)

    @pytest.fixture
    def running(self, solar: Solar) -> Iterator[Begin]:
        """``running(scenario)`` begins a process in which the runner runs executors that note all."""
        begun: list[NotingProcess] = []

        def begin(scenario: str) -> NotingProcess:
            notes = solar.root / f"notes.{len(begun)}"
            args = ["-m", run_notes.__name__, self.name, scenario, str(notes)]
            args += ["--config-file", solar.write_configuration()]
            begun.append(NotingProcess(args, notes, self.patience))
            return begun[-1]

        yield begin
        for process in begun:
            process.kill()

    def test_it_is_registered_and_keeps_its_contract(self, solar: Solar) -> None:
        """It is found by its name, can be imported, and can be called as a runner is."""
        self.load(solar)

    def test_with_nothing_to_run_it_returns(self, running: Begin) -> None:
        """Without any executor it returns, and raises nothing."""
        process = running("nothing")
        assert process.end() == 0, f"it did not return: {process.notes}\n{process.log}"
        assert process.who("returned") == ["runner"]

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
    def test_a_signal_stops_all_in_order(self, running: Begin, number: int) -> None:
        """All run beside each other; a signal stops them in drain order, each with the time to drain."""
        process = running("plain")
        process.wait_until(lambda: len(process.who("run")) == len(_IN_ORDER), "all executors run")
        assert not process.who("end"), "an executor was ended before another was begun"
        process.send(number)
        assert process.end() == 0, f"it did not return: {process.notes}\n{process.log}"
        assert process.who("returned") == ["runner"]
        assert process.notes[-1].what == "returned", f"it returned before all have stopped: {process.notes}"
        stopped = list(dict.fromkeys(process.who("stop")))
        assert stopped == _IN_ORDER, f"in drain order it was to stop {_IN_ORDER}, and stopped {stopped}"
        for name, following in itertools.pairwise(_IN_ORDER):
            ended = process.notes.index(Note(name, "end"))
            begun = [(each.who, each.what) for each in process.notes].index((following, "stop"))
            assert ended < begun, f"{following} was stopped before {name} had ended: {process.notes}"

    def test_each_gets_the_time_to_drain(self, solar: Solar, running: Begin) -> None:
        """``stop`` of each executor is called with the option ``drain_timeout``, or what is left of it."""
        solar.options(drain_timeout=17)
        process = running("plain")
        process.wait_until(lambda: len(process.who("run")) == len(_IN_ORDER), "all executors run")
        process.send(signal.SIGTERM)
        process.end()
        given = {each.who: float(each.detail) for each in process.notes[::-1] if each.what == "stop"}
        assert given.keys() == set(_IN_ORDER)
        assert all(0 < seconds <= 17 for seconds in given.values()), f"of 17 seconds they were given {given}"

    def test_a_failure_stops_the_others_and_is_raised(self, running: Begin) -> None:
        """If one executor fails, the others are stopped, and what it said is raised when they have ended."""
        process = running("failure")
        assert process.end() == 1, f"it raised nothing: {process.notes}\n{process.log}"
        last = process.notes[-1]
        assert last.what == "raised", f"it raised before all have stopped: {process.notes}"
        assert run_notes.FAILURE in last.detail, f"that does not say what has failed: {last.detail}"
        others = set(_IN_ORDER) - {run_notes.FAILING}
        assert others <= set(process.who("stop")), f"the others were not stopped: {process.notes}"
        assert others <= set(process.who("end")), f"the others have not ended: {process.notes}"

    def test_a_second_signal_ends_all_at_once(self, solar: Solar, running: Begin) -> None:
        """What takes its time after the first signal is ended by the second, and that is an error."""
        solar.options(drain_timeout=3600)
        process = running("holding")
        process.wait_until(lambda: len(process.who("run")) == len(_IN_ORDER), "all executors run")
        process.send(signal.SIGTERM)
        process.wait_until(lambda: process.who("stop"), "the first is told to stop")
        children = process.children
        process.send(signal.SIGTERM)
        code = process.end()
        assert code == 1, f"that nothing was drained is an error, and it ended with {code}: {process.notes}"
        assert not process.who("returned"), f"it returned as if all had stopped in time: {process.notes}"
        process.must_leave_none(children)

    def test_it_runs_plans(self, solar: Solar) -> None:
        """A ``solar-worker`` with this runner runs a plan, and ends with code 0 when it is stopped."""
        process = worker(solar)
        try:
            with Orchestrator(solar.conf) as orchestrator:
                process.wait_until(lambda: not orchestrator.missing_workers(), "all workers are up")
                uid = solar.want(task("a", "cmd", "echo hello"), task("b", "noop", after=["a"]))
                process.wait_until(lambda: orchestrator.wait(uid, 0), "the end of the plan")
                assert orchestrator.get(uid).status == "finished"
            children = process.children
            process.send(signal.SIGTERM)
            assert process.end() == 0, process.log
            process.must_leave_none(children)
        finally:
            process.kill()
