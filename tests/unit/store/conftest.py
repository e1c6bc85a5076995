"""A store on a real SQLite file."""

import pytest

from solar_orch import config
from solar_orch.store import Store


@pytest.fixture
def conf(tmp_path):
    return config.load([], overrides={"state_dir": str(tmp_path), "runtime_dir": str(tmp_path / "run")})


@pytest.fixture
def store(conf):
    store = Store(conf)
    yield store
    store.close()
