"""Task types of other packages, at any tasks driver."""

from __future__ import annotations

from typing import Any, ClassVar

import gevent
import pytest

from solar_orch import config
from solar_orch.contracts.signatures import ContractBroken
from solar_orch.errors import SolarError, Unrunnable
from solar_orch.extensions import tasks_worker
from solar_orch.workers import task_types
from solar_orch.workers.base import Worker
from solar_orch.workers.tasks import Tasks

TASK = {"task_id": "plan~task", "attempt": 1, "cwd": "/tmp"}


class Foreign(Worker):
    """A driver that owes nothing to the one that ships."""

    name: ClassVar[str] = "tasks"

    def walk(self, ctxt: Any) -> None:
        """A type of its own."""


@pytest.fixture(params=[Tasks, Foreign])
def worker(request: pytest.FixtureRequest, clean_environment: Any) -> Worker:
    made: Worker = request.param(config.load(), {})
    return made


def call(worker: Worker, type_: str, *args: Any, **kwargs: Any) -> tuple[Any, BaseException | None]:
    """What becomes of a call."""
    outcomes: list[tuple[Any, BaseException | None]] = []
    method = worker.methods[type_]
    method.on_success(lambda ctxt, result, /, *args, **kwargs: outcomes.append((result, None)))
    method.on_error(lambda ctxt, error, /, *args, **kwargs: outcomes.append((None, error)))
    worker.call(type_, dict(TASK), args, kwargs)
    return outcomes[-1]


def test_a_type_is_a_method_with_all_that_belongs_to_it(worker):
    events = []

    def add(ctxt, a, b=1):
        events.append("run")
        return a + b

    task_types.add(worker, "add", add)
    worker.add.before(lambda ctxt: events.append("before"))
    worker.for_all.after(lambda ctxt: events.append("after"))
    assert call(worker, "add", 1, b=2) == (3, None)
    assert events == ["before", "run", "after"]
    assert "add" in worker.task_types()


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1, 2, 3), {}), ((1,), {"c": 2})])
def test_arguments_that_do_not_fit_are_told_with_what_it_takes(worker, args, kwargs):
    task_types.add(worker, "add", lambda ctxt, a, b=1: a + b)
    _, error = call(worker, "add", *args, **kwargs)
    assert isinstance(error, Unrunnable)
    assert "wrong arguments for task type add" in str(error)
    assert "it takes add(a, b=1)" in str(error)


def test_a_type_that_takes_anything_is_given_anything(worker):
    task_types.add(worker, "count", lambda *args: len(args))
    assert call(worker, "count", 1, 2) == (3, None)


def test_it_has_its_output_the_configuration_and_its_worker(worker):
    written = []

    def tell(ctxt):
        task_types.output(ctxt).write(b"said\n")
        written.append(worker.take_output(ctxt))
        return task_types.conf() is worker.conf, task_types.current_worker() is worker

    task_types.add(worker, "tell", tell)
    assert call(worker, "tell") == ((True, True), None)
    assert written == ["said\n"]


def test_a_command_has_the_environment_of_its_task(worker):
    task_types.add(
        worker,
        "where",
        lambda ctxt: task_types.run_command(
            ctxt, "echo $SOLAR_TASK_NAME $COLOUR; pwd", env={"COLOUR": "red"}
        ),
    )
    ctxt = {**TASK, "task_name": "task"}
    outcomes = []
    worker.where.on_success(lambda ctxt, result, /: outcomes.append((result, worker.take_output(ctxt))))
    worker.call("where", ctxt)
    assert outcomes == [("/tmp", "task red\n/tmp\n")]


def test_greenlets_that_a_type_spawns_have_the_same(worker):
    def fan_out(ctxt):
        inner = gevent.spawn(lambda: gevent.spawn(task_types.current_worker).get())
        return inner.get() is worker

    task_types.add(worker, "fan_out", fan_out)
    assert call(worker, "fan_out") == (True, None)


def test_outside_of_a_task_there_is_nothing():
    with pytest.raises(SolarError, match="neither this greenlet nor one that has spawned it"):
        task_types.conf()


def test_what_a_type_was_given_is_gone_when_it_has_ended(worker):
    task_types.add(worker, "fail", lambda ctxt: 1 / 0)
    assert isinstance(call(worker, "fail")[1], ZeroDivisionError)
    with pytest.raises(SolarError):
        task_types.current_worker()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("ping", "has a 'ping' already"),
        ("conf", "has a 'conf' already"),
        ("for_all", "has a 'for_all' already"),
        ("call", "has a 'call' already"),
        ("_hidden", "does not begin with _"),
        ("two words", "must be one of Python's"),
        ("close", "every client"),
    ],
)
def test_names_that_mean_something_else_are_refused(worker, name, why):
    with pytest.raises(ContractBroken, match=why):
        task_types.add(worker, name, lambda ctxt: None)


def test_the_types_of_all_packages_come_with_the_driver(packages, clean_environment):
    packages.add(
        "types",
        {
            "solar.orchestration.task_types": {"double": "types_of_mine:double"},
            "solar.orchestration.drivers.tasks": {"foreign": "types_of_mine:Foreign"},
        },
        modules={
            "types_of_mine": "from solar_orch.workers.base import Worker\n"
            "def double(ctxt, number): return 2 * number\n"
            "class Foreign(Worker):\n    name = 'tasks'\n"
        },
    )
    for driver in ("solar", "foreign"):
        worker = tasks_worker(config.load(overrides={"tasks_driver": driver}), {})
        assert call(worker, "double", 4) == (8, None)


def test_a_clash_names_package_driver_and_name(packages, clean_environment):
    packages.add(
        "types",
        {"solar.orchestration.task_types": {"cmd": "types_of_mine:cmd"}},
        modules={"types_of_mine": "def cmd(ctxt): ..."},
    )
    with pytest.raises(SolarError) as caught:
        tasks_worker(config.load(), {})
    assert "cmd from types 1.0" in str(caught.value)
    assert "the worker tasks has a 'cmd' already (solar_orch.workers.tasks.Tasks)" in str(caught.value)


@pytest.mark.parametrize("name", ["store", "limits", "backgrounds", "close"])
def test_a_driver_cannot_have_a_method_whose_name_means_something_else(clean_environment, name):
    driver = type("Odd", (Worker,), {"name": "tasks", name: lambda self, ctxt: None})
    with pytest.raises(TypeError, match=f"cannot have a method '{name}'"):
        driver(config.load(), {})
