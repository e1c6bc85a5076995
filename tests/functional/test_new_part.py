"""``solar-orch plugins new``: what it writes is installed, passes its own tests, and is used in a plan."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from distributions import environment, install, run_own_tests
from harness import Ended, Site, with_free_port
from test_examples import overlap

from solar_orch.cli.verbs import new_part
from solar_orch.scaffold.kinds import KINDS

ROOT = Path(__file__).parents[2]

# -- that the part was used, by kind ------------------------------------------------------


def waited_for_the_port(ended: Ended, site: Site, part: str) -> None:
    assert "answers, at try" in ended["server.answers"]["output"]
    assert ended["server.use"]["output"] == "200\n"


def wrote_the_file(ended: Ended, site: Site, part: str) -> None:
    assert site.state.joinpath("files", "web1", "motd").read_text() == "web1 is up\n"
    assert ended.states == {"web1.motd": "SUCCESS", "web1.reload": "SUCCESS"}


def wrote_a_line_for_each_task(ended: Ended, site: Site, part: str) -> None:
    lines = [json.loads(line) for line in site.state.joinpath(f"{part}.jsonl").read_text().splitlines()]
    assert [(line["task"], line["outcome"]) for line in lines] == [("greet", "SUCCESS"), ("look", "SUCCESS")]


def touched_half_of_the_targets(ended: Ended, site: Site, part: str) -> None:
    assert len(ended.states) == 4
    assert overlap(ended, ended.states) == 2


def counted_the_attempts(ended: Ended, site: Site, part: str) -> None:
    assert ended.attempts == {"greet": 1, "second-time-lucky": 2}
    numbers = dict(
        line.rsplit(" ", 1)
        for line in site.state.joinpath(f"{part}.prom").read_text().splitlines()
        if line.startswith(f"{part}_attempts_total")
    )
    assert numbers == {
        f'{part}_attempts_total{{type="cmd",outcome="error"}}': "1",
        f'{part}_attempts_total{{type="cmd",outcome="success"}}': "1",
        f'{part}_attempts_total{{type="echo",outcome="success"}}': "1",
    }


def ran_the_plan(ended: Ended, site: Site, part: str) -> None:
    assert ended.states == {"greet": "SUCCESS", "look": "SUCCESS"}


@dataclass(frozen=True)
class Case:
    """A distribution to be made, and how it shows that its part was used."""

    kind: str
    was_used: Callable[[Ended, Site, str], None]
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return "-".join(["acme", self.kind, *self.options[1:]])


CASES = [
    Case("task-type", waited_for_the_port),
    Case("driver", wrote_the_file),
    Case("hook", wrote_a_line_for_each_task),
    Case("hook", wrote_a_line_for_each_task, ("--worker", "scheduler")),
    Case("hook", wrote_a_line_for_each_task, ("--worker", "system_log")),
    Case("executor", ran_the_plan),
    Case("runner", ran_the_plan),
    Case("limit", touched_half_of_the_targets),
    Case("worker", counted_the_attempts),
]


def test_each_kind_is_tried():
    assert {case.kind for case in CASES} == set(KINDS) == set(new_part.KINDS)
    assert KINDS["hook"].workers == new_part.HOOKED


@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_new_part_passes_its_tests_and_is_used_in_a_plan(site: Site, tmp_path: Path, case: Case):
    source = tmp_path / case.name
    made = site.orch(
        "plugins", "new", case.name, "--kind", case.kind, "--directory", str(source), *case.options
    )
    assert (made.returncode, made.stderr) == (0, "")
    assert f"cd {source}\n" in made.stdout
    looks_well(source)

    home = install(source, tmp_path / "home")
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    tested = run_own_tests(source, home, cwd)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert " passed" in tested.stdout

    site.env = environment(home, base=site.env)
    part = case.name.replace("-", "_")
    [namespace, *_] = KINDS[case.kind].namespaces(part, "".join(case.options[1:]) or "tasks")
    assert (namespace, part) in [
        (entry["namespace"], entry["name"])
        for entry in json.loads(site.orch("plugins", "list", "--format", "json").stdout)
    ]
    examined = site.orch("plugins", "doctor")
    assert examined.returncode == 0, examined.stdout + examined.stderr
    (site.root / "examples").symlink_to(source / "examples")
    if case.was_used is waited_for_the_port:
        with_free_port(source / "examples" / "plan.yaml")
    # The host tells which parts it was made of.
    assert f"{namespace}: {part} ({case.name} 0.1.0)" in run_example(site, part, case)


def run_example(site: Site, part: str, case: Case) -> str:
    """Run the example as the command says that was printed; what the host has logged."""
    configuration = ("--config-file", "examples/solar.conf")
    if case.kind == "runner":
        return run_by_worker(site, configuration)
    ran = site.orch(*configuration, "run", "examples/plan.yaml", "--debug", "--format", "json")
    assert ran.returncode == 0, ran.stderr
    case.was_used(Ended(json.loads(ran.stdout)), site, part)
    return ran.stderr


def run_by_worker(site: Site, configuration: tuple[str, ...]) -> str:
    worker = site.begin_worker(*configuration)
    worker.wait_for(" ready: scheduler, system_log, tasks")
    assert site.orch(*configuration, "create", "examples/plan.yaml").returncode == 0
    ran = site.orch(*configuration, "run-once", "last", "-w", "30")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert worker.stop() == 0, worker.log
    return worker.log


def looks_well(source: Path) -> None:
    """What is written passes the checks that most projects have."""
    for command in (
        ["ruff", "check", "--isolated", "--line-length", "110", "--target-version", "py311", "--no-cache",
         "--select", "E,W,F,I,B,C4,C90,UP,SIM,RET,G,A", "."],
        ["compileall", "-q", "."],
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", *command],
            cwd=source,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    for cache in source.rglob("__pycache__"):
        shutil.rmtree(cache)


# -- our own distribution -----------------------------------------------------------------


@pytest.mark.timeout(300)
def test_templates_are_in_what_is_built_of_this_source(site: Site, tmp_path: Path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("setup.cfg", "setup.py", "README.rst", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "solar_orch", source / "solar_orch", ignore=shutil.ignore_patterns("__pycache__"))
    templates = {
        f"solar_orch/scaffold/templates/{path.relative_to(ROOT / 'solar_orch/scaffold/templates')}"
        for path in (ROOT / "solar_orch" / "scaffold" / "templates").rglob("*")
        if path.is_file()
    }
    assert len(templates) > 50

    [sdist] = built("sdist", source, tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
        assert templates <= {name.partition("/")[2] for name in archive.getnames()}
    [unpacked] = (tmp_path / "unpacked").iterdir()
    [wheel] = built("wheel", unpacked, tmp_path / "wheel")
    assert templates <= set(zipfile.ZipFile(wheel).namelist())

    # Installed by that wheel, and not as the tests run, the command finds them.
    home = tmp_path / "home"
    zipfile.ZipFile(wheel).extractall(home)
    site.env = environment(home, base=site.env)
    made = site.orch("plugins", "new", "acme-ports", "--kind", "task-type")
    assert made.returncode == 0, made.stderr
    assert (site.root / "acme-ports" / "src" / "acme_ports" / "ports.py").is_file()


def built(what: str, source: Path, target: Path) -> list[Path]:
    """An sdist or a wheel, as pip and build have it made; warnings are errors."""
    target.mkdir()
    program = f"from setuptools import build_meta; build_meta.build_{what}({str(target)!r})"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=source,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return list(target.iterdir())
