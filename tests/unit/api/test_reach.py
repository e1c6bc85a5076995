"""Who is sent to: workers that hold a lock, and those whose beat says where they are."""

from __future__ import annotations

import pytest

from solar_orch import config
from solar_orch.api import presence
from solar_orch.store import instance as instances
from solar_orch.store.workers import WorkerRow

#: Of another machine, whose processes cannot be seen from here.
AWAY = "other:00000000:1:abcd"


@pytest.fixture
def conf(clean_environment, short_dir):
    return config.load(overrides={"state_dir": str(short_dir / "s"), "runtime_dir": str(short_dir / "r")})


def row(address: str, instance: str = AWAY, age: float = 1.0) -> WorkerRow:
    return WorkerRow(instance, "tasks", "host", 1, address, 0.0, age)


@pytest.mark.parametrize("address", ["spool:///var/spool/tasks", "redis://queue:6379/0?stream=tasks"])
def test_an_address_of_another_kind_is_reached_where_a_beat_names_it(conf, address):
    assert presence.can_be_reached(conf, address, [row(address)])
    assert presence.can_be_reached(conf, address, [row(address, instances.instance())])
    assert not presence.can_be_reached(conf, address, [])
    assert not presence.can_be_reached(conf, address, [row(address + "2")])
    assert not presence.can_be_reached(conf, address, [row(address, age=conf.orchestration.lease + 1)])


@pytest.mark.parametrize("address", ["ipc:///run/solar/tasks.sock", "tcp://127.0.0.1:5555"])
def test_one_of_this_host_is_reached_on_this_host_only(conf, address):
    assert presence.can_be_reached(conf, address, [row(address, instances.instance())])
    assert not presence.can_be_reached(conf, address, [row(address)])


def test_a_process_that_is_gone_is_not_reached(conf):
    host, machine, _, random = instances.instance().rsplit(":", 3)
    gone = f"{host}:{machine}:{2**22 + 1}:{random}"
    assert not presence.can_be_reached(conf, "spool:///x", [row("spool:///x", gone)])
