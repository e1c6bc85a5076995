"""Resources, the changes that they need, and the order in which these are made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from mini_core import changes
from mini_core.errors import NothingStaged, ResourceError
from mini_core.resources import Resource, Resources

from solar_orch import Orchestrator, config

ACTIONS = {"run": "true", "update": "true"}


@pytest.fixture
def resources(tmp_path: Path) -> Resources:
    (tmp_path / "resources").mkdir()
    return Resources(str(tmp_path))


@pytest.fixture
def orchestrator(tmp_path: Path) -> Orchestrator:
    with Orchestrator(config.load(overrides={"state_dir": str(tmp_path / "s")})) as orchestrator:
        yield orchestrator


def write(resources: Resources, name: str, **inputs: object) -> None:
    """Write a resource; the text ``@db.port`` is a connection."""
    connected = {
        key: {"from": value[1:]} if isinstance(value, str) and value.startswith("@") else value
        for key, value in inputs.items()
    }
    text = yaml.safe_dump({"inputs": connected, "actions": ACTIONS})
    (resources.directory / "resources" / f"{name}.yaml").write_text(text)


def test_values_follow_connections(resources: Resources):
    write(resources, "db", port=5432)
    write(resources, "pool", target="@db.port", size=4)
    write(resources, "web", db="@pool.target")
    assert resources.values("web") == {"db": 5432}
    assert list(resources.all()) == ["db", "pool", "web"]
    resources.set("db", {"port": 1})
    assert resources.values("web") == {"db": 1}
    resources.set("pool", {"target": 2})
    assert (resources.get("pool").needs, resources.values("web")) == (set(), {"db": 2})


def test_a_change_is_what_differs_from_what_was_made(resources: Resources):
    write(resources, "db", port=5432)
    write(resources, "web", db="@db.port", motto="hello")
    assert [(change.resource, change.action) for change in changes.wanted(resources)] == [
        ("db", "run"),
        ("web", "run"),
    ]
    for name in ("db", "web"):
        resources.note(name, "run", resources.values(name))
    assert changes.wanted(resources) == []
    resources.set("db", {"port": 1})
    assert {change.resource: change.diff for change in changes.wanted(resources)} == {
        "db": {"port": [5432, 1]},
        "web": {"db": [5432, 1]},
    }


def test_a_resource_without_inputs_is_made_once(resources: Resources):
    write(resources, "gate")
    assert [change.diff for change in changes.wanted(resources)] == [{}]
    resources.note("gate", "run", {})
    assert changes.wanted(resources) == []


def test_what_is_staged_follows_what_is_wanted(resources: Resources, orchestrator: Orchestrator):
    write(resources, "db", port=5432)
    write(resources, "web", db="@db.port")
    changes.stage(orchestrator, resources)
    first = {item["resource"]: item["id"] for item in orchestrator.staged()}
    changes.stage(orchestrator, resources)
    assert {item["resource"]: item["id"] for item in orchestrator.staged()} == first
    resources.set("web", {"db": 7})
    changes.stage(orchestrator, resources)
    staged = {item["resource"]: item for item in orchestrator.staged()}
    assert staged["db"]["id"] == first["db"]
    assert staged["web"]["diff"] == {"db": [None, 7]}
    for name in ("db", "web"):
        resources.note(name, "run", resources.values(name))
    assert changes.stage(orchestrator, resources) == []
    assert orchestrator.staged() == []
    with pytest.raises(NothingStaged):
        changes.process(orchestrator, resources)


def test_tasks_wait_for_the_nearest_that_are_changed(resources: Resources, orchestrator: Orchestrator):
    write(resources, "db", port=5432)
    write(resources, "pool", target="@db.port", size=4)
    write(resources, "web", db="@pool.target", size="@pool.size")
    write(resources, "other")
    for name in resources.names():
        resources.note(name, "run", resources.values(name))
    resources.set("db", {"port": 1})
    # So that only its neighbours differ.
    resources.note("pool", "update", resources.values("pool"))
    changes.stage(orchestrator, resources)
    uid = changes.process(orchestrator, resources)
    assert {task.name: task.after for task in orchestrator.model(uid).tasks} == {
        "db.update": [],
        "web.update": ["db.update"],
    }


def test_many_ways_between_two_that_are_changed_are_not_all_walked(
    resources: Resources, orchestrator: Orchestrator, monkeypatch: pytest.MonkeyPatch
):
    # Two ways from each rung to the next: 2**30 from the last to the first.
    write(resources, "rung0", a=1)
    for number in range(1, 31):
        below = f"@rung{number - 1}.a"
        write(resources, f"left{number}", a=below)
        write(resources, f"right{number}", a=below)
        write(resources, f"rung{number}", a=f"@left{number}.a", b=f"@right{number}.a")
    for name in ("rung0", "rung30"):
        orchestrator.stage(name, "run", {})
    looks = 0

    def needs(resource: Resource, look: Callable[[Resource], set[str]] = Resource.needs.fget) -> set[str]:
        nonlocal looks
        looks += 1
        assert looks < 1000
        return look(resource)

    monkeypatch.setattr(Resource, "needs", property(needs))
    uid = changes.process(orchestrator, resources)
    assert {task.name: task.after for task in orchestrator.model(uid).tasks} == {
        "rung0.run": [],
        "rung30.run": ["rung0.run"],
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "must be a mapping"),
        ("inputs: []\nactions: 1", "must be mappings"),
        ("inputs: {a b: 1}", "named as a variable"),
        ("inputs: {a: [1]}", "a text, a number, or"),
        ("actions: {a.b: 'true'}", "must be a name with a command"),
        ("host: 1", "host must be a text"),
        ("inputs: {a: {from: r.b}, b: {from: r.a}}", "needs itself: r -> r"),
    ],
)
def test_what_is_no_resource_is_refused(resources: Resources, text: str, problem: str):
    (resources.directory / "resources" / "r.yaml").write_text(text)
    with pytest.raises(ResourceError, match=problem) as caught:
        resources.all()
    assert caught.value.name == "r"


def test_a_circle_is_refused_for_values_too(resources: Resources):
    write(resources, "a", x="@b.y")
    write(resources, "b", y="@a.x")
    with pytest.raises(ResourceError, match="is connected to itself"):
        resources.values("a")
