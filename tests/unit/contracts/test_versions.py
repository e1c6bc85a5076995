"""What a part says it was made for."""

from __future__ import annotations

import pytest

from solar_orch import plugins
from solar_orch.contracts.versions import API
from solar_orch.errors import PluginError

RUN = "def run(executors, conf): ...\n"


def load(packages, source, target="made:run", namespace=plugins.RUNNERS):
    packages.add("made", {namespace: {"made": target}}, modules={"made": source})
    return plugins.load_one(namespace, "made")


@pytest.mark.parametrize(
    "declaration",
    ["", f'solar_orch_api = "{API}"\n', f'solar_orch_api = "{API}.4"\n', f'run.solar_orch_api = "{API}"\n'],
)
def test_parts_for_this_version_are_taken(packages, declaration):
    assert load(packages, RUN + declaration).name == "made"


@pytest.mark.parametrize("declaration", ['solar_orch_api = "2"\n', 'run.solar_orch_api = "2.1"\n'])
def test_a_part_for_another_version_is_refused_with_both_named(packages, declaration):
    with pytest.raises(PluginError) as caught:
        load(packages, RUN + declaration)
    assert "made for version 2" in caught.value.cause
    assert f"has version {API}" in caught.value.cause
    assert caught.value.package == "made 1.0"


@pytest.mark.parametrize("value", ["1", "'one'", "''", "(1,)"])
def test_what_is_no_version_is_refused(packages, value):
    with pytest.raises(PluginError, match="must be a version as a text"):
        load(packages, f"{RUN}solar_orch_api = {value}\n")


def test_the_part_speaks_before_its_module(packages):
    source = f'{RUN}solar_orch_api = "{API}"\nrun.solar_orch_api = "7"\n'
    with pytest.raises(PluginError, match="made for version 7"):
        load(packages, source)


def test_a_class_does_not_inherit_what_its_base_was_made_for(packages):
    packages.add("base", {}, modules={"oldbase": 'class Base:\n    solar_orch_api = "0"\n'})
    source = (
        "from oldbase import Base\nfrom solar_orch.workers.tasks import Tasks\n"
        "class Driver(Tasks, Base):\n    '''Newer than its base.'''\n"
    )
    assert load(packages, source, "made:Driver", plugins.drivers("tasks")).name == "made"


def test_of_an_executor_the_module_speaks(packages):
    source = (
        "solar_orch_api = '3'\nclass Executor:\n    def __init__(self, worker, address): ...\n"
        "def Client(address): ...\n"
    )
    with pytest.raises(PluginError, match="made for version 3"):
        load(packages, source, "made", plugins.EXECUTORS)
