"""The command, as far as it runs no plan."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mini_core.cli import main

DB = "# the port of orders\ninputs: {port: 5432, name: orders}\nactions: {run: 'true', update: 'true'}\n"
WEB = "inputs: {db: {from: db.port}}\nactions: {run: 'true'}\n"


class Mini:
    """``mini`` in a directory."""

    def __init__(self, root: Path) -> None:
        self.files = root / "resources"
        self.files.mkdir()
        self.env = {
            "HOME": str(root),
            "OS_MINI__DIRECTORY": str(root),
            "OS_ORCHESTRATION__STATE_DIR": str(root / "s"),
            "OS_ORCHESTRATION__RUNTIME_DIR": str(root / "r"),
            "OS_ORCHESTRATION__TASKS_DRIVER": "mini",
        }
        (self.files / "db.yaml").write_text(DB)
        (self.files / "web.yaml").write_text(WEB)

    def __call__(self, *args: str) -> list[str]:
        """The lines that it prints."""
        result = self.invoke(*args)
        assert result.exit_code == 0, result.output
        return result.output.splitlines()

    def invoke(self, *args: str) -> Result:
        """Call it, and have nothing but its own exits."""
        result = CliRunner().invoke(main, args, env=self.env)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result


@pytest.fixture
def mini(tmp_path: Path) -> Mini:
    return Mini(tmp_path)


def test_resources_are_listed_and_shown(mini: Mini):
    assert mini("resource", "list") == ["db: to be changed: run", "web (needs db): to be changed: run"]
    assert mini("resource", "show", "web") == ["db = 5432 (from db.port)", "actions: run"]


def test_inputs_are_set_to_numbers_and_texts(mini: Mini):
    mini("resource", "set", "db", "port=1", "name=no: text\"'")
    assert mini("resource", "show", "db")[:2] == ["port = 1", 'name = "no: text\\"\'"']
    mini("resource", "set", "db", "port=", "name=1.5")
    assert mini("resource", "show", "db")[:2] == ['port = ""', "name = 1.5"]
    assert mini("resource", "show", "web")[0] == 'db = "" (from db.port)'


@pytest.mark.parametrize("text", ["1.10", "007", "1_000", "nan", "inf", "+1", " 1", "1.", "1e3", "9" * 5000])
def test_what_is_written_as_no_number_is_stays_a_text(mini: Mini, text: str):
    mini("resource", "set", "db", f"port={text}")
    assert mini("resource", "show", "db")[0] == f'port = "{text}"'


def test_changes_are_staged_and_made_into_a_plan(mini: Mini):
    assert mini("changes", "stage") == [
        'db.run  name: null -> "orders", port: null -> 5432',
        "web.run  db: null -> 5432",
    ]
    [uid] = mini("changes", "process")
    assert mini("changes", "history") == [
        'staged  db.run  {"name": [null, "orders"], "port": [null, 5432]}',
        'staged  web.run  {"db": [null, 5432]}',
    ]
    assert uid in "".join(mini("orch", "list"))


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["changes", "process"], 1, "Error: nothing is staged"),
        (["changes", "run"], 1, "Error: there is no plan yet"),
        (["resource", "show", "dbx"], 1, "Error: resource dbx: is not there; there are: db, web"),
        (["resource", "show", "../db"], 1, "Error: resource ../db: a name holds letters"),
        (["resource", "set", "db", "ports=1"], 1, "Error: resource db: has no input ports"),
        (["resource", "set", "db", "port"], 2, "'port' is not of the form INPUT=VALUE"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(mini: Mini, args: list[str], code: int, said: str):
    result = mini.invoke(*args)
    assert result.exit_code == code
    assert said in result.output.splitlines()[-1]


def test_a_change_without_its_action_stages_nothing(mini: Mini):
    (mini.files / "gate.yaml").write_text("inputs: {a: 1}")
    result = mini.invoke("changes", "stage")
    assert (result.exit_code, result.output) == (
        1,
        "Error: resource gate: it has to be changed, and has no action run\n",
    )
    assert mini("changes", "history") == []
