"""The documentation says what is there, all of it, and its examples run."""

from __future__ import annotations

import configparser
import dataclasses
import importlib
import importlib.util
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml
from click.testing import CliRunner

from solar_orch import config, faults, plugins, testing
from solar_orch.cli import orch
from solar_orch.cli.rehearsal import as_answer
from solar_orch.cli.translation import message
from solar_orch.contracts.table import contract_of
from solar_orch.doctor import bench
from solar_orch.doctor.findings import Diagnosis, Finding, Kind
from solar_orch.doctor.registry import Registry
from solar_orch.errors import ExitCode, PlanError
from solar_orch.executors.base import CAPABILITIES
from solar_orch.plan import schema
from solar_orch.plan.model import Task
from solar_orch.plan.parse import parse
from solar_orch.plan.report import Outcome, as_dict
from solar_orch.plan.waves import rehearse
from solar_orch.states import PlanStatus, State
from solar_orch.workers import orphans
from solar_orch.workers.tasks import Tasks

if TYPE_CHECKING:
    from conftest import Packages

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
README = ROOT.joinpath("README.rst").read_text()

#: Seconds after which what a test waits for will not come any more.
PATIENCE = 30.0

_UNDERLINE = re.compile(r"^([=~-])\1{2,}$")


def page(name: str) -> str:
    return (DOCS / f"{name}.rst").read_text()


def sections(text: str) -> dict[str, str]:
    """Title of each section to its text, without that of the sections below it."""
    found: dict[str, list[str]] = {"": []}
    title = ""
    lines = text.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line and _UNDERLINE.match(following) and len(following) >= len(line):
            title = line
            found[title] = []
        elif not _UNDERLINE.match(line):
            found[title].append(line)
    return {title: "\n".join(lines) for title, lines in found.items()}


def first_cells(text: str) -> list[str]:
    """What is written as code in the first cells of a section's tables."""
    rows = re.findall(r"^   \* - (``.*)$", text, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"``([^`]+)``", row)]


def blocks(text: str) -> list[str]:
    """The indented blocks behind ``::`` and code-block directives."""
    found = re.findall(r"(?:^|[^:])::(?: \w+)?\n\n((?:    ?.*\n|\n)+)", text)
    return [textwrap.dedent(block).strip() for block in found]


# -- what is there is described ---------------------------------------------------


def test_every_option_is_explained():
    text = page("configuration")
    explained, _, reference = text.partition("Reference\n---------\n")
    [(_, options)] = config.list_opts()
    assert [option.name for option in options if f"``{option.name}``" not in explained] == []
    assert ".. show-options:: solar_orch" in reference


def test_the_environment_variable_and_the_generator_that_are_named_are_right(monkeypatch, clean_environment):
    text = page("configuration")
    assert "oslo-config-generator --namespace solar_orch" in text
    [assignment] = set(re.findall(r"``(OS_ORCHESTRATION__\w+=\w+)``", text))
    name, _, value = assignment.partition("=")
    monkeypatch.setenv(name, value)
    assert config.load().orchestration.pool_size == int(value)


def test_every_namespace_is_explained_and_listed():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    registered = setup["options.entry_points"]
    shipping = {name for name in registered if name.startswith("solar.orchestration.")}
    described = sections(page("namespaces"))
    titles = {title.strip("`") for title in described if title.startswith("``solar.")}
    assert titles == shipping | {plugins.TASK_TYPES, plugins.LIMITS}
    assert len(shipping) == 11
    for namespace in shipping:
        assert f".. list-plugins:: {namespace}\n" in described[f"``{namespace}``"] + "\n"
    for namespace in titles:
        contract = contract_of(namespace)
        assert contract is not None
        option = f"``{contract.option}``" if contract.option else "All"
        assert option in described[f"``{namespace}``"], namespace


def commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command with the words by which it is called, those of groups too."""
    for name, command in group.commands.items():
        own = f"{path} {name}".strip()
        yield own, command
        if isinstance(command, click.Group):
            yield from commands(command, own)


def section_of(command: str) -> str:
    """The text about a command: a section of its own, or that of its group, which then has to name it."""
    described = sections(page("commands"))
    for title, text in described.items():
        if re.match(rf"``{re.escape(command)}(``| [A-Z])", title):
            return text
    group, _, _ = command.rpartition(" ")
    assert group, command
    text = section_of(group)
    assert re.search(rf"``{re.escape(command)}[` ]", text), command
    return text


def test_every_class_of_the_kit_is_explained():
    named = set(first_cells(sections(page("testing"))["The conformance kit"]))
    assert {name for name in testing.PLACES if name.endswith("Conformance")} <= named


def test_every_capability_of_executors_is_explained():
    assert first_cells(sections(page("executors"))["Capabilities"]) == list(CAPABILITIES)


def test_every_command_and_each_of_its_options_is_described():
    for name, command in commands(orch):
        text = section_of(name)
        for parameter in command.params:
            if parameter.param_type_name == "option" and "--help" not in parameter.opts:
                for option in parameter.opts:
                    assert f"``{option}" in text, f"{name} {option}"


def test_every_way_in_which_a_part_can_be_wrong_is_described():
    assert set(first_cells(sections(page("plugins"))["Doctor"])) == set(Kind)


def test_what_is_said_of_parts_in_json_has_the_keys_that_are_described(clean_environment):
    conf = config.load()
    part = Registry(conf).find("executors", "inline")[0].as_dict()
    assert first_cells(sections(page("commands"))["``plugins list``"]) == list(part)
    [shown] = bench.describe([], "executors", "inline", PATIENCE)
    own = set(shown) - set(part)
    assert set(first_cells(sections(page("commands"))["``plugins show NAMESPACE NAME``"])) == own
    text = sections(page("commands"))["``plugins doctor``"]
    diagnosis = Diagnosis([], 0, 0, None).as_dict()
    assert first_cells(text) == list(diagnosis)
    finding = Finding(Kind.HOST, "", "", None, True, "", "").as_dict()
    assert all(f"``{key}``" in text for key in finding)


def test_every_option_of_solar_worker_is_described():
    text = sections(page("commands"))["``solar-worker``"]
    for option in config.command_line_opts():
        assert f"``--{option.name}" in text


def test_every_exit_code_is_described():
    described = sections(page("commands"))
    codes = set(re.findall(r"^   \* - (\d+)$", described["Exit codes"], re.MULTILINE))
    codes |= set(re.findall(r"^   \* - (\d+)$", described["``solar-worker``"], re.MULTILINE))
    assert codes == {str(int(code)) for code in ExitCode}


def task_types() -> list[str]:
    return Tasks(config.load(), {}).task_types()


def usage(type_: str) -> str:
    """A type and what a plan can give to it, as in ``sleep(seconds)``."""
    _, _, *given = inspect.signature(getattr(Tasks, type_)).parameters.values()
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in given]
    return f"{type_}{inspect.Signature(bare)}".replace("'", '"')


def test_every_task_type_is_described_with_its_arguments(clean_environment):
    described = sections(page("tasks"))
    types = task_types()
    assert sorted(title.strip("`") for title in described if title.startswith("``")) == types
    for type_ in types:
        assert f"``{usage(type_)}``" in described[f"``{type_}``"]


def test_every_control_is_named():
    for control in Tasks.controls:
        assert f"``{control}``" in sections(page("tasks"))["Controls"]


def test_every_variable_of_a_command_is_described():
    variables = {orphans.PLAN, orphans.TASK, orphans.ATTEMPT, orphans.SESSION}
    assert set(first_cells(sections(page("tasks"))["``cmd``"])) == variables


def test_every_key_of_a_plan_file_is_described_and_no_other():
    described = sections(page("plan-file"))
    parameters = {field.name for field in dataclasses.fields(Task)} - {"name", "after"}
    assert set(first_cells(described["Keys of a plan"])) == set(schema.of_plan()["properties"])
    assert set(first_cells(described["Keys of a task"])) == set(schema.of_task()["properties"])
    assert set(first_cells(described["Keys of a task's parameters"])) == parameters


def test_every_state_and_status_is_described():
    assert set(first_cells(sections(page("plan-file"))["States"])) == set(State)
    assert all(f"``{status}``" in sections(page("commands"))["The report in JSON"] for status in PlanStatus)


def test_the_order_in_json_has_the_keys_that_are_described():
    plan = parse(EXAMPLES.joinpath("plans", "hello.yaml").read_text())
    answer = as_answer(plan, rehearse(plan, max_inprogress=2, target_limit=1), config.load())
    text = sections(page("commands"))["The order in JSON"]
    assert first_cells(text) == list(answer)
    assert all(f"``{key}``" in text for key in answer["waves"][0][0])


def test_the_report_in_json_has_the_keys_that_are_described():
    outcome = Outcome(0, "a", "noop", None, State.SUCCESS, None, 1, 1.0, 2.0, None)
    report = as_dict("a:1", "a", PlanStatus.FINISHED, [outcome])
    described = first_cells(sections(page("commands"))["The report in JSON"])
    of_plan = described[: described.index("tasks") + 1]
    assert of_plan == list(report)
    assert described[len(of_plan) :] == list(report["tasks"][0])


def test_the_mistakes_that_are_shown_are_those_of_the_file():
    text = EXAMPLES.joinpath("mistakes.yaml").read_text()
    with pytest.raises(PlanError) as caught:
        parse(text, "mistakes.yaml")
    assert message(caught.value, "solar-orch") + "\n" == EXAMPLES.joinpath("mistakes.txt").read_text()


def test_tasks_in_the_pages_are_tasks(clean_environment):
    snippets = re.findall(r"\.\. code-block:: yaml\n\n((?:   .*\n|\n)+)", page("tasks"))
    assert snippets
    for snippet in snippets:
        plan = parse(yaml.safe_dump({"name": "page", "tasks": yaml.safe_load(snippet)}))
        assert all(task.type in task_types() for task in plan.tasks)


# -- what may be imported ---------------------------------------------------------------

_DOCUMENTED = re.compile(
    r"^\.\. (?:auto)?(module|class|function|data):: (solar_orch[\w.]*).*\n((?:   :.*\n)*)", re.MULTILINE
)


def public_names() -> dict[str, set[str]]:
    """What the pages document of each module: its names."""
    # Of the kit there is a test of its own.
    found: dict[str, set[str]] = {"solar_orch.testing": set(testing.PLACES)}
    for kind, target, options in _DOCUMENTED.findall("".join(map(page, ("api", "testing", "embedding")))):
        if kind == "module":
            members = re.search(r":members:(.*)", options)
            assert members, target
            names = {name.strip() for name in members[1].split(",") if name.strip()} or own_names(target)
            found.setdefault(target, set()).update(names)
        else:
            module, _, name = target.rpartition(".")
            found.setdefault(module, set()).add(name)
    return found


def own_names(module: str) -> set[str]:
    """What is public in a module and defined there."""
    content = vars(importlib.import_module(module))
    if "__all__" in content:
        return set(content["__all__"])
    return {
        name
        for name, value in content.items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module
    }


def test_what_is_public_is_there_and_has_a_docstring():
    for module, names in public_names().items():
        for name in names:
            value = getattr(importlib.import_module(module), name)
            assert inspect.isdatadescriptor(value) or not callable(value) or inspect.getdoc(value), name


def test_parts_written_for_others_to_see_import_what_is_public():
    public = public_names()
    sources = [*EXAMPLES.rglob("*.py"), *(ROOT / "solar_orch").glob("scaffold/templates/**/*.in")]
    assert len(sources) > 5
    for path in sources:
        for line, module, name in imports(path.read_text()):
            is_module = f"{module}.{name}" in public
            where = f"{path.relative_to(ROOT)}:{line}: from {module} import {name}"
            assert is_module or name in public.get(module, ()), where


def imports(source: str) -> list[tuple[int, str, str]]:
    """Line, module and name of what is imported from this package."""
    found = re.finditer(r"^ *from (solar_orch(?:\.\w+)*) import (\([^)]*\)|.*)$", source, re.MULTILINE)
    assert not re.search(r"^ *import solar_orch", source, re.MULTILINE)
    return [
        (source.count("\n", 0, match.start()) + 1, match[1], name.split(" as ")[0].strip())
        for match in found
        for name in re.sub(r"#.*", "", match[2]).strip("()").split(",")
        if name.strip()
    ]


# -- README -------------------------------------------------------------------------


def test_readme_has_two_commands_for_set_up_of_one_line_each():
    commands = blocks(sections(README)["Set-up"])
    assert commands[:2] == [
        "pip install . && solar-orch run docs/examples/plans/rollout.yaml",
        "pip install tox && tox",
    ]
    # What follows is what the first one prints.
    assert [block.splitlines()[0].split(":")[0] for block in commands[2:]] == ["plan rollout"]


def test_the_second_command_is_what_ci_runs():
    assert ROOT.joinpath(".ci", "run").read_text().splitlines()[-1] == "pip install tox && tox"


def test_links_of_readme_lead_somewhere():
    links = re.findall(r"`[^`<]+<([^>]+)>`__", README)
    assert links
    assert [link for link in links if not ROOT.joinpath(link).exists()] == []


def test_every_page_is_linked_in_readme():
    pages = {path.name for path in DOCS.glob("*.rst")} - {"index.rst"}
    assert {name for name in pages if f"<docs/{name}>" not in README} == set()


def test_every_example_plan_is_named_in_the_quickstart():
    plans = [path.name for path in EXAMPLES.joinpath("plans").iterdir()]
    assert [name for name in plans if f"``{name}``" not in page("quickstart")] == []


# -- the examples in Python ------------------------------------------------------------


def example(name: str) -> Any:
    """A module of ``docs/examples``."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_in_python_is_in_the_pages():
    pages = "".join(path.read_text() for path in DOCS.glob("*.rst"))
    names = [path.name for path in EXAMPLES.iterdir() if path.is_file()]
    assert [name for name in names if f".. literalinclude:: examples/{name}\n" not in pages] == []


