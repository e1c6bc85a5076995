"""``solar-orch plugins new``: names, what is refused, and that an error leaves nothing behind."""

from __future__ import annotations

import configparser
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from solar_orch import plugins
from solar_orch.cli import orch
from solar_orch.contracts.table import contract_of
from solar_orch.errors import FileNotWritten, NameRefused
from solar_orch.scaffold import making, names, rendering, writing
from solar_orch.scaffold.kinds import KINDS

if TYPE_CHECKING:
    from conftest import Packages


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_environment: Path) -> Path:
    """An empty directory, in which the command is typed."""
    directory = tmp_path / "here"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


def new(*args: str) -> Result:
    return CliRunner().invoke(orch, ["plugins", "new", *args], catch_exceptions=False)


def refused(here: Path, *args: str) -> str:
    """The one line in which the command says why it does nothing."""
    before = sorted(here.rglob("*"))
    result = new(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sorted(here.rglob("*")) == before
    [line] = result.stderr.splitlines()
    return line.removeprefix("orch: error: ")


# -- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "module", "part"),
    [
        ("acme", "acme", "acme"),
        ("acme-http", "acme_http", "acme_http"),
        ("Acme.HTTP--2", "acme_http_2", "acme_http_2"),
        ("solar-orch-http", "solar_orch_http", "http"),
        ("solar_orch.json", "solar_orch_json", "json"),
    ],
)
def test_names_follow_from_that_of_the_distribution(name: str, module: str, part: str):
    assert names.derive(name) == names.Names(name, module, part)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-acme",
        "acme-",
        "acme http",
        "acme/http",
        "../acme",
        ".",
        "acme\n",
        "ácme",
        "acme!",
        "ac\N{KELVIN SIGN}me",
        "a" * 101,
    ],
)
def test_what_is_no_name_of_a_distribution_is_refused(here: Path, name: str):
    assert "cannot be used: " in refused(here, "--kind", "task-type", "--", name)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("class", "the package would be called class, which is a keyword of Python; try acme-class"),
        ("solar-orch-import", "the part would be called import, which is a keyword of Python"),
        ("3d", "the package would be called 3d, which is no name in Python; begin it with a letter"),
        ("solar-orch-3d", "the part would be called 3d, which is no name in Python"),
        ("json", "the package would be called json, as a module of Python's standard library"),
        ("tests", "the package would be called tests, which stands for something else in a distribution"),
        ("Solar-Orch", "a module solar_orch is installed already"),
        ("zerorpc", "a module zerorpc is installed already"),
    ],
)
def test_names_that_mean_something_else_are_refused(here: Path, name: str, problem: str):
    for kind in KINDS:
        assert problem in refused(here, name, "--kind", kind)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("executor", "solar-orch-inline"),
        ("runner", "solar-orch-gevent"),
        ("driver", "solar-orch-solar"),
        ("hook", "solar-orch-solar"),
        ("worker", "solar-orch-system-log"),
    ],
)
def test_names_of_parts_that_ship_are_refused(here: Path, kind: str, name: str):
    said = refused(here, name, "--kind", kind)
    assert "solar-orch 0.1.0 has registered " in said
    assert "choose another name, or uninstall that" in said


@pytest.mark.parametrize("name", ["solar-orch-cmd", "solar-orch-kill", "solar-orch-conf", "solar-orch-close"])
def test_names_that_no_task_type_can_have_are_refused(here: Path, name: str):
    part = name.removeprefix("solar-orch-")
    assert f"no task type can be called {part}: " in refused(here, name, "--kind", "task-type")
    assert new(name, "--kind", "limit").exit_code == 0


def test_a_configuration_that_cannot_be_read_is_not_needed(here: Path, clean_environment: Path):
    (clean_environment / ".solar").mkdir()
    (clean_environment / ".solar" / "solar.conf").write_text("[orchestration]\nlease = never\nno option\n")
    assert "no task type can be called cmd: " in refused(here, "solar-orch-cmd", "--kind", "task-type")
    assert new("acme", "--kind", "task-type").exit_code == 0


