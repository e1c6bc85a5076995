"""``solar-worker`` as a process: exit codes, what it prints, and that it really ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest

import solar_orch
from solar_orch import plugins

ROOT = Path(solar_orch.__file__).parents[1]

#: One worker, a transport and runners that end in every way there is.
PARTS = """
import sys
import threading
import time

from gevent import monkey
from solar_orch.constructors import construct_worker
from solar_orch.errors import AddressInUse, SolarError
from solar_orch.extensions import make_client, make_worker
from solar_orch.workers.base import Worker

class Client:
    def __init__(self, address):
        self.address = address
    def __getattr__(self, method):
        raise AttributeError(method)
    def close(self, timeout):
        return 0

class Executor:
    def __init__(self, worker, address):
        self.worker, self.address = worker, address
    def run(self): ...
    def stop(self, timeout): ...
    def kill(self, task_id, attempt=None, error=None): ...

class Driver(Worker):
    name = "solo"

def extension(conf, clients):
    return make_worker(conf, clients, "solo")
def client(conf):
    return make_client(conf, "solo")
def construct(host):
    return construct_worker(host, "solo")

def clean(executors, conf):
    print("ran", *(executor.worker.name for executor in executors.values()))
def taken(executors, conf):
    raise AddressInUse("ipc:///run/solo.sock", 4711)
def fails(executors, conf):
    raise SolarError("two\\nlines")
def breaks(executors, conf):
    raise ValueError("out of order")
def leaves(executors, conf):
    start_native = monkey.get_original("_thread", "start_new_thread")
    sleep = monkey.get_original("time", "sleep")
    start_native(lambda: sleep(600), ())
    threading.Thread(target=lambda: time.sleep(600)).start()
def patched(executors, conf):
    print(monkey.is_module_patched("socket"), "solar_orch.config" in EARLY)
def waits(executors, conf):
    import gevent
    from gevent.event import Event
    import signal
    stop = Event()
    gevent.signal_handler(signal.SIGTERM, stop.set)
    threading.Thread(target=lambda: time.sleep(600)).start()
    print("ready", flush=True)
    stop.wait()
"""

RUNNERS = ("clean", "taken", "fails", "breaks", "leaves", "patched", "waits")

#: What the console script does, noting first what is imported when gevent patches.
SCRIPT = """
import sys
from solar_orch.cli.entry import worker
import gevent.monkey
patch = gevent.monkey.patch_all
def noting(*args, **kwargs):
    import builtins
    builtins.EARLY = [name for name in sys.modules if name.startswith("solar_orch")]
    return patch(*args, **kwargs)
