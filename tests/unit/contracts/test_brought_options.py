"""The options that parts bring."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from solar_orch import config, extensions, opts, plugins
from solar_orch.errors import ConfigError, PluginError

RUN = """\
from oslo_config import cfg

def run(executors, conf): ...

def list_opts():
    return [("made", [cfg.IntOpt("size", default=3, min=1), cfg.StrOpt("secret_word", secret=True)])]
"""


def add(packages, source=RUN, target="made:run", namespace=plugins.RUNNERS, **modules):
    packages.add("made", {namespace: {"made": target}}, modules={"made": source, **modules})


def load(conf, namespace=plugins.RUNNERS):
    return plugins.load_one(namespace, "made", conf=conf)


def test_they_are_registered_when_the_part_is_loaded(packages, clean_environment, monkeypatch):
    add(packages)
    monkeypatch.setenv("OS_MADE__SIZE", "5")
    conf = config.load()
    assert "made" not in conf
    for _ in range(2):
        load(conf)
    assert conf.made.size == 5
    other = config.load()
    load(other)
    assert other.made.size == 5


def test_they_are_read_from_the_file_that_was_read_before(packages, clean_environment, tmp_path):
    add(packages)
    file = tmp_path / "solar.conf"
    file.write_text("[made]\nsize = 7\n")
    conf = config.load(["--config-file", str(file)])
    load(conf)
    assert conf.made.size == 7


def test_a_value_that_does_not_parse_is_told_as_that_of_any_option(packages, clean_environment, tmp_path):
    add(packages)
    file = tmp_path / "solar.conf"
    file.write_text("[made]\nsize = none\n")
    conf = config.load(["--config-file", str(file)])
    with pytest.raises(ConfigError) as caught:
        load(conf)
    assert (caught.value.option, caught.value.value) == ("size", "none")
    assert str(file) in str(caught.value)


def test_a_class_brings_those_of_its_bases_as_well(packages, clean_environment):
    base = (
        "from oslo_config import cfg\nfrom solar_orch.workers.tasks import Tasks\nclass Base(Tasks):\n    pass\n"
        "def list_opts():\n    return [('base', [cfg.StrOpt('colour', default='blue')])]\n"
    )
    source = "from base_driver import Base\n\nclass Driver(Base):\n    pass\n"
    add(packages, source, "made:Driver", plugins.drivers("tasks"), base_driver=base)
    conf = config.load()
    plugin = load(conf, plugins.drivers("tasks"))
    assert conf.base.colour == "blue"
    assert [group for group, _ in plugins.options_of(plugin)] == ["base"]


def test_they_may_stand_in_a_module_of_their_own(packages, clean_environment):
    source = "from helper import list_opts\n\ndef run(executors, conf): ...\n"
    add(packages, source, helper=RUN)
    assert [group for group, _ in plugins.options_of(load(config.load()))] == ["made"]


def test_the_function_for_all_parts_does_not_speak_for_one(packages, clean_environment):
    add(packages, "from solar_orch.opts import list_opts\n\ndef run(executors, conf): ...\n")
    assert plugins.options_of(load(config.load())) == []


def test_a_worker_may_describe_the_options_that_it_has_in_any_case(packages, clean_environment):
    source = """\
from oslo_config import cfg
from solar_orch.workers.base import Worker

class part(Worker):
    name = "pinger"

def list_opts():
    return [("orchestration", [
        cfg.StrOpt("pinger_driver", default="made", help="Which."),
        cfg.StrOpt("pinger_address", default="ipc:///run/pinger", help="Where."),
    ])]
"""
    add(packages, source, "made:part", plugins.drivers("pinger"))
    conf = config.load(overrides={"executor": "inline"})
    assert extensions.address_of(conf, "pinger").endswith("/pinger.sock")
    assert extensions.option_of(conf, "pinger_driver", default="solar") == "solar"
    conf.set_override("pinger_driver", "made", group="orchestration")
    assert extensions.make_worker(conf, {}, "pinger").name == "pinger"
    assert conf.orchestration.pinger_address == "ipc:///run/pinger"
    assert conf.orchestration.pinger_driver == "made"


def test_an_option_that_another_has_registered_differently_is_refused(packages, clean_environment):
    add(packages, RUN.replace('("made"', '("orchestration"').replace('"size"', '"pool_size"'))
    with pytest.raises(
        PluginError, match=r"its option pool_size of \[orchestration\] is another one"
    ) as caught:
        load(config.load())
    assert "name the option, or its group, after the package" in caught.value.cause


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("None", "must return a list"),
        ("[('made', [3])]", "must return a list"),
        ("[(3, [])]", "must return a list"),
        ("[1, 2]", "must return a list"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_function_that_says_something_else_is_refused(packages, clean_environment, said, cause):
    add(packages, f"def run(executors, conf): ...\n\ndef list_opts():\n    return {said}\n")
    with pytest.raises(PluginError, match=cause):
        load(config.load())


def test_something_else_of_that_name_is_refused(packages, clean_environment):
    add(packages, "list_opts = ['size']\n\ndef run(executors, conf): ...\n")
    with pytest.raises(PluginError, match="list_opts must be a function"):
        load(config.load())


def test_all_options_are_listed_and_a_broken_part_is_passed_over(packages, caplog):
    add(packages)
    packages.add("lame", {plugins.RUNNERS: {"lame": "lame:run"}}, modules={"lame": "import nothing_there"})
    found = dict(opts.list_opts())
    assert {option.name for option in found["made"]} == {"size", "secret_word"}
    assert "pool_size" in {option.name for option in found["orchestration"]}
    assert "lame" in caplog.text


def test_the_generated_sample_has_them(packages):
    add(packages)
    generator = Path(sys.executable).with_name("oslo-config-generator")
    done = subprocess.run(
        [generator, "--namespace", "solar_orch"],
        env={"PYTHONPATH": str(packages.root / "made-1.0"), "HOME": str(packages.root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "[made]\n" in done.stdout
    assert "#size = 3\n" in done.stdout
    assert "[orchestration]\n" in done.stdout
