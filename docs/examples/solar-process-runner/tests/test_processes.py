"""The runner ``processes``: the kit, and children that die in the middle of a plan."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest
from solar_process_runner.supervisor import restart_delay

from solar_orch import Orchestrator
from solar_orch.testing import RunnerConformance, task
from solar_orch.testing.hosting import Solar
from solar_orch.testing.processes import Process, worker

WORKERS = ("tasks", "scheduler", "system_log")


class TestProcesses(RunnerConformance):
    name = "processes"
    options = {"processes": {"restart_limit": 0}}


def pids(process: Process, name: str) -> list[int]:
    """The processes of one worker, in the order in which they were begun."""
    return [int(pid) for pid in re.findall(rf" {name} runs as process (\d+)", process.log)]


@pytest.fixture
def supervised(solar: Solar) -> Iterator[Process]:
    """A ``solar-worker`` with this runner, all of whose workers are up."""
    solar.options(executor="zerorpc", runner="processes", lease=3, poll_interval=0.1, resend_interval=0.5)
    solar.options("processes", restart_delay=0.05, restart_limit=2)
    process = worker(solar)
    try:
        with Orchestrator(solar.conf) as orchestrator:
            process.wait_until(lambda: not orchestrator.missing_workers(), "all workers are up")
        yield process
    finally:
        process.kill()


def gated(solar: Solar, name: str) -> dict:
    """A task that notes that it has begun, and goes on until the gate is open."""
    return task(
        name, "cmd", f"touch {solar.root}/{name}; until [ -e {solar.root}/gate ]; do sleep 0.05; done"
    )


@pytest.mark.parametrize("victim", WORKERS)
def test_a_plan_goes_on_when_a_worker_is_killed(solar: Solar, supervised: Process, victim: str) -> None:
    uid = solar.want(gated(solar, "a"), task("b", "echo", "done", after=["a"]))
    supervised.wait_until((solar.root / "a").exists, "the first task runs")
    others = {name: pids(supervised, name) for name in WORKERS if name != victim}
    os.kill(pids(supervised, victim)[-1], signal.SIGKILL)
    supervised.wait_until(lambda: len(pids(supervised, victim)) == 2, f"{victim} is begun again")
    (solar.root / "gate").touch()
    with Orchestrator(solar.conf) as orchestrator:
        supervised.wait_until(lambda: orchestrator.wait(uid, 0), "the end of the plan")
        assert orchestrator.get(uid).status == "finished"
    attempts = {outcome.name: outcome.attempt for outcome in solar.store.plans.outcomes(uid)[1]}
    assert attempts == {"a": 2 if victim == "tasks" else 1, "b": 1}
    assert {name: pids(supervised, name) for name in others} == others
    supervised.send(signal.SIGTERM)
    assert supervised.end() == 0


def test_a_worker_that_dies_again_and_again_is_given_up(supervised: Process) -> None:
    children = supervised.children
    # A signal without a name is one like the others.
    for number, sent in enumerate((signal.SIGKILL, signal.SIGRTMIN + 1, signal.SIGKILL), 1):
        supervised.wait_until(lambda n=number: len(pids(supervised, "tasks")) == n, "tasks is begun")
        os.kill(pids(supervised, "tasks")[-1], sent)
    assert supervised.end() == 1
    assert f"tasks has died (signal {signal.SIGRTMIN + 1}) and is begun again" in supervised.log
    last = supervised.log.splitlines()[-1]
    assert last == (
        "solar-worker: error: the tasks worker has died, after 2 restarts in a row: signal SIGKILL"
    ), last
    supervised.must_leave_none(children)


def test_a_second_signal_reaches_those_whose_turn_has_not_come(supervised: Process) -> None:
    [scheduler], [system_log] = pids(supervised, "scheduler"), pids(supervised, "system_log")
    os.kill(scheduler, signal.SIGSTOP)
    supervised.send(signal.SIGTERM)
    supervised.wait_until(lambda: "stopping scheduler" in supervised.log, "the scheduler's turn comes")
    supervised.send(signal.SIGTERM)
    supervised.must_leave_none([system_log])
    os.kill(scheduler, signal.SIGCONT)
    assert supervised.end() == 1
    assert "is killed" not in supervised.log


@pytest.mark.parametrize(
    ("restarts", "first", "most", "delay"),
    [
        (0, 0.5, 30, 0.5),
        (3, 0.5, 30, 4),
        (9, 0.5, 30, 30),
        (1024, 0.5, 30, 30),
        (5000, 1e300, 9, 9),
        (5000, 0, 9, 0),
    ],
)
def test_the_delay_is_doubled_up_to_a_bound(restarts: int, first: float, most: float, delay: float) -> None:
    assert restart_delay(restarts, first, most) == delay


def test_no_worker_outlives_the_parent(supervised: Process) -> None:
    children = supervised.children
    assert len(children) >= 3
    os.kill(supervised.pid, signal.SIGKILL)
    assert supervised.end() == -signal.SIGKILL
    supervised.must_leave_none(children)


def test_an_address_in_use_is_told_at_once(solar: Solar, supervised: Process) -> None:
    second = worker(solar)
    try:
        assert second.end() == 3
        said = re.search(
            r"error: the \w+ worker has died: exit code 3: .* served by process (\d+)", second.log
        )
        assert said is not None, second.log
        assert int(said[1]) in supervised.children
    finally:
        second.kill()


def test_an_executor_within_one_process_is_refused(solar: Solar) -> None:
    solar.options(runner="processes", executor="inline")
    process = worker(solar)
    try:
        assert process.end() == 2
        last = process.log.splitlines()[-1]
        assert last.startswith("solar-worker: error: option executor = 'inline': the runner processes"), last
        assert "Traceback" not in process.log
    finally:
        process.kill()