def test_every_distribution_has_a_section_and_says_what_it_is():
    described = sections(page("examples"))
    for setup in EXAMPLES.glob("*/setup.cfg"):
        name = setup.parent.name
        metadata = configparser.ConfigParser()
        metadata.read(setup)
        assert metadata["metadata"]["name"] == name
        text = described[f"``{name}``"]
        assert f".. literalinclude:: examples/{name}/" in text
        readme = setup.with_name("README.rst").read_text()
        assert readme.startswith(f"{name}\n{'=' * len(name)}\n")
        for namespace, points in metadata["options.entry_points"].items():
            if namespace == "oslo.config.opts":  # for oslo-config-generator, and no part
                continue
            assert namespace in text, f"{name}: {namespace}"
            for point in points.strip().splitlines():
                assert f"``{point.partition('=')[0].strip()}``" in text, f"{name}: {point}"


Run = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture
def run(tmp_path: Path, clean_environment: Path) -> Run:
    """Runs tasks by the example of embedding; task name to what the report says of it."""
    embedding = example("embedding")

    def run_tasks(*tasks: dict[str, Any], **options: object) -> dict[str, dict[str, Any]]:
        path = tmp_path / "plan.json"
        path.write_text(json.dumps({"name": "example", "tasks": tasks}))
        report = embedding.run_plan(str(path), state_dir=str(tmp_path / "state"), **options)
        return {task["name"]: task for task in report["tasks"]}

    return run_tasks


