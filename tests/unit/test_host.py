"""The host: what is installed and configured becomes parts that run, or one error."""

from __future__ import annotations

import importlib
import logging
import threading

import gevent
import pytest

from solar_orch import config, host, plugins
from solar_orch.errors import AddressInUse, ConfigError, PluginError
from solar_orch.host import Host

pytestmark = pytest.mark.usefixtures("clean_environment")

#: A transport and a runner that write down what is done with them.
KIT = """
DONE = []

class Client:
    def __init__(self, address):
        self.address = address
        DONE.append(f"client {address.rpartition('/')[2]}")
    def __getattr__(self, method):
        return lambda *args, **kwargs: None
    def close(self, timeout):
        DONE.append(f"close {self.address.rpartition('/')[2]}")
        return 0

class Executor:
    def __init__(self, worker, address):
        self.worker, self.address = worker, address
        DONE.append(f"executor {worker.name}")
    def run(self): ...
    def stop(self, timeout):
        DONE.append(f"stop {self.worker.name}")
    def kill(self, task_id, attempt=None, error=None): ...

def run(executors, conf):
    DONE.append("run " + " ".join(executor.worker.name for executor in executors.values()))
"""

#: A package that brings one worker, whole; NAME stands for it.
WORKER = """
import kit
from solar_orch.constructors import construct_worker
from solar_orch.extensions import make_client, make_worker
from solar_orch.workers.base import Worker

class Driver(Worker):
    name = "NAME"
    def __init__(self, conf, clients):
        super().__init__(conf, clients)
        kit.DONE.append("worker NAME, clients " + " ".join(sorted(clients)))
    def work(self, ctxt): ...

def extension(conf, clients):
    return make_worker(conf, clients, "NAME")
def client(conf):
    return make_client(conf, "NAME")
def construct(host):
    return construct_worker(host, "NAME")
def first(worker, clients):
    kit.DONE.append(f"first {worker.name} {worker.executor}")
    worker.work.after(lambda ctxt: None)
def second(worker, clients):
    kit.DONE.append(f"second {worker.name}")
"""


def worker_entry_points(name: str, *without: str) -> dict[str, dict[str, str]]:
    points = {
        plugins.EXTENSIONS: {name: f"{name}:extension"},
        plugins.CLIENTS: {name: f"{name}:client"},
        plugins.CONSTRUCTORS: {name: f"{name}:construct"},
        plugins.drivers(name): {"solar": f"{name}:Driver"},
        plugins.construct_hooks(name): {"z": f"{name}:second", "a": f"{name}:first"},
    }
    return {namespace: entries for namespace, entries in points.items() if namespace not in without}


@pytest.fixture
def bench(packages):
    """A machine with a transport, a runner, workers alpha and beta, and nothing of what ships."""
    packages.hide("solar-orch")
    packages.add(
        "kit",
        {plugins.EXECUTORS: {"kit": "kit"}, plugins.RUNNERS: {"kit": "kit:run"}},
        modules={"kit": KIT},
    )
    for name in ("beta", "alpha"):
        add_worker(packages, name)
    return packages


def add_worker(packages, name: str, *without: str, source: str = "") -> None:
    text = WORKER.replace("NAME", name) + source
    packages.add(name, worker_entry_points(name, *without), modules={name: text})


def conf_of(**overrides):
    return config.load(overrides={"executor": "kit", "runner": "kit", **overrides})


def done() -> list[str]:
    return importlib.import_module("kit").DONE


def refused(conf=None, workers=None) -> PluginError:
    made = Host(conf or conf_of(), workers)
    with pytest.raises(PluginError) as caught:
        made.build()
    assert (made.clients, made.workers, made.executors, made.plugins) == ({}, {}, {}, [])
    assert "\n" not in str(caught.value)
    return caught.value


# -- putting together -----------------------------------------------------------


def test_everything_in_its_order_and_the_runner_last(bench):
    made = Host(conf_of())
    made.run()
    assert done() == [
        "client alpha.sock",
        "client beta.sock",
        "worker alpha, clients alpha beta",
        "worker beta, clients alpha beta",
        "first alpha None",
        "second alpha",
        "executor alpha",
        "first beta None",
        "second beta",
        "executor beta",
        "run alpha beta",
        "close alpha.sock",
        "close beta.sock",
    ]
    assert {name: executor.worker for name, executor in made.executors.items()} == made.workers
    assert all(worker.executor is made.executors[name] for name, worker in made.workers.items())


