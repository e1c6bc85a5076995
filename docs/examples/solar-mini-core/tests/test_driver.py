"""Actions of resources, as tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

from solar_orch.testing import TasksDriverConformance, task
from solar_orch.testing.hosting import Solar

DB = """
inputs: {port: 5432, name: "orders' db", nothing: null}
actions:
  run: 'echo "$INPUT_PORT/$INPUT_NAME/$INPUT_NOTHING/$SOLAR_TASK_NAME"'
  update: "[ -e mended ]"
  remove: sleep 3600
"""


class TestMini(TasksDriverConformance):
    name = "mini"
    plan = (task("db.run", "solar_resource", "db", "run"), task("b", "cmd", "true", after=["db.run"]))
    lasting = task("db.remove", "solar_resource", "db", "remove")

    @pytest.fixture(autouse=True)
    def resources(self, tmp_path: Path) -> None:
        """The directory is known only now."""
        (tmp_path / "resources").mkdir()
        (tmp_path / "resources" / "db.yaml").write_text(DB)
        self.options = {"mini": {"directory": tmp_path}}


@pytest.fixture
def site(solar: Solar) -> Solar:
    """A host with the driver, and one resource."""
    (solar.root / "mini" / "resources").mkdir(parents=True)
    (solar.root / "mini" / "resources" / "db.yaml").write_text(DB)
    solar.options(tasks_driver="mini")
    solar.options("mini", directory=solar.root / "mini")
    return solar


def state(solar: Solar) -> Path:
    """What says that the resource has been made."""
    return solar.root / "mini" / "state" / "db.json"


def test_an_action_finds_the_inputs_and_its_success_is_written_down(site: Solar):
    ended = site.run(task("db.run", "solar_resource", "db", "run"))
    assert ended["db.run"]["output"] == "5432/orders' db//db.run\n"
    assert '"port": 5432' in state(site).read_text()


def test_an_action_that_fails_changes_nothing_and_may_be_tried_again(site: Solar):
    update = task("db.update", "solar_resource", "db", "update")
    ended = site.run(update)
    assert ended["db.update"]["errmsg"] == "exit code 1"
    assert not state(site).exists()
    (site.root / "mini" / "mended").touch()
    assert site.run(update).status == "finished"
    assert state(site).exists()


def test_an_action_is_killed(site: Solar):
    with site.running(task("a", "solar_resource", "db", "remove")) as plan:
        plan.wait_for("a", "INPROGRESS")
        plan.kill("a")
    assert plan.look().states == {"a": "ERROR"}
    assert not state(site).exists()


def test_what_is_not_there_is_not_tried_again(site: Solar):
    ended = site.run(
        task("a", "solar_resource", "web", "run", retry=2),
        task("b", "solar_resource", "db", "move", retry=2),
    )
    assert ended["a"]["errmsg"] == "resource web: is not there; there are: db"
    assert ended["b"]["errmsg"] == "resource db: it has no action move"
    assert {ended[name]["attempt"] for name in "ab"} == {1}


def test_a_staged_change_becomes_history(site: Solar):
    site.store.log.stage("db", "run")
    site.run(task("db.run", "solar_resource", "db", "run"))
    site.wait_until(site.store.log.history, "it is entered")
    assert site.store.log.staged() == []
