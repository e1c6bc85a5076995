"""What is made of a secret is one."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from oslo_config import cfg

from solar_orch import config
from solar_orch.errors import ConfigError
from solar_orch.interpolation import is_secret

OPTIONS = [
    cfg.StrOpt("token", secret=True),
    cfg.StrOpt("plain", default="a $ b $$token \\$token"),
    cfg.StrOpt("of_plain", default="$plain $state $nothing"),
    cfg.StrOpt("itself", default="$itself $other"),
    cfg.StrOpt("other", default="$itself"),
    cfg.StrOpt("direct", default="$token"),
    cfg.StrOpt("within", default="x${token}x"),
    cfg.StrOpt("named", default="$made.token"),
    cfg.ListOpt("listed", default=["a", "$token"]),
    cfg.DictOpt("mapped", default={"a": "$token"}),
    cfg.StrOpt("twice", default="$of_direct"),
    cfg.StrOpt("of_direct", default="$direct"),
    cfg.StrOpt("of_database", default="$orchestration.database"),
    cfg.StrOpt("of_default", default="$sesame"),
    cfg.StrOpt("state", default="none"),
    cfg.StrOpt("renamed", default="none", deprecated_name="old"),
]


def conf(*args: str) -> cfg.ConfigOpts:
    made = config.load(args)
    made.register_opts(OPTIONS, group="made")
    made.register_opt(cfg.StrOpt("sesame", secret=True))
    return made


def secret_ones(made: cfg.ConfigOpts) -> set[str]:
    return {option.dest for option in OPTIONS if is_secret(made, option.dest, "made")}


BY_DEFAULT = {
    "token", "direct", "within", "named", "listed", "mapped", "twice", "of_direct", "of_database", "of_default",
}  # fmt: skip

pytestmark = pytest.mark.usefixtures("clean_environment")


def test_what_interpolates_a_secret_is_secret():
    assert secret_ones(conf()) == BY_DEFAULT


def test_wherever_that_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OS_MADE__STATE", "$token")
    assert secret_ones(conf()) == BY_DEFAULT | {"state", "of_plain"}
    monkeypatch.delenv("OS_MADE__STATE")
    file = tmp_path / "solar.conf"
    file.write_text("[made]\nplain = $token\nold = ${made.token}\n")
    assert secret_ones(conf("--config-file", str(file))) == BY_DEFAULT | {"plain", "of_plain", "renamed"}
    made = conf()
    made.set_override("state", "$token", group="made")
    assert secret_ones(made) == BY_DEFAULT | {"state", "of_plain"}
    made.clear_override("state", group="made")
    made.set_default("plain", "$token", group="made")
    assert secret_ones(made) == BY_DEFAULT | {"plain", "of_plain"}


def test_what_is_made_of_a_secret_is_not_told_when_it_does_not_parse(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OS_ORCHESTRATION__DATABASE", "sqlite:////hunter2")
    monkeypatch.setenv("OS_ORCHESTRATION__POOL_SIZE", "$database")
    with pytest.raises(ConfigError) as caught:
        config.load()
    assert "which is secret" in str(caught.value)
    assert caught.value.source == "OS_ORCHESTRATION__POOL_SIZE"
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