def test_making_a_host_resolves_nothing(bench):
    bench.add("trap", {plugins.EXTENSIONS: {"trap": "trap:x"}}, modules={"trap": "raise SystemExit(9)"})
    made = Host(conf_of())
    assert (made.clients, made.workers, made.executors, made.plugins) == ({}, {}, {}, [])
    with pytest.raises(PluginError, match="trap"):
        made.build()


def test_building_twice_changes_nothing(bench):
    made = Host(conf_of())
    made.build()
    before = (dict(made.clients), dict(made.workers), dict(made.executors), list(done()))
    made.build()
    assert (made.clients, made.workers, made.executors, done()) == before


def test_only_selected_workers_run_but_all_have_clients(bench):
    made = Host(conf_of(), workers=["beta", "beta"])
    made.run()
    assert set(made.clients) == {"alpha", "beta"}
    assert set(made.workers) == set(made.executors) == {"beta"}
    assert "run beta" in done()
    assert not [what for what in done() if what.startswith(("worker alpha", "first alpha"))]


def test_no_worker_at_all_leaves_the_clients(bench):
    made = Host(conf_of(), workers=[])
    made.build()
    assert (set(made.clients), made.workers) == ({"alpha", "beta"}, {})


def test_a_driver_is_chosen_by_the_option_of_its_worker(bench, monkeypatch):
    source = WORKER.replace("NAME", "alpha").replace("class Driver", "class Other")
    bench.add("other", {plugins.drivers("alpha"): {"other": "other:Other"}}, modules={"other": source})
    monkeypatch.setenv("OS_ORCHESTRATION__ALPHA_DRIVER", "other")
    made = Host(conf_of())
    made.build()
    assert type(made.workers["alpha"]).__name__ == "Other"
    assert type(made.workers["beta"]).__name__ == "Driver"


def test_a_worker_nobody_foresaw_has_an_address_of_its_own(bench, monkeypatch, tmp_path):
    monkeypatch.setenv("OS_ORCHESTRATION__BETA_ADDRESS", "tcp://127.0.0.1:4")
    made = Host(conf_of(runtime_dir=str(tmp_path), send_timeout=0.25))
    made.build()
    assert made.clients["alpha"].address == made.executors["alpha"].address == f"ipc://{tmp_path}/alpha.sock"
    assert made.clients["beta"].address == made.executors["beta"].address == "tcp://127.0.0.1:4"
    assert {client.send_timeout for client in made.clients.values()} == {0.25}


def test_the_start_log_has_a_line_for_each_part(bench, caplog):
    caplog.set_level(logging.INFO, logger="solar_orch.host")
    made = Host(conf_of(), workers=["alpha"])
    made.run()
    lines = [record.getMessage() for record in caplog.records if record.name == "solar_orch.host"]
    assert sorted(lines) == sorted(
        [
            "solar.orchestration.executors: kit (kit 1.0)",
            "solar.orchestration.extensions: alpha (alpha 1.0)",
            "solar.orchestration.extensions: beta (beta 1.0)",
            "solar.orchestration.extensions_clients: alpha (alpha 1.0)",
            "solar.orchestration.extensions_clients: beta (beta 1.0)",
            "solar.orchestration.constructors: alpha (alpha 1.0)",
            "solar.orchestration.constructors: beta (beta 1.0)",
            "solar.orchestration.drivers.alpha: solar (alpha 1.0)",
            "solar.orchestration.hooks.alpha.construct: a (alpha 1.0)",
            "solar.orchestration.hooks.alpha.construct: z (alpha 1.0)",
            "solar.orchestration.runners: kit (kit 1.0)",
        ]
    )
    assert len(made.plugins) == len(lines)


# -- running and stopping ---------------------------------------------------------


RUNNERS = """
import threading
from solar_orch.errors import AddressInUse

def in_use(executors, conf):
    raise AddressInUse("ipc:///x", 7)

def waits(executors, conf):
    stopped = threading.Barrier(len(executors) + 1)
    for executor in executors.values():
        def stop(timeout, plain=executor.stop):
            plain(timeout)
            threading.Thread(target=stopped.wait, daemon=True).start()
        executor.stop = stop
    RUNNING.set()
    stopped.wait(20)

RUNNING = threading.Event()
"""


