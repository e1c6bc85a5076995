"""The options of solar_orch, and how a configuration is read.

All options live in the oslo.config group ``[orchestration]``.  A
configuration is an object that is handed down: no module reads a global one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oslo_config import cfg

from solar_orch import __version__
from solar_orch.errors import ConfigError
from solar_orch.interpolation import is_secret

GROUP = "orchestration"

#: Part of the names of the configuration files: ``~/.solar/solar.conf``, ``/etc/solar/solar.conf``, ...
PROJECT = "solar"


def _default_state_dir() -> str:
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return str(Path(base) / "solar").replace("$", "$$")


def _default_runtime_dir() -> str:
    base = os.environ.get("XDG_RUNTIME_DIR")
    return str(Path(base) / "solar").replace("$", "$$") if base else "$state_dir/run"


def _address(name: str) -> cfg.Opt:
    return cfg.StrOpt(
        f"{name}_address",
        default=f"ipc://$runtime_dir/{name}.sock",
        help=f"Where the {name} worker takes its calls, in the form that the executor understands. "
        "That of zerorpc is ipc:// and the path of a socket, in a directory that only its owner can enter, "
        "or tcp:// with host and port, on loopback only.",
    )


def _driver(name: str) -> cfg.Opt:
    return cfg.StrOpt(
        f"{name}_driver",
        default="solar",
        help=f"Name of the {name} driver, an entry point in solar.orchestration.drivers.{name}.",
    )


def _ssh_opts() -> list[cfg.Opt]:
    of_client = "What is not set is as the ssh client of the worker's user has it."
    return [
        cfg.StrOpt("ssh_user", help=f"User on the other host, for tasks that name none. {of_client}"),
        cfg.PortOpt("ssh_port", min=1, help=f"Port of sshd, for tasks that name none. {of_client}"),
        cfg.StrOpt("ssh_key", help=f"Path of a private key, for tasks that name none. {of_client}"),
        cfg.StrOpt(
            "ssh_config_file",
            help="Path of the configuration of the ssh client; "
            "not set: ~/.ssh/config and /etc/ssh/ssh_config.",
        ),
        cfg.StrOpt(
            "ssh_known_hosts",
            help="Path of the file with the keys of hosts; not set: ~/.ssh/known_hosts and "
            "/etc/ssh/ssh_known_hosts.",
        ),
        cfg.StrOpt(
            "ssh_host_key_checking",
            default="yes",
            choices=["yes", "accept-new", "no"],
            help="yes: a host whose key is not known is refused; accept-new: its key is written down "
            "and counts from then on; no: whoever answers is taken for the host.",
        ),
        cfg.IntOpt(
            "ssh_connect_timeout",
            default=10,
            min=1,
            help="Seconds after which a host that does not answer is given up.",
        ),
        cfg.IntOpt(
            "ssh_persist",
            default=60,
            min=0,
            help="Seconds for which a connection is kept after its last command, for the next one to use; "
            "0: each command has a connection of its own.",
        ),
    ]


def orchestration_opts() -> list[cfg.Opt]:
    """Fresh option objects of the group; defaults follow the XDG variables of the environment."""
    return [
        cfg.StrOpt(
            "state_dir",
            default=_default_state_dir(),
            sample_default="$XDG_STATE_HOME/solar",
            help="Directory of what must outlive a process: the database. Made with mode 0700.",
        ),
        cfg.StrOpt(
            "runtime_dir",
            default=_default_runtime_dir(),
            sample_default="$XDG_RUNTIME_DIR/solar, or $state_dir/run where that is not set",
            help="Directory of sockets and locks. It must belong to the user, with mode 0700.",
        ),
        cfg.StrOpt(
            "database",
            default="sqlite:///$state_dir/solar.db",
            secret=True,
            help="SQLAlchemy URL of the database that holds plans, tasks and the system log.",
        ),
        _address("system_log"),
        _address("tasks"),
        _address("scheduler"),
        cfg.StrOpt(
            "executor",
            default="zerorpc",
            help="Name of the executor that carries calls to workers and runs them, "
            "an entry point in solar.orchestration.executors.",
        ),
        _driver("tasks"),
        _driver("scheduler"),
        _driver("system_log"),
        cfg.StrOpt(
            "runner",
            default="gevent",
            help="Name of the runner that runs all executors, an entry point in solar.orchestration.runners.",
        ),
        cfg.ListOpt(
            "limits",
            default=[],
            help="Names of limits that say when one more task of a plan may start, in addition to "
            "max_inprogress, target_limit and what the plan itself asks for; "
            "entry points in solar.orchestration.limits.",
        ),
        cfg.IntOpt(
            "pool_size",
            default=100,
            min=1,
            help="Concurrent calls of one worker. Controls (ping, kill) do not count.",
        ),
        cfg.IntOpt(
            "max_inprogress",
            default=100,
            min=1,
            help="How many tasks of one plan are in progress at once.",
        ),
        cfg.IntOpt(
            "target_limit",
            default=1,
            min=1,
            help="How many tasks of one plan with the same target are in progress at once.",
        ),
        cfg.FloatOpt(
            "drain_timeout",
            default=30.0,
            min=0.0,
            help="Seconds that running calls get to end when the process is stopped; "
            "what is then still running is handed back and run again.",
        ),
        cfg.FloatOpt(
            "send_timeout",
            default=5.0,
            min=0.01,
            help="Seconds after which a call that nobody takes is given up with an error.",
        ),
        cfg.FloatOpt(
            "lease",
            default=15.0,
            min=0.5,
            help="Seconds after which a worker or an attempt whose beat stands still counts as lost.",
        ),
        cfg.IntOpt(
            "lost_limit",
            default=3,
            min=1,
            help="How many attempts of one task may be lost before it ends in ERROR.",
        ),
        cfg.FloatOpt(
            "poll_interval",
            default=1.0,
            min=0.01,
            help="Seconds between looks into the database for what no message told of.",
        ),
        cfg.FloatOpt(
            "resend_interval",
            default=5.0,
            min=0.05,
            help="Seconds after which an attempt that nobody claimed is sent again.",
        ),
        cfg.IntOpt(
            "output_limit",
            default=64 * 1024,
            min=1024,
            help="Bytes of a command's output that are kept: the first and the last half of it.",
        ),
        *_ssh_opts(),
    ]


def command_line_opts() -> list[cfg.Opt]:
    """What ``solar-worker`` takes on its command line besides the configuration files."""
    return [
        cfg.MultiStrOpt(
            "worker",
            default=[],
            metavar="NAME",
            help="Run only this worker of those installed; may be given several times.",
        ),
        cfg.BoolOpt("debug", default=False, help="Log at level DEBUG."),
        cfg.StrOpt("log-file", metavar="PATH", help="Log to this file instead of stderr."),
    ]


def list_opts() -> list[tuple[str | None, list[cfg.Opt]]]:
    """The options of this package; :func:`solar_orch.opts.list_opts` has those of others too."""
    return [(GROUP, orchestration_opts())]


class AssumedOpt(cfg.StrOpt):
    """An option that a worker of another package has in any case, until one of its parts brings it itself."""


def register(conf: cfg.ConfigOpts) -> None:
    """Register all options of ``[orchestration]`` with `conf`; doing so twice changes nothing."""
    if GROUP not in conf:
        conf.register_opts(orchestration_opts(), group=GROUP)


def load(
    args: Sequence[str] = (),
    *,
    prog: str = "solar-worker",
    command_line: bool = False,
    overrides: dict[str, object] | None = None,
) -> cfg.ConfigOpts:
    """Read a configuration.

    :param args: command line: ``--config-file``, ``--config-dir`` and, with
        `command_line`, those of :func:`command_line_opts`
    :param prog: program name for usage messages and for the usual places
        (``~/.solar``, ``~``, ``/etc/solar``, ``/etc``: ``solar.conf`` and ``PROG.conf``)
    :param overrides: option name to value, stronger than file and environment
    :raises ConfigError: if a file cannot be read or a value does not parse
    :raises SystemExit: what argparse raises on wrong usage, ``--help`` and ``--version``
    """
    conf = cfg.ConfigOpts()
    register(conf)
    if command_line:
        conf.register_cli_opts(command_line_opts())
    try:
        conf(args=list(args), project=PROJECT, prog=prog, version=__version__)
        for name, value in (overrides or {}).items():
            _override(conf, name, value)
        _parse_all(conf)
    except cfg.ConfigFilesNotFoundError as error:
        raise ConfigError(f"no such file: {', '.join(error.config_files)}") from error
    except cfg.ConfigFilesPermissionDeniedError as error:
        raise ConfigError(f"not readable: {', '.join(error.config_files)}") from error
    except cfg.ConfigFileParseError as error:
        raise ConfigError(" ".join(str(error).split())) from error
    except cfg.ConfigDirNotFoundError as error:
        raise ConfigError(f"no such directory: {error.config_dir}") from error
    except (cfg.Error, ValueError) as error:
        raise ConfigError(" ".join(str(error).split())) from error
    return conf


def defaults() -> cfg.ConfigOpts:
    """A configuration in which all options have their defaults: no file and no variable is read for them."""
    conf = cfg.ConfigOpts()
    register(conf)
    conf(args=[], default_config_files=[], default_config_dirs=[], use_env=False)
    return conf


def _override(conf: cfg.ConfigOpts, name: str, value: object) -> None:
    try:
        conf.set_override(name, value, group=GROUP)
    except ValueError as error:
        raise ConfigError(str(error), option=name, value=str(value)) from error


def _parse_all(conf: cfg.ConfigOpts) -> None:
    """Read each value once, because oslo.config parses them only when they are asked for."""
    for name in conf[GROUP]:
        read_once(conf, name, GROUP)


def read_once(conf: cfg.ConfigOpts, name: str, group: str | None) -> None:
    """Read the value of an option.

    :param group: None: ``DEFAULT``
    :raises ConfigError: if it does not parse; it does not tell a value that is secret, or made of a secret
    """
    try:
        (conf if group is None else conf[group])[name]
    except (cfg.Error, ValueError) as error:
        problem = _bad_value(conf, name, group, error)
        if not is_secret(conf, name, group):
            raise problem from error
        hidden = "its value, which is secret, does not parse"
        raise ConfigError(hidden, option=name, source=problem.source) from None


_LOCATED = re.compile(
    r"from LocationInfo\(.*detail='(?P<source>[^']*)'\) is not valid: (?P<problem>.*)", re.S
)


def _bad_value(conf: cfg.ConfigOpts, name: str, group: str | None, error: Exception) -> ConfigError:
    found = _LOCATED.search(str(error))
    if not found:
        return ConfigError(str(error), option=name)
    source, problem = found["source"], found["problem"]
    return ConfigError(problem, option=name, value=_written_value(conf, name, group, source), source=source)


def _written_value(conf: cfg.ConfigOpts, name: str, group: str | None, source: str) -> str | None:
    if source in os.environ:
        return os.environ[source]
    try:
        # oslo.config keeps what the files say but hands it out parsed only.
        namespace: Any = conf._namespace
        return str(namespace._get_file_value([(group or "DEFAULT", name)])[0][-1])
    except (AttributeError, KeyError, IndexError, ValueError):
        return None