def task(uid: str, type_: str, *args: Any, **parameters: Any) -> dict[str, Any]:
    return {"uid": uid, "parameters": {"type": type_, "args": list(args), **parameters}}


def test_embedding_runs_a_plan_to_its_end(tmp_path, clean_environment):
    report = example("embedding").run_plan(
        str(EXAMPLES / "plans" / "hello.yaml"), state_dir=str(tmp_path / "state")
    )
    assert report["status"] == "finished"
    assert [task["name"] for task in report["tasks"]] == ["greet", "wait", "look"]


def test_the_hook_refuses_commands_during_a_freeze_and_writes_failures_down(
    run: Run, packages: Packages, tmp_path: Path
):
    packages.add(
        "freeze",
        {"solar.orchestration.hooks.tasks.construct": {"freeze": "subscriptions:tasks_hook"}},
        modules={"subscriptions": EXAMPLES.joinpath("subscriptions.py").read_text()},
    )
    tasks = [task("command", "cmd", "true", retry=1), task("failing", "error", "no luck")]
    assert run(*tasks)["command"]["status"] == "SUCCESS"
    tmp_path.joinpath("state", "FREEZE").touch()
    frozen = run(*tasks)["command"]
    assert (frozen["status"], frozen["errmsg"], frozen["attempt"]) == ("ERROR", "changes are frozen", 1)
    lines = tmp_path.joinpath("state", "failures.log").read_text().splitlines()
    said = sorted(re.sub(r"example:\w+~", "", line) for line in lines)
    assert said == ["command attempt 1: changes are frozen", *["failing attempt 1: no luck"] * 2]