def add_runners(packages) -> None:
    points = {name: f"runs:{name}" for name in ("in_use", "waits")}
    packages.add("runs", {plugins.RUNNERS: points}, modules={"runs": RUNNERS})


def test_what_a_runner_raises_comes_through_and_the_clients_are_closed(bench):
    add_runners(bench)
    with pytest.raises(AddressInUse):
        Host(conf_of(runner="in_use")).run()
    assert done()[-2:] == ["close alpha.sock", "close beta.sock"]


def test_stop_ends_the_executors_in_the_order_of_draining(bench):
    add_runners(bench)
    add_worker(bench, "gamma", source="\nDriver.drain_order = 1\n")
    made = Host(conf_of(runner="waits"))
    made.build()
    running = threading.Thread(target=made.run, daemon=True)
    running.start()
    assert importlib.import_module("runs").RUNNING.wait(20)
    made.stop(timeout=5)
    running.join(20)
    assert not running.is_alive()
    assert [what for what in done() if what.startswith("stop")] == ["stop gamma", "stop alpha", "stop beta"]


def test_stop_tells_all_even_when_one_fails(bench):
    made = Host(conf_of())
    made.build()

    def fails(timeout):
        raise OSError("no")

    made.executors["alpha"].stop = fails
    with pytest.raises(OSError, match="no"):
        made.stop()
    assert "stop beta" in done()


def test_stop_before_run_makes_it_return(bench):
    made = Host(conf_of())
    made.stop()
    made.run()
    assert not [what for what in done() if what.startswith("run")]
    assert done()[-1] == "close beta.sock"


def test_a_client_that_cannot_be_closed_does_not_keep_the_others_open(bench):
    made = Host(conf_of())
    made.build()
    del made.clients["alpha"].address  # its close fails
    made.run()
    assert done()[-1] == "close beta.sock"


# -- what is refused ---------------------------------------------------------------


def test_a_worker_that_is_not_installed(bench):
    error = refused(workers=["alpha", "delta"])
    assert (error.namespace, error.name) == (plugins.EXTENSIONS, "delta")
    assert error.available == ["alpha", "beta"]


def test_nothing_installed(packages):
    packages.hide("solar-orch")
    assert "is solar-orch installed?" in refused().cause


@pytest.mark.parametrize("option", ["executor", "runner", "alpha_driver"])
def test_an_option_that_selects_nothing_is_named(bench, monkeypatch, option):
    monkeypatch.setenv(f"OS_ORCHESTRATION__{option.upper()}", "nothing")
    error = refused(config.load(overrides={name: "kit" for name in ("executor", "runner") if name != option}))
    assert error.name == "nothing"
    assert f"option {option} asks for" in error.cause
    assert error.available == (["solar"] if option == "alpha_driver" else ["kit"])


@pytest.mark.parametrize(
    ("without", "text"),
    [
        (
            plugins.CLIENTS,
            "this worker has no part of the same name in solar.orchestration.extensions_clients",
        ),
        (
            plugins.CONSTRUCTORS,
            "this worker has no part of the same name in solar.orchestration.constructors",
        ),
        (plugins.EXTENSIONS, "there is no worker of the same name in solar.orchestration.extensions"),
    ],
)
def test_a_worker_that_lacks_a_part(bench, without, text):
    add_worker(bench, "half", without)
    error = refused()
    assert error.name == "half"
    assert error.package == "half 1.0"
    assert text in error.cause


def test_a_constructor_is_not_missed_where_its_worker_does_not_run(bench):
    add_worker(bench, "half", plugins.CONSTRUCTORS)
    made = Host(conf_of(), workers=["alpha"])
    made.build()
    assert set(made.clients) == {"alpha", "beta", "half"}


def test_all_mismatches_can_be_listed(bench):
    add_worker(bench, "half", plugins.CONSTRUCTORS, plugins.CLIENTS)
    add_worker(bench, "other", plugins.EXTENSIONS)
    found = [(error.namespace, error.name) for error in host.unmatched(["alpha", "beta", "half"])]
    assert sorted(found) == [
        (plugins.CONSTRUCTORS, "other"),
        (plugins.EXTENSIONS, "half"),
        (plugins.EXTENSIONS, "half"),
        (plugins.CLIENTS, "other"),
    ]


