"""What is registered, what of it is selected, and what is wrong with that; nothing is imported."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solar_orch import config
from solar_orch.contracts.table import PREFIX, RUNNERS, TASK_TYPES, construct_hooks, drivers, read_by_hosts
from solar_orch.doctor import statics
from solar_orch.doctor.findings import Diagnosis, Finding, Kind, Place
from solar_orch.doctor.registry import Registry, registered_at
from solar_orch.errors import UnknownPart

if TYPE_CHECKING:
    from conftest import Packages

pytestmark = pytest.mark.usefixtures("clean_environment")


def registry(**options: object) -> Registry:
    return Registry(config.load(overrides=options))


def found(**options: object) -> list[Finding]:
    return list(statics.examine(registry(**options)))


def test_nothing_is_wrong_with_what_ships():
    assert found() == []
    assert {part.entry.distribution for part in registry().parts} == {"solar-orch"}


def test_a_host_reads_the_namespaces_of_each_worker():
    read = read_by_hosts(["pinger"])
    assert {drivers("pinger"), construct_hooks("pinger"), RUNNERS, TASK_TYPES} <= set(read)
    assert drivers("tasks") not in read
    assert read == sorted(read)


def test_what_an_option_chooses_is_selected_and_what_it_does_not_is_not(packages: Packages):
    packages.add("runs", {RUNNERS: {"fast": "no:thing"}, f"{PREFIX}limits": {"a": "no:a", "b": "no:b"}})
    parts = {part.entry.name: part for part in registry(runner="fast", limits=["b"]).parts}
    assert (parts["fast"].selected, parts["fast"].option) == (True, "runner")
    assert not parts["gevent"].selected
    assert [parts[name].selected for name in "ab"] == [False, True]
    assert "no" not in sys.modules


def test_the_driver_of_a_foreign_worker_is_selected_by_its_own_option(packages: Packages):
    packages.add(
        "pinger",
        {
            f"{PREFIX}extensions": {"pinger": "no:extension"},
            drivers("pinger"): {"solar": "no:Pinger", "other": "no:Other"},
        },
    )
    namespace = registry().namespace("drivers.pinger")
    assert (namespace.read, namespace.chosen) == (True, ["solar"])
    assert [(part.entry.name, part.selected) for part in namespace.parts] == [
        ("other", False),
        ("solar", True),
    ]
    assert namespace.parts[0].option == "pinger_driver"


def test_a_foreign_worker_needs_no_driver(packages: Packages, monkeypatch: pytest.MonkeyPatch):
    points = {
        f"{PREFIX}{kind}": {"pinger": "no:thing"}
        for kind in ("extensions", "extensions_clients", "constructors")
    }
    packages.add("pinger", points)
    assert found() == []
    monkeypatch.setenv("OS_ORCHESTRATION__PINGER_DRIVER", "loud")
    [finding] = found()
    assert (finding.kind, finding.namespace, finding.name) == (Kind.SELECTION, drivers("pinger"), "loud")
    assert finding.remedy == "install the package that has it, or unset pinger_driver"


def test_namespaces_that_are_nearly_ours_are_found_even_beside_ours(packages: Packages):
    packages.add(
        "astray",
        {
            "solar.orchestraton.task_types": {"fetch": "no:fetch"},
            "solar.orchestration.task_type": {"fetch": "no:fetch"},
            "solar.unrelated": {"fetch": "no:fetch"},
        },
    )
    findings = found()
    assert [(each.kind, each.namespace) for each in findings] == [
        (Kind.UNREAD, "solar.orchestration.task_type"),
        (Kind.UNREAD, "solar.orchestraton.task_types"),
    ]
    assert "did astray 1.0 mean task_types" in findings[0].remedy
    assert findings[1].remedy == "did astray 1.0 mean solar.orchestration.task_types?"


def test_one_package_may_register_a_name_twice_by_two_releases(packages: Packages):
    packages.add("twin-a", {RUNNERS: {"twin": "a:run"}})
    packages.add("twin-b", {RUNNERS: {"twin": "b:run"}})
    [finding] = found()
    assert (finding.kind, finding.package) == (Kind.DUPLICATE, "twin-a 1.0, twin-b 1.0")
    assert [part.duplicated for part in registry().find("runners", "twin")] == [True, True]


def test_where_a_part_is_registered_is_known_where_its_package_has_a_record(packages: Packages):
    home = packages.add("runs", {RUNNERS: {"one": "runs:one", "two": "runs:two"}})
    [part] = registry().find("runners", "two")
    assert registered_at(part.entry) is None
    Path(home, "runs-1.0.dist-info", "RECORD").write_text("runs-1.0.dist-info/entry_points.txt,,\n")
    path = str(home / "runs-1.0.dist-info" / "entry_points.txt")
    assert registered_at(part.entry) == Place(path, 3, "two = runs:two")


def test_unknown_names_come_with_what_may_be_meant():
    with pytest.raises(UnknownPart) as caught:
        registry().namespace("runner")
    assert (caught.value.what, caught.value.given, caught.value.suggestions) == (
        "namespace",
        "runner",
        ["runners"],
    )
    with pytest.raises(UnknownPart) as caught:
        registry().find("solar.orchestration.runners", "threads")
    assert (caught.value.suggestions, caught.value.available) == ([], ["gevent"])
    with pytest.raises(UnknownPart, match=r"^there is no name rack in solar\.orchestration\.limits$"):
        registry().find("limits", "rack")


@pytest.mark.parametrize("place", [None, Place("/a.py"), Place("/a.py", 3, "import x")])
def test_a_diagnosis_survives_its_way_as_json(place: Place | None):
    finding = Finding(Kind.HANG, RUNNERS, "slow", "slow 1.0", True, "hangs", "do not", place)
    diagnosis = Diagnosis([finding], 3, 2, "no host")
    assert Diagnosis.from_dict(diagnosis.as_dict()) == diagnosis
    assert not diagnosis.healthy
    assert Diagnosis([], 3, 2, None).healthy