gevent.monkey.patch_all = noting
worker()
"""


@pytest.fixture
def environment(packages, clean_environment) -> dict[str, str]:
    """An environment in which only the parts above are installed."""
    packages.hide("solar-orch")
    points = {
        plugins.EXECUTORS: {"parts": "parts"},
        plugins.EXTENSIONS: {"solo": "parts:extension"},
        plugins.CLIENTS: {"solo": "parts:client"},
        plugins.CONSTRUCTORS: {"solo": "parts:construct"},
        plugins.drivers("solo"): {"solar": "parts:Driver"},
        plugins.RUNNERS: {name: f"parts:{name}" for name in RUNNERS},
    }
    packages.add("parts", points, modules={"parts": PARTS})
    path = [str(home) for home in sorted(packages.root.iterdir())]
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("OS_")},
        "PYTHONPATH": os.pathsep.join([*path, str(ROOT)]),
        "OS_ORCHESTRATION__EXECUTOR": "parts",
        "OS_ORCHESTRATION__RUNNER": "clean",
    }


def run(environment: dict[str, str], *args: str, **options: str) -> subprocess.CompletedProcess[str]:
    settings = {f"OS_ORCHESTRATION__{name.upper()}": value for name, value in options.items()}
    return subprocess.run(
        command(args),
        env={**environment, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def command(args: Sequence[str]) -> list[str]:
    return [sys.executable, "-P", "-c", textwrap.dedent(SCRIPT), *args]


def errors(ended: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in ended.stderr.splitlines() if line.startswith("solar-worker: error: ")]


def test_a_clean_stop_is_0_and_says_what_was_resolved(environment):
    ended = run(environment)
    assert (ended.returncode, ended.stdout) == (0, "ran solo\n")
    assert "INFO solar_orch.host: solar.orchestration.executors: parts (parts 1.0)" in ended.stderr
    assert errors(ended) == []


def test_gevent_patches_before_anything_else_is_imported(environment):
    assert run(environment, runner="patched").stdout == "True False\n"


def test_a_bad_option_is_2(environment):
    ended = run(environment, lease="soon")
    assert ended.returncode == 2
    [line] = errors(ended)
    assert "option lease = 'soon'" in line
    assert "OS_ORCHESTRATION__LEASE" in line


def test_a_bad_part_is_2(environment):
    ended = run(environment, runner="none")
    assert ended.returncode == 2
    [line] = errors(ended)
    assert "solar.orchestration.runners: none: no package registers this name" in line
    assert "breaks, clean, fails" in line
    assert "Traceback" not in ended.stderr


def test_an_unknown_worker_is_2(environment):
    ended = run(environment, "--worker", "duo")
    assert ended.returncode == 2
    assert "(names that could be had: solo)" in errors(ended)[0]


def test_wrong_usage_is_2_and_help_and_version_are_0(environment):
    assert run(environment, "--nonsense").returncode == 2
    helped = run(environment, "--help")
    assert helped.returncode == 0
    assert "--worker" in helped.stdout
    version = run(environment, "--version")
    assert version.returncode == 0
    assert solar_orch.__version__ in version.stdout + version.stderr


def test_an_address_in_use_is_3(environment):
    ended = run(environment, runner="taken")
    assert ended.returncode == 3
    [line] = errors(ended)
    assert line.startswith("solar-worker: error: ipc:///run/solo.sock: already served by process 4711; ")


def test_an_error_on_purpose_is_1_on_one_line(environment):
    ended = run(environment, runner="fails")
    assert ended.returncode == 1
    assert errors(ended) == ["solar-worker: error: two lines"]
    assert "Traceback" not in ended.stderr


def test_any_other_error_is_1_with_its_traceback(environment):
    ended = run(environment, runner="breaks")
    assert ended.returncode == 1
    assert errors(ended) == ["solar-worker: error: ValueError: out of order"]
    assert "Traceback" in ended.stderr


def test_debug_shows_where_an_error_came_from(environment):
    ended = run(environment, "--debug", runner="fails")
    assert ended.returncode == 1
    assert "DEBUG solar_orch.cli.worker" in ended.stderr
    assert "Traceback" in ended.stderr


def test_threads_left_behind_do_not_keep_it_alive(environment):
    assert run(environment, runner="leaves").returncode == 0


def test_it_ends_after_a_signal_though_threads_remain(environment):
    with subprocess.Popen(
        command(()),
        env={**environment, "OS_ORCHESTRATION__RUNNER": "waits"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_the_log_goes_to_the_file_and_the_error_to_both(environment, tmp_path):
    log = tmp_path / "worker.log"
    ended = run(environment, "--log-file", str(log), runner="fails")
    assert ended.stderr == "solar-worker: error: two lines\n"
    assert "INFO solar_orch.host: solar.orchestration.executors: parts (parts 1.0)" in log.read_text()
    assert "ERROR solar_orch.cli.worker: two lines" in log.read_text()


def test_a_log_file_that_cannot_be_opened_is_2(environment, tmp_path):
    ended = run(environment, "--log-file", str(tmp_path / "none" / "worker.log"))
    assert ended.returncode == 2
    assert "option log-file" in errors(ended)[0]


def test_the_package_of_commands_imports_nothing_heavy(environment):
    heavy = "click", "gevent", "zmq", "sqlalchemy", "stevedore", "oslo_config"
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys, solar_orch.cli.entry; print([m for m in {heavy} if m in sys.modules])",
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ended.stdout == "[]\n"


@pytest.mark.parametrize(
    "first", ["pass", "import solar_orch.cli.orch", "from solar_orch.cli.orch import orch"]
)
def test_the_group_is_had_from_the_package_whatever_was_imported_before(first):
    program = f"""
{first}
import click
from solar_orch.cli import orch as once
from solar_orch.cli import orch as again
assert isinstance(once, click.Group), once
assert again is once
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_mounting_the_group_patches_nothing():
    program = "import sys; from solar_orch.cli import orch; print('gevent.monkey' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, timeout=60)
    assert ended.stdout == b"False\n"
