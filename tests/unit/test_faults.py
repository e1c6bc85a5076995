"""The points at which tests make processes fail."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from solar_orch import faults
from solar_orch.errors import ConfigError

PACKAGE = Path(faults.__file__).parent


@pytest.fixture(autouse=True)
def disarmed():
    yield
    faults.arm(None)


def test_nothing_happens_unless_it_is_armed():
    for point in faults.POINTS:
        faults.hit(point)


def test_every_commit_of_the_store_is_at_a_point_and_every_point_is_somewhere():
    named = set()
    for path in (PACKAGE / "store").glob("*.py"):
        for call in re.findall(r"_database\.write(?:_many)?\((.*?)\)\n", path.read_text(), re.DOTALL):
            found = re.search(r'"(\w+)"(?:, (?:patience|lazy)=[\w.]+)*\)*\s*$', call)
            assert found, f"{path.name}: a commit without a point: {call}"
            named.add(found[1])
    assert named == set(faults.COMMITS)


def test_every_other_point_is_hit_somewhere():
    source = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    hit = set(re.findall(r'faults\.hit\(f?"([^"]+)"\)', source))
    assert hit == {
        "{point}.before",
        "{point}.after",
        "answer",
        "send.{self._name}.before",
        "send.{self._name}.after",
        "send.hint.before",
        "send.hint.after",
        "receive.{self.worker.name}",
    }


def test_the_visit_counts():
    faults.arm("answer=raise@2; claim.before=raise@*")
    faults.hit("answer")
    with pytest.raises(faults.Injected, match="answer"):
        faults.hit("answer")
    faults.hit("answer")
    for _ in range(3):
        with pytest.raises(faults.Injected):
            faults.hit("claim.before")


def test_a_hold_waits_for_its_file(tmp_path):
    gate = tmp_path / "gate"
    gate.touch()
    faults.arm(f"answer=hold:{gate}")
    faults.hit("answer")
    assert (tmp_path / "gate.held").exists()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nowhere=kill", "no point 'nowhere'"),
        ("answer", "no point"),
        ("claim.after=explode", "no action 'explode'"),
        ("claim.after=kill@often", "'often' is not the number"),
        ("claim.after=delay:long", "'long' is no number"),
    ],
)
def test_what_cannot_be_read_is_told(text, problem):
    with pytest.raises(ConfigError, match=problem):
        faults.arm(text)