def test_a_staged_change_is_in_the_history_once_its_task_has_made_it(run: Run, tmp_path: Path):
    staging = example("staging")
    state = {"state_dir": str(tmp_path / "state")}
    staging.stage(**state)
    assert staging.history(**state) == []
    run(task("web1.restart", "noop"))
    assert staging.history(**state) == [("web1", "restart")]


def test_the_commands_can_be_mounted(clean_environment: Path, tmp_path: Path):
    def shop(*args: str) -> str:
        result = CliRunner().invoke(
            example("mounting").main,
            ["orch", *args],
            env={"OS_ORCHESTRATION__STATE_DIR": str(tmp_path / "state")},
            catch_exceptions=False,
        )
        assert result.exit_code == 0
        return result.stdout

    uid = shop("create", str(EXAMPLES / "plans" / "diamond.yaml")).strip()
    assert [plan["uid"] for plan in json.loads(shop("list", "--format", "json"))] == [uid]


def test_the_configuration_of_the_service_is_taken(clean_environment: Path):
    conf = config.load(["--config-file", str(EXAMPLES / "solar.conf")])
    assert conf.orchestration.tasks_address == "ipc:///run/solar/tasks.sock"
    unit = configparser.ConfigParser()
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(EXAMPLES / "solar-worker.service")
    service = unit["Service"]
    assert conf.orchestration.state_dir == f"/var/lib/{service['StateDirectory']}"
    assert conf.orchestration.runtime_dir == f"/run/{service['RuntimeDirectory']}"
    assert service["RestartPreventExitStatus"] == str(int(ExitCode.USAGE))
    assert float(service["TimeoutStopSec"]) > conf.orchestration.drain_timeout


# -- guarantees and faults -------------------------------------------------------------


def test_every_promise_names_tests_that_there_are():
    promises = sections(page("guarantees"))
    for title in ("", "Guarantees", "What is not promised"):
        promises.pop(title)
    assert "".join(title[0] for title in promises) == "12345678W"
    for title, text in promises.items():
        named = re.findall(r"^- ``(tests/[\w/]+\.py)::(\w+)``$", text, re.MULTILINE)
        assert named, title
        for path, name in named:
            assert f"def {name}(" in ROOT.joinpath(path).read_text(), f"{title}: {path}::{name}"


def test_every_test_of_faults_holds_a_promise():
    text = page("guarantees")
    for path in (ROOT / "tests" / "faults").glob("test_*.py"):
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE):
            assert f"``tests/faults/{path.name}::{name}``" in text


def test_every_fault_point_is_described():
    described = sections(page("faults"))
    for title, points in (
        ("Commits", faults.COMMITS),
        ("Sends", faults.SENDS),
        ("Single points", faults.SINGLE),
    ):
        rows = re.findall(r"^   \* - ``(.*)``\n     - (.*)$", described[title], re.MULTILINE)
        assert {name: what.replace("``", "") for name, what in rows} == points
    assert set(first_cells(described["Actions"])) == set(faults.ACTIONS)
