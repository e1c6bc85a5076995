"""Where a configuration comes from, and how a bad one is refused."""

from __future__ import annotations

import pytest

from solar_orch import __version__, config
from solar_orch.errors import ConfigError, ExitCode

pytestmark = pytest.mark.usefixtures("clean_environment")


def written(tmp_path, text: str) -> str:
    path = tmp_path / "test.conf"
    path.write_text(text)
    return str(path)


def refused(*args: str, **overrides: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        config.load(args, overrides=overrides)
    assert caught.value.exit_code == ExitCode.USAGE
    return caught.value


# -- sources --------------------------------------------------------------------


def test_defaults_follow_the_home(clean_environment):
    group = config.load().orchestration
    state = clean_environment / ".local" / "state" / "solar"
    assert group.state_dir == str(state)
    assert group.database == f"sqlite:///{state}/solar.db"
    assert group.tasks_address == f"ipc://{state}/run/tasks.sock"
    assert (group.executor, group.runner) == ("zerorpc", "gevent")
    assert (group.tasks_driver, group.scheduler_driver, group.system_log_driver) == ("solar",) * 3
    assert (group.pool_size, group.max_inprogress, group.target_limit) == (100, 100, 1)
    assert group.drain_timeout == 30.0


def test_defaults_follow_the_xdg_directories_to_the_letter(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "st$ate"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    group = config.load().orchestration
    assert group.state_dir == str(tmp_path / "st$ate" / "solar")
    assert group.scheduler_address == f"ipc://{tmp_path}/run/solar/scheduler.sock"


def test_an_address_moves_with_its_directory(tmp_path):
    path = written(tmp_path, f"[orchestration]\nruntime_dir = {tmp_path}/elsewhere\n")
    conf = config.load(["--config-file", path])
    assert conf.orchestration.system_log_address == f"ipc://{tmp_path}/elsewhere/system_log.sock"


def test_environment_beats_file_and_override_beats_both(tmp_path, monkeypatch):
    path = written(tmp_path, "[orchestration]\nexecutor = file\nrunner = file\ntasks_driver = file\n")
    monkeypatch.setenv("OS_ORCHESTRATION__EXECUTOR", "environment")
    monkeypatch.setenv("OS_ORCHESTRATION__RUNNER", "environment")
    group = config.load(["--config-file", path], overrides={"runner": "override"}).orchestration
    assert (group.executor, group.runner, group.tasks_driver) == ("environment", "override", "file")


def test_a_directory_of_files_is_read_in_order(tmp_path):
    directory = tmp_path / "conf.d"
    directory.mkdir()
    directory.joinpath("10.conf").write_text("[orchestration]\npool_size = 1\nlease = 7\n")
    directory.joinpath("20.conf").write_text("[orchestration]\npool_size = 2\n")
    group = config.load(["--config-dir", str(directory)]).orchestration
    assert (group.pool_size, group.lease) == (2, 7.0)


def test_a_file_in_the_usual_place_is_read(clean_environment):
    place = clean_environment / ".solar"
    place.mkdir()
    place.joinpath("solar.conf").write_text("[orchestration]\ntarget_limit = 9\n")
    assert config.load().orchestration.target_limit == 9


def test_two_configurations_share_nothing():
    first = config.load(overrides={"pool_size": 3})
    assert config.load().orchestration.pool_size == 100
    assert first.orchestration.pool_size == 3


def test_registering_twice_changes_nothing():
    conf = config.load(overrides={"pool_size": 3})
    config.register(conf)
    assert conf.orchestration.pool_size == 3


# -- the worker's command line -----------------------------------------------


def test_the_command_line_of_the_worker():
    args = ["--worker", "tasks", "--worker", "scheduler", "--debug", "--log-file", "x.log"]
    conf = config.load(args, command_line=True)
    assert conf.worker == ["tasks", "scheduler"]
    assert conf.debug is True
    assert conf.log_file == "x.log"


def test_nothing_given_means_all_workers_at_info():
    conf = config.load(command_line=True)
    assert (conf.worker, conf.debug, conf.log_file) == ([], False, None)


@pytest.mark.parametrize(("args", "code"), [(["--help"], 0), (["--version"], 0), (["--nonsense"], 2)])
def test_help_version_and_wrong_usage_end_the_program(args, code, capsys):
    with pytest.raises(SystemExit) as caught:
        config.load(args, command_line=True)
    assert caught.value.code == code
    out, err = capsys.readouterr()
    assert {"--help": "--config-file", "--version": __version__, "--nonsense": "--nonsense"}[
        args[0]
    ] in out + err


def test_an_embedding_program_has_no_such_options():
    with pytest.raises(SystemExit):
        config.load(["--worker", "tasks"])


# -- what is refused -------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("pool_size", "many"),
        ("pool_size", "0"),
        ("max_inprogress", "-1"),
        ("target_limit", "1.5"),
        ("drain_timeout", "-0.5"),
        ("lease", "soon"),
        ("output_limit", "12"),
    ],
)
def test_a_bad_value_is_one_line_with_option_value_and_file(tmp_path, option, value):
    path = written(tmp_path, f"[orchestration]\n{option} = {value}\n")
    error = refused("--config-file", path)
    assert (error.option, error.value, error.source) == (option, value, path)
    for part in (option, value, path):
        assert part in str(error)
    assert "\n" not in str(error)


def test_a_bad_value_in_the_environment_names_the_variable(monkeypatch):
    monkeypatch.setenv("OS_ORCHESTRATION__LEASE", "soon")
    error = refused()
    assert (error.option, error.value, error.source) == ("lease", "soon", "OS_ORCHESTRATION__LEASE")


def test_a_reference_to_nothing_is_refused(tmp_path):
    error = refused("--config-file", written(tmp_path, "[orchestration]\nstate_dir = $nowhere/solar\n"))
    assert error.option in {"state_dir", "runtime_dir", "database"}
    assert "nowhere" in str(error)


def test_an_override_that_does_not_parse_is_refused():
    assert "pool_size" in str(refused(pool_size="many"))


def test_an_override_of_an_unknown_option_is_refused():
    assert "no_such_option" in str(refused(no_such_option=1))


def test_a_missing_file_is_refused(tmp_path):
    path = str(tmp_path / "none.conf")
    assert str(refused("--config-file", path)) == f"no such file: {path}"


def test_a_missing_directory_is_refused(tmp_path):
    path = str(tmp_path / "none.d")
    assert str(refused("--config-dir", path)) == f"no such directory: {path}"


def test_a_file_that_is_no_configuration_is_refused(tmp_path):
    path = written(tmp_path, "[orchestration]\nthis is no assignment\n")
    error = refused("--config-file", path)
    assert path in str(error)
    assert "\n" not in str(error)


# -- the sample -------------------------------------------------------------------


def test_the_generator_is_given_every_option():
    [(group, options)] = config.list_opts()
    assert group == "orchestration"
    assert {option.name for option in options} == set(config.load().orchestration)
    assert all(option.help for option in options)


def test_the_sample_shows_no_directory_of_this_machine(clean_environment):
    [(_, options)] = config.list_opts()
    shown = [option.sample_default or option.default for option in options]
    assert not [text for text in shown if str(clean_environment) in str(text)]
