"""``solar-orch plugins doctor``: every way to break a part, planted in distributions that are really installed."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from distributions import environment, write
from harness import Site, open_site, plan, task, wait_until

from solar_orch.cli.diagnosis import print_diagnosis
from solar_orch.doctor.findings import Diagnosis

PREFIX = "solar.orchestration."
RUN = "def run(executors, conf): ...\n"

#: Seconds that the import of a part may take here; one of them takes them all.
PATIENCE_WITH_A_PART = 5.0


@dataclass(frozen=True)
class Breakage:
    """One way to break a part, and what has to be said of it.

    :param source: of a module of its own; its line with ``# here`` is the one that is named
    :param problem: what is said, in part
    :param remedy: what could be done, in part
    """

    namespace: str
    name: str
    source: str
    kind: str
    problem: str
    remedy: str
    #: Of what the module holds; None: the module itself.
    attribute: str | None = "part"
    #: In the place of what the module is called.
    target: str | None = None

    @property
    def module(self) -> str:
        return f"broken_{self.name.replace('-', '_').replace('.', '_')}"

    @property
    def registered(self) -> str:
        return self.target or (self.module if self.attribute is None else f"{self.module}:{self.attribute}")

    @property
    def line(self) -> int | None:
        return next((n for n, line in enumerate(self.source.splitlines(), 1) if "# here" in line), None)


BREAKAGES = [
    Breakage(
        "runners",
        "lacking",
        "import json\n\nimport no_such_module  # here\n",
        "import",
        "ModuleNotFoundError: No module named 'no_such_module'",
        "install no_such_module, and have lacking-parts require it",
    ),
    Breakage(
        "executors",
        "deep",
        "import json\n\njson.loads('{')  # here\n",
        "import",
        "JSONDecodeError",
        "uninstall deep-parts",
        None,
    ),
    Breakage(
        "drivers.tasks",
        "exiting",
        "import sys\nsys.exit(3)  # here\n",
        "import",
        "it cannot be imported: SystemExit: 3",
        "uninstall exiting-parts",
    ),
    Breakage(
        "limits",
        "absent",
        "",
        "import",
        "No module named 'not_packaged'",
        "see that absent-parts holds a module not_packaged",
        target="not_packaged.limits:Limit",
    ),
    Breakage(
        "runners", "unwritten", "def part(:  # here\n", "syntax", "SyntaxError", "uninstall unwritten-parts"
    ),
    Breakage(
        "runners",
        "misnamed",
        "def serve(executors, conf): ...\n",
        "attribute",
        "but the module broken_misnamed has no serv",
        "did you mean serve?",
        attribute="serv",
    ),
    Breakage(
        "runners",
        "malformed",
        RUN,
        "malformed-target",
        "its target 'broken malformed!' is not of the form module or module:attribute",
        "install the package again",
        target="broken malformed!",
    ),
    Breakage(
        "executors",
        "leaving",
        "import os\nos._exit(0)  # here\n",
        "crash",
        "importing it ends its process with exit code 0 (os._exit(0))",
        "uninstall leaving-parts",
        None,
    ),
    Breakage(
        "executors",
        "crashing",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)  # here\n",
        "crash",
        "importing it ends its process by SIGSEGV (Fatal Python error: Segmentation fault)",
        "uninstall crashing-parts",
        None,
    ),
    Breakage(
        "executors",
        "killing",
        "import os\nos.killpg(os.getpgrp(), 9)\n",
        "crash",
        "importing it ends its process by SIGKILL",
        "uninstall killing-parts",
        None,
    ),
    Breakage(
        "executors",
        "hanging",
        "import time\n\nwhile True:\n    time.sleep(60)  # here\n",
        "hang",
        f"importing it does not end within {PATIENCE_WITH_A_PART:g} s",
        "have it wait when it is used, not when it is imported, or uninstall hanging-parts",
        None,
    ),
    Breakage(
        "runners",
        "talking",
        "print('hello')  # here\ndef part(executors, conf): ...\n",
        "output",
        "importing it writes to stdout, where answers to programs stand: 'hello'",
        "logging.getLogger",
    ),
    Breakage(
        "runners",
        "threaded",
        "import socket, threading, time\ndef part(executors, conf): ...\n"
        "threading.Thread(target=time.sleep, args=[60], name='clock', daemon=True).start()\n"
        "left = socket.socketpair()\n",
        "opens",
        "importing it opens the thread clock and 2 sockets, and a runner may fork",
        "open it when it is first used",
    ),
    Breakage(
        "runners",
        "spawning",
        "import subprocess, gevent\ndef part(executors, conf): ...\n"
        "subprocess.Popen(['sleep', '601'])\n"
        "subprocess.Popen(['tail', '-f', '/dev/null'], start_new_session=True)\n"
        "gevent.spawn(gevent.sleep, 600)\nidle = gevent.Greenlet(gevent.sleep, 600)\n",
        "opens",
        "importing it opens the process sleep, the process tail and a greenlet",
        "open it when it is first used",
        None,
    ),
    Breakage(
        "runners",
        "newer",
        'solar_orch_api = "2.0"  # here\ndef part(executors, conf, more): ...\n',
        "version",
        "it was made for version 2.0 of the contracts (solar_orch_api), and this solar-orch has version 1",
        "install a release of it that was made for 1, or another solar-orch",
    ),
    Breakage(
        "drivers.tasks",
        "classless",
        "\ndef part(conf, clients):  # here\n    ...\n",
        "contract",
        "must be a class that derives from solar_orch.workers.base.Worker, but is the function part",
        "make it Driver(conf, clients)",
    ),
    Breakage(
        "drivers.tasks",
        "nameless",
        "from solar_orch.workers.base import Worker\nclass part(Worker):  # here\n    name = 'task'\n",
        "contract",
        "part.name must be that of its worker, 'tasks', but is 'task'",
        "make it Driver(conf, clients)",
    ),
    Breakage(
        "executors",
        "half",
        "def Executor(worker, address): ...\n",
        "contract",
        "must have the attributes Executor and Client, but the module broken_half has no Client",
        "make it Executor(worker, address), Client(address)",
        None,
    ),
    Breakage(
        "runners",
        "short",
        "def part(executors): ...  # here\n",
        "contract",
        "must be callable as run(executors, conf), but is part(executors): too many positional arguments",
        "make it run(executors, conf)",
    ),
    Breakage(
        "runners",
        "later",
        "async def part(executors, conf): ...  # here\n",
        "contract",
        "it is a coroutine or generator function",
        "make it run(executors, conf)",
    ),
    Breakage(
        "runners",
        "optioned",
        RUN.replace("run", "part") + "def list_opts():\n    raise LookupError('no options')  # here\n",
        "options",
        "list_opts failed: LookupError: no options",
        "as for oslo-config-generator",
    ),
    Breakage(
        "runners",
        "listless",
        RUN.replace("run", "part") + "def list_opts():  # here\n    return ['pool_size']\n",
        "options",
        "must return a list of (group, [option, ...])",
        "as for oslo-config-generator",
    ),
    Breakage(
        "runners",
        "taking",
        RUN.replace("run", "part") + "from oslo_config import cfg\n"
        "def list_opts():  # here\n    return [('orchestration', [cfg.StrOpt('pool_size')])]\n",
        "options",
        "its option pool_size of [orchestration] is another one than that which is registered already",
        "name the option, or its group, after the package",
    ),
    Breakage(
        "runners",
        "valued",
        RUN.replace("run", "part") + "from oslo_config import cfg\n"
        "def list_opts():  # here\n    return [('valued', [cfg.IntOpt('number'), cfg.StrOpt('name')])]\n",
        "value",
        "in [valued], option number = 'many': invalid literal for int()",
        "set number to another value",
    ),
    Breakage(
        "runners",
        "sealed",
        RUN.replace("run", "part") + "from oslo_config import cfg\n"
        "def list_opts():  # here\n    return [('sealed', [cfg.IntOpt('code', secret=True)])]\n",
        "value",
        "in [sealed], option code: its value, which is secret, does not parse (OS_SEALED__CODE)",
        "set code to another value",
    ),
    Breakage(
        "runners",
        "quoting",
        RUN.replace("run", "part") + "from oslo_config import cfg\n"
        "def list_opts():  # here\n    return [('quoting', [cfg.StrOpt('code', secret=True),"
        " cfg.IntOpt('number', default='$code')])]\n",
        "value",
        "in [quoting], option number: its value, which is secret, does not parse",
        "set number to another value",
    ),
    Breakage(
        "limits",
        "first",
        "from oslo_config import cfg\nclass part:\n    def __init__(self, conf): ...\n"
        "    def allows(self, plan, running, candidate): ...\n"
        "def list_opts():\n    return [('shared', [cfg.IntOpt('size')])]\n",
        "",
        "",
        "",
    ),
    Breakage(
        "limits",
        "second",
        "from oslo_config import cfg\nclass part:\n    def __init__(self, conf): ...\n"
        "    def allows(self, plan, running, candidate): ...\n"
        "def list_opts():\n    return [('shared', [cfg.StrOpt('size')])]\n",
        "options",
        "its option size of [shared] is another one than that of first in solar.orchestration.limits, from first-parts",
        "name the option, or its group, after the package",
    ),
    Breakage(
        "limits",
        "unlimited",
        "class part:  # here\n    def __init__(self, conf): ...\n",
        "contract",
        "must have a method allows(plan, running, candidate), but the class part has none",
        "make it Limit(conf)",
    ),
    *(
        Breakage("task_types", name, "def part(ctxt): ...\n", "task-type", problem, "under another name")
        for name, problem in (
            ("cmd", "the worker tasks has a 'cmd' already"),
            ("kill", "the worker tasks has a 'kill' already"),
            ("store", "the worker tasks has a 'store' already"),
            ("close", "the name 'close' means something else to every client"),
            ("not-a-name", "a method's name must be one of Python's"),
        )
    ),
    Breakage(
        "runner",
        "misspelt",
        "def part(executors, conf): ...\n",
        "unread-namespace",
        "no host reads this namespace",
        "did misspelt-parts 1.0 mean runners",
    ),
    Breakage(
        "drivers.task",
        "unwanted",
        "from solar_orch.workers.base import Worker\nclass part(Worker):\n    name = 'task'\n",
        "unread-namespace",
        "it is for a worker task, and no package has an extension of this name",
        "did unwanted-parts 1.0 mean tasks?",
    ),
    Breakage(
        "extensions",
        "pinger",
        "def part(conf, clients): ...\n",
        "missing-peer",
        "this worker has no part of the same name in solar.orchestration.extensions_clients",
        "have pinger-parts 1.0 register it under this name too",
    ),
    Breakage(
        "constructors",
        "task",
        "def part(host): ...\n",
        "missing-peer",
        "there is no worker of the same name in solar.orchestration.extensions",
        "did it mean tasks?",
    ),
]


def break_all(site: Site) -> Path:
    """Install a distribution for each breakage, and two that register the same."""
    home = site.root / "packages"
    for each in BREAKAGES:
        points = {PREFIX + each.namespace: {each.name: each.registered}}
        write(home, f"{each.name}-parts", points, {each.module: each.source})
    for name in ("one", "two"):
        write(home, f"twin-{name}", {f"{PREFIX}runners": {"twin": f"twin_{name}:run"}}, {f"twin_{name}": RUN})
    site.env = environment(home, base=site.env)
    site.env |= {"OS_VALUED__NUMBER": "many", "OS_SEALED__CODE": "hunter2", "OS_QUOTING__CODE": "hunter2"}
    return home


@dataclass(frozen=True)
class Examined:
    """An installation with every breakage, and what the doctor says of it."""

    site: Site
    home: Path
    code: int
    answer: dict[str, Any]
    errors: str

    def findings(self, namespace: str, name: str) -> list[dict[str, Any]]:
        return [
            each
            for each in self.answer["findings"]
            if (each["namespace"], each["name"]) == (PREFIX + namespace, name)
        ]


@pytest.fixture(scope="module")
def examined() -> Iterator[Examined]:
    with open_site() as site:
        home = break_all(site)
        done = site.orch("plugins", "doctor", "--timeout", str(PATIENCE_WITH_A_PART), "--format", "json")
        yield Examined(site, home, done.returncode, json.loads(done.stdout), done.stderr)


@pytest.mark.parametrize("broken", [each for each in BREAKAGES if each.kind], ids=lambda each: each.name)
def test_a_broken_part_is_found_with_its_package_cause_and_line(examined: Examined, broken: Breakage):
    assert examined.code == 1
    found = [each for each in examined.findings(broken.namespace, broken.name) if each["kind"] == broken.kind]
    assert found, examined.answer["findings"]
    [finding] = [each for each in found if broken.problem in each["problem"]]
    assert finding["package"] == f"{broken.name}-parts 1.0"
    assert broken.remedy in finding["remedy"]
    if broken.line is not None:
        assert (finding["file"], finding["line"]) == (str(examined.home / f"{broken.module}.py"), broken.line)
        assert finding["source"] == broken.source.splitlines()[broken.line - 1].strip()
    elif broken.kind in ("malformed-target", "task-type", "unread-namespace", "missing-peer"):
        # There it can be mended.
        path = examined.home / f"{broken.name.replace('-', '_')}_parts-1.0.dist-info" / "entry_points.txt"
        assert (finding["file"], finding["line"]) == (str(path), 2)
        assert finding["source"] == f"{broken.name} = {broken.registered}"


def test_of_a_name_that_two_packages_register_both_are_named(examined: Examined):
    [finding] = examined.findings("runners", "twin")
    assert (finding["kind"], finding["package"]) == ("duplicate", "twin-one 1.0, twin-two 1.0")
    assert "registered 2 times, by twin-one 1.0 (twin_one:run) and twin-two 1.0" in finding["problem"]
    assert finding["remedy"] == "uninstall one of twin-one and twin-two, or have it register another name"


def test_nothing_else_is_found(examined: Examined):
    expected = {(PREFIX + each.namespace, each.name) for each in BREAKAGES if each.kind}
    expected.add((f"{PREFIX}runners", "twin"))
    assert {(each["namespace"], each["name"]) for each in examined.answer["findings"]} == expected
    assert examined.answer["healthy"] is False
    # What all task types and all workers have in common is loaded in any case.
    loaded = {each["name"] for each in examined.answer["findings"] if each["selected"]}
    assert loaded == {"cmd", "kill", "store", "close", "not-a-name", "pinger", "task"}
    assert "pinger" in examined.answer["host"]


def test_a_secret_value_is_not_shown(examined: Examined):
    assert "hunter2" not in json.dumps(examined.answer)


def test_what_a_part_does_when_it_is_imported_reaches_nobody(examined: Examined):
    assert examined.errors == ""
    assert not {"sleep 601", "tail -f /dev/null"} & set(examined.site.commands())
    assert not examined.site.state.exists()
    assert not examined.site.runtime.exists()


def test_the_report_for_people_names_all_and_fits_a_terminal(
    examined: Examined, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    for name, value in (("COLUMNS", "80"), ("FORCE_COLOR", "1"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    print_diagnosis(Diagnosis.from_dict(examined.answer))
    lines = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out).splitlines()
    # What is to be copied, as the name of a file, is not broken.
    assert [line for line in lines if len(line) > 80 and str(examined.home) not in line] == []
    at = lines.index(f"{PREFIX}runners")
    assert lines[at + 1 : at + 6] == [
        "  lacking from lacking-parts 1.0 (not loaded)",
        "    it cannot be imported: ModuleNotFoundError: No module named 'no_such_module'",
        f"    {examined.home / 'broken_lacking.py'}:3",
        "        import no_such_module  # here",
        "    -> install no_such_module, and have lacking-parts require it",
    ]
    assert {f"{PREFIX}{each.namespace}" for each in BREAKAGES if each.kind} <= set(lines)
    number = len(examined.answer["findings"])
    [summary] = [line for line in lines if " findings, " in line]
    assert re.fullmatch(
        rf"\d+ parts of \d+ packages: {number} findings, 8 of them in what would be loaded", summary
    )


# -- what is wrong with the configuration, and what is not -----------------------------


def doctor(site: Site) -> tuple[int, dict[str, Any]]:
    done = site.orch("plugins", "doctor", "--format", "json")
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def test_nothing_is_wrong_with_what_ships_and_with_a_part_that_keeps_its_contract(site: Site):
    source = "import solar_orch\ndef greet(ctxt, name='you'):\n    return f'hello {name}'\n"
    write(
        site.root / "home",
        "greetings",
        {f"{PREFIX}task_types": {"greet": "greetings:greet"}},
        {"greetings": source},
    )
    site.env = environment(site.root / "home", base=site.env)
    code, answer = doctor(site)
    assert (code, answer["healthy"], answer["host"], answer["findings"]) == (0, True, None, [])
    assert (answer["parts"], answer["packages"]) == (19, 2)
    shown = site.orch("plugins", "doctor")
    assert shown.returncode == 0
    assert (
        shown.stdout == "19 parts of 2 packages: nothing wrong\nThe host can be built as it is configured.\n"
    )
    assert not site.state.exists()


def test_options_that_select_nothing_are_found_with_what_may_have_been_meant(site: Site):
    site.set(runner="gevents", tasks_driver="sol")
    path = site.write("solar.conf", "[orchestration]\nlease = 20\nlimits = per_rack\n")
    done = site.orch("--config-file", path, "plugins", "doctor", "--format", "json")
    code, answer = done.returncode, json.loads(done.stdout)
    found = {each["namespace"].removeprefix(PREFIX): each for each in answer["findings"]}
    assert code == 1
    assert {name: (each["kind"], each["name"]) for name, each in found.items()} == {
        "runners": ("selection", "gevents"),
        "drivers.tasks": ("selection", "sol"),
        "limits": ("selection", "per_rack"),
    }
    assert "which the option runner asks for (OS_ORCHESTRATION__RUNNER)" in found["runners"]["problem"]
    assert (found["limits"]["file"], found["limits"]["line"]) == (path, 3)
    assert found["limits"]["source"] == "limits = per_rack"
    assert "have runner name gevent" in found["runners"]["remedy"]
    assert "have tasks_driver name solar" in found["drivers.tasks"]["remedy"]
    assert "no package registers this name" in answer["host"]


def test_a_configuration_that_cannot_be_read_is_wrong_usage(site: Site):
    site.set(pool_size="many")
    done = site.orch("plugins", "doctor")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("solar-orch: error: option pool_size = 'many'")


def test_what_goes_wrong_only_in_the_making_is_found_with_the_host(site: Site):
    write(
        site.root / "home",
        "makers",
        {f"{PREFIX}hooks.tasks.construct": {"late": "makers:late"}},
        {"makers": "def late(worker, clients):\n    raise RuntimeError('not today')\n"},
    )
    site.env = environment(site.root / "home", base=site.env)
    code, answer = doctor(site)
    [finding] = answer["findings"]
    assert (code, finding["kind"], finding["name"], finding["package"]) == (1, "host", "late", "makers 1.0")
    assert f"RuntimeError: not today [{site.root / 'home' / 'makers.py'}:2]" in finding["problem"]
    assert answer["host"].endswith(finding["problem"])


def test_a_broken_part_that_is_not_selected_disturbs_nothing_but_the_doctor(site: Site):
    broken = [
        each
        for each in BREAKAGES
        if each.namespace in ("executors", "runners", "drivers.tasks", "limits") and each.kind != "hang"
    ]
    for each in broken:
        points = {PREFIX + each.namespace: {each.name: each.registered}}
        write(site.root / "home", f"{each.name}-parts", points, {each.module: each.source})
    site.env = environment(site.root / "home", base=site.env)
    code, answer = doctor(site)
    assert (code, answer["host"]) == (1, None)
    assert {each["selected"] for each in answer["findings"]} == {False}
    assert len({each["name"] for each in answer["findings"]}) >= 10
    path = site.write("plan.json", plan(task("only", "cmd", "echo done")))
    ran = site.orch("run", path)
    assert ran.returncode == 0, ran.stderr
    worker = site.worker()
    assert site.run(plan(task("only", "cmd", "echo done"))).status == "finished"
    assert worker.stop() == 0, worker.log
    assert "broken_" not in worker.log


def test_what_hangs_and_is_selected_is_why_the_host_cannot_be_built(site: Site):
    source = "import time\ntime.sleep(600)\n"
    points = {f"{PREFIX}hooks.tasks.construct": {"slow": "slow:hook"}}
    site.env = environment(write(site.root / "home", "slow-parts", points, {"slow": source}), base=site.env)
    done = site.orch("plugins", "doctor", "--timeout", "3", "--format", "json")
    answer = json.loads(done.stdout)
    [finding] = answer["findings"]
    assert (done.returncode, finding["kind"], finding["selected"], finding["line"]) == (1, "hang", True, 2)
    assert answer["host"] == (
        "solar.orchestration.hooks.tasks.construct: slow from slow-parts 1.0: importing it does not end within 3 s"
    )


def test_an_interrupt_ends_whatever_was_begun(site: Site):
    source = "import os, time\nopen(os.environ['SITE'] + '/begun', 'w').close()\ntime.sleep(600)\n"
    points = {f"{PREFIX}runners": {"slow": "slow:run"}}
    site.env = environment(write(site.root / "home", "slow-parts", points, {"slow": source}), base=site.env)
    process = site.start("solar-orch", "plugins", "doctor", "--timeout", "600")
    wait_until((site.root / "begun").exists)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait() == 130
    assert "Traceback" not in process.log
    wait_until(lambda: not site.others())