@pytest.mark.parametrize(
    ("source", "namespace", "name", "text"),
    [
        ("def client(conf): raise OSError('no')", plugins.CLIENTS, "bad", "client failed: OSError: no ["),
        (
            "def client(conf): return 7",
            plugins.CLIENTS,
            "bad",
            "must return a Client, with close(timeout), but",
        ),
        (
            "class Any:\n    def __getattr__(self, name): return print\ndef client(conf): return Any()",
            plugins.CLIENTS,
            "bad",
            "must return a Client",
        ),
        (
            "def extension(conf, clients): 1 / 0",
            plugins.EXTENSIONS,
            "bad",
            "extension failed: ZeroDivisionError",
        ),
        ("def extension(conf, clients): ...", plugins.EXTENSIONS, "bad", "Worker, but returned None"),
        ("Driver.name = 'worse'", plugins.EXTENSIONS, "bad", "Driver.name must be 'bad'"),
        (
            "def __init__(self, conf, clients): raise ValueError('no')\nDriver.__init__ = __init__",
            plugins.drivers("bad"),
            "solar",
            "Driver failed: ValueError: no",
        ),
        (
            "def first(worker, clients): worker.no_such_method",
            plugins.construct_hooks("bad"),
            "a",
            "first failed: AttributeError: 'Driver' object has no attribute 'no_such_method'",
        ),
        ("def second(worker, clients): raise SystemExit", plugins.construct_hooks("bad"), "z", "SystemExit"),
        ("del second", plugins.construct_hooks("bad"), "z", "module 'bad' has no attribute 'second'"),
        (
            "def construct(host): host.nothing",
            plugins.CONSTRUCTORS,
            "bad",
            "construct failed: AttributeError",
        ),
        (
            "def construct(host): return host.workers['bad']",
            plugins.CONSTRUCTORS,
            "bad",
            "without run, stop, kill",
        ),
    ],
)
def test_a_part_that_fails_or_makes_the_wrong_thing(bench, source, namespace, name, text):
    add_worker(bench, "bad", source="\n" + source + "\n")
    error = refused()
    assert (error.namespace, error.name, error.package) == (namespace, name, "bad 1.0")
    assert text in error.cause


def test_clients_made_before_a_failure_are_closed(bench):
    add_worker(bench, "zeta", source="\ndef client(conf): raise OSError('no')\n")
    error = refused()
    assert error.name == "zeta"
    assert done() == ["client alpha.sock", "client beta.sock", "close alpha.sock", "close beta.sock"]


def test_a_part_may_refuse_its_configuration(bench):
    add_worker(
        bench,
        "picky",
        source="""
from solar_orch.errors import ConfigError
def client(conf):
    raise ConfigError("must be even", option="picky_size", value="3")
""",
    )
    with pytest.raises(ConfigError, match="option picky_size = '3': must be even"):
        Host(conf_of()).build()


def test_an_executor_that_fails_is_named_and_not_the_worker(bench):
    bench.add(
        "lame",
        {plugins.EXECUTORS: {"lame": "lame"}},
        modules={"lame": "from kit import Client\ndef Executor(worker, address): raise OSError('no')\n"},
    )
    error = refused(conf_of(executor="lame"))
    assert (error.namespace, error.name, error.package) == (plugins.EXECUTORS, "lame", "lame 1.0")


def test_one_worker_in_two_packages(bench):
    bench.add("copy", worker_entry_points("alpha"), modules={"copy": ""})
    error = refused()
    assert (error.namespace, error.name, error.package) == (
        plugins.EXTENSIONS,
        "alpha",
        "alpha 1.0, copy 1.0",
    )


# -- with what ships ----------------------------------------------------------------


def test_a_fourth_worker_stands_beside_those_that_ship(packages, tmp_path):
    source = """
from gevent.event import Event
CALLED = Event()
def work(self, ctxt): CALLED.set()
Driver.work = work
"""
    packages.add("kit", {}, modules={"kit": "DONE = []"})
    add_worker(packages, "fourth", source=source)
    made = Host(
        config.load(
            overrides={"executor": "inline", "state_dir": str(tmp_path), "runtime_dir": str(tmp_path / "run")}
        )
    )
    made.build()
    assert set(made.workers) == set(made.clients) == {"tasks", "scheduler", "system_log", "fourth"}
    running = gevent.spawn(made.run)
    try:
        made.clients["fourth"].work({})
        assert importlib.import_module("fourth").CALLED.wait(20)
    finally:
        made.stop(timeout=5)
        running.join(20)
    assert running.successful()