def test_the_configured_tasks_driver_is_asked_for_names_of_task_types(here: Path, packages: Packages):
    source = """
        from solar_orch.workers.tasks import Tasks

        class Theirs(Tasks):
            def acme(self, ctxt):
                pass
    """
    packages.add(
        "theirs",
        {plugins.drivers("tasks"): {"theirs": "their_driver:Theirs"}},
        modules={"their_driver": source},
    )
    (here / "solar.conf").write_text("[orchestration]\ntasks_driver = theirs\n")
    args = ["--config-file", "solar.conf", "plugins", "new", "acme", "--kind", "task-type"]
    result = CliRunner().invoke(orch, args, catch_exceptions=False)
    assert result.exit_code == 2
    assert "no task type can be called acme: " in result.stderr
    # One that is not installed here, if it will be where the part is used.
    (here / "solar.conf").write_text("[orchestration]\ntasks_driver = elsewhere\n")
    assert CliRunner().invoke(orch, args, catch_exceptions=False).exit_code == 0


def test_names_of_parts_of_other_packages_are_refused(here: Path, packages: Packages):
    packages.add("theirs", {plugins.LIMITS: {"acme": "nothing_of_it:is_imported"}}, version="2.0")
    assert "theirs 2.0 has registered acme in solar.orchestration.limits already" in refused(
        here, "acme", "--kind", "limit"
    )
    assert new("acme", "--kind", "runner").exit_code == 0


def test_a_hook_is_compared_with_those_of_its_worker(here: Path, packages: Packages):
    packages.add("theirs", {plugins.construct_hooks("scheduler"): {"acme": "nothing_of_it:is_imported"}})
    refused(here, "acme", "--kind", "hook", "--worker", "scheduler")
    assert new("acme", "--kind", "hook").exit_code == 0


# -- usage ----------------------------------------------------------------------------------


def test_a_worker_is_named_for_hooks_only(here: Path):
    result = new("acme", "--kind", "limit", "--worker", "tasks")
    assert (result.exit_code, list(here.iterdir())) == (2, [])
    assert "--worker is for --kind hook" in result.stderr


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_what_is_there_already_is_left_alone(here: Path, make: Callable[[Path], None]):
    make(here / "acme")
    assert refused(here, "acme", "--kind", "limit") == (
        "acme is there already; give another one with --directory"
    )
    assert new("acme", "--kind", "limit", "--directory", "other").exit_code == 0


def test_a_directory_without_a_parent_is_refused(here: Path):
    assert refused(here, "acme", "--kind", "limit", "--directory", "no/acme") == (
        "no/acme cannot be made: no is no directory"
    )


def test_the_next_commands_are_printed(here: Path):
    result = new("acme", "--kind", "limit", "--directory", "it is here")
    assert result.stdout.splitlines() == [
        "it is here: a distribution acme, with limit acme; next:",
        "  cd 'it is here'",
        "  pip install -e '.[test]'",
        "  pytest",
        "  solar-orch plugins list",
        "  solar-orch --config-file examples/solar.conf run examples/plan.yaml",
    ]


# -- what is written --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_each_part_is_registered_where_the_host_looks(here: Path, kind):
    for worker in kind.workers or ("tasks",):
        files = rendering.render(kind, names.derive("acme-part"), worker)
        setup = configparser.ConfigParser()
        setup.read_string(files["setup.cfg"])
        points = setup["options.entry_points"]
        assert points
        for namespace, entry in points.items():
            assert contract_of(namespace) is not None
            name, _, target = entry.strip().partition(" = ")
            assert name == ("solar" if namespace == plugins.drivers("acme_part") else "acme_part")
            module = target.partition(":")[0]
            assert f"src/{module.replace('.', '/')}.py" in files


def test_files_have_the_modes_of_others(here: Path):
    old = os.umask(0o027)
    try:
        assert new("acme", "--kind", "limit").exit_code == 0
    finally:
        os.umask(old)
    assert (here / "acme").stat().st_mode & 0o777 == 0o750
    assert (here / "acme" / "setup.cfg").stat().st_mode & 0o777 == 0o640


def test_a_failure_in_the_middle_leaves_nothing(here: Path):
    # A directory where the second file should be.
    with pytest.raises(FileNotWritten, match=r"^acme cannot be written: "):
        writing.write(Path("acme"), {"a/b": "text", "a": "text"})
    assert list(here.iterdir()) == []


def test_a_directory_that_cannot_be_written_is_told_of(here: Path):
    target = Path("/proc/acme")
    with pytest.raises(FileNotWritten, match=r"/proc/acme cannot be written"):
        making.make(KINDS["limit"], "acme", target, "tasks")


def test_a_refused_name_says_what_it_was():
    with pytest.raises(NameRefused) as caught:
        names.derive("class")
    assert (caught.value.name, caught.value.exit_code) == ("class", 2)
