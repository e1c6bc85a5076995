"""Commands on other hosts, by the system's OpenSSH client."""

from __future__ import annotations

import functools
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from solar_orch.config import GROUP
from solar_orch.errors import EndUnknown, HostUnreachable, Interrupted
from solar_orch.workers import process, remote
from solar_orch.workers.calls import Cancelled
from solar_orch.workers.connections import Connections, control_path, quoted
from solar_orch.workers.output import BoundedOutput

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.workers.guarding import ProcessGuard

LOG = logging.getLogger(__name__)

#: Exit code of ssh when it has failed itself.
FAILED = 255

_UNSHARED = ["-S", "none"]

#: Seconds in which the other host is to tell that a command that is ended has ended; longer than that takes
#: there (``session.GRACE``), and shorter than calls get when their worker stops.
_PATIENCE = 4.0

#: A connection on which nothing has come for three times so many seconds is lost.
_ALIVE_INTERVAL = 10

#: Whatever else the user's own configuration of ssh says.
_ALWAYS = (
    "BatchMode=yes",  # it never asks
    "UpdateHostKeys=no",
    "LogLevel=ERROR",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    f"ServerAliveInterval={_ALIVE_INTERVAL}",
    "ServerAliveCountMax=3",
)

#: What ssh says, and what that means.
_EXPLANATIONS = (
    (
        re.compile("REMOTE HOST IDENTIFICATION HAS CHANGED.*^Host key verification failed", re.S | re.M),
        "its host key is not the one that is known: it was set up anew, or somebody else answers "
        "in its place; if the new key is right, replace the line in known_hosts",
    ),
    (
        re.compile("^Host key verification failed", re.M),
        "its host key is not known: put it into known_hosts (see ssh-keyscan), "
        "after comparing it with the host's own",
    ),
    (
        re.compile(r"^[^ ]+: Permission denied \(.*\)\.$", re.M),
        "it does not let the worker in: name a user and a key that it takes by the arguments user and key "
        "or the options ssh_user and ssh_key; a key with a passphrase needs an agent",
    ),
    (re.compile("^(ssh|kex_exchange_identification): ", re.M), "it cannot be reached by ssh"),
)


@dataclass(frozen=True)
class Login:
    """Where and as whom a command runs; what is None is as the options have it."""

    host: str
    user: str | None = None
    port: int | None = None
    #: Path of a private key.
    key: str | None = None


class Ssh:
    """Runs commands on other hosts.  Making one of these opens nothing.

    :param guard: ends the clients when this process is killed
    """

    def __init__(self, conf: cfg.ConfigOpts, guard: ProcessGuard) -> None:
        self._conf = conf
        self._guard = guard
        self.connections = Connections(conf[GROUP].runtime_dir)

    def run(
        self,
        login: Login,
        command: str | Sequence[str],
        *,
        output: BoundedOutput,
        env: Mapping[str, str],
        local_env: Mapping[str, str],
        cwd: str | None = None,
        stdin: str | bytes | None = None,
        key: str = "",
        attempt: int = 0,
    ) -> process.Ended:
        """Run a command on another host to its end; blocks the calling greenlet only.

        When anything is thrown into it, the command there is ended first, as
        by ``process.run``.  Should that host not tell in time that it has, what
        is thrown says so.

        :param command: a text is run by ``/bin/sh -c``, the words of a list are quoted for it
        :param env: of the command, besides what its login gives it
        :param local_env: of the client here
        :param key: id of the task
        :raises HostUnreachable: if it could not be run, or the connection was lost
        :raises TaskError: if the client cannot be started
        """
        data = stdin.encode("utf-8", "surrogatepass") if isinstance(stdin, str) else stdin
        size = None if data is None else len(data)
        script = remote.script(command, env=env, cwd=cwd, stdin_size=size)
        start = functools.partial(process.run, guard=self._guard, key=key, attempt=attempt)
        thrown: list[process.Ended] = []
        with self._sharing(login, start) as sharing:
            try:
                ended = start(
                    ["ssh", *sharing, *self._options(login), "--", login.host, remote.invocation(script)],
                    output=output,
                    env=local_env,
                    stdin=script + (data or b""),
                    stdin_grace=_PATIENCE,
                    when_ended=thrown.append,
                )
            except Cancelled as signal:
                if all(_has_told(ended) for ended in thrown):
                    raise
                raise _with_doubt(signal, login.host, key) from signal
        if not _has_told(ended):
            # What else was said may be the command's own.
            raise _explained(login.host, _said(ended)) or HostUnreachable(
                login.host, "the connection to it was lost"
            )
        return replace(ended, stderr=ended.stderr.before(remote.ENDED_WITH_255))

    @contextmanager
    def _sharing(self, login: Login, start: functools.partial[process.Ended]) -> Iterator[list[str]]:
        """The options by which a command goes through a connection that others use as well."""
        persist = self._conf[GROUP].ssh_persist
        if persist == 0:
            yield _UNSHARED
            return
        options = self._options(login)

        def connect(path: str) -> None:
            master = ["-o", "ControlMaster=yes", "-o", control_path(path), "-o", f"ControlPersist={persist}"]
            # Goes to the background, out of this session, when it is let in.
            ended = start(["ssh", "-f", "-N", *master, *options, "--", login.host], output=BoundedOutput(0))
            if ended.code != 0:
                said = _said(ended)
                raise _explained(login.host, said) or HostUnreachable(
                    login.host, "it cannot be reached by ssh", _last_line(said)
                )

        with self.connections.shared(options, login.host, connect) as path:
            # Should the master go just now, the command gets a connection of its own.
            yield _UNSHARED if path is None else ["-o", "ControlMaster=no", "-o", control_path(path)]

    def _options(self, login: Login) -> list[str]:
        group = self._conf[GROUP]
        user, port, key = (
            login.user or group.ssh_user,
            login.port or group.ssh_port,
            login.key or group.ssh_key,
        )
        values = [
            *_ALWAYS,
            f"StrictHostKeyChecking={group.ssh_host_key_checking}",
            f"ConnectTimeout={group.ssh_connect_timeout}",
        ]
        if key:
            values += [f"IdentityFile={quoted(key)}", "IdentitiesOnly=yes"]
        if group.ssh_known_hosts:
            values += [
                f"UserKnownHostsFile={quoted(group.ssh_known_hosts)}",
                "GlobalKnownHostsFile=/dev/null",
            ]
        found = ["-T"]
        if group.ssh_config_file:
            found += ["-F", os.path.expanduser(group.ssh_config_file)]
        for value in values:
            found += ["-o", value]
        if user:
            found += ["-l", user]
        if port:
            found += ["-p", str(port)]
        return found


def _has_told(ended: process.Ended) -> bool:
    """Whether the end of the command there has come through; what was to be ended with it is dead then."""
    return 0 <= ended.code < FAILED or (
        ended.code == FAILED and remote.ENDED_WITH_255 in ended.stderr.lines()
    )


def _with_doubt(signal: Cancelled, host: str, key: str) -> Cancelled:
    if isinstance(signal.error, Interrupted):
        # The attempt is handed back all the same, and errors of those are seen by nobody.
        LOG.warning("%s: %s", key, EndUnknown(host, signal.error))
        return signal
    return Cancelled(EndUnknown(host, signal.error))


def _said(ended: process.Ended) -> str:
    return ended.stderr.lines().strip()


def _explained(host: str, said: str) -> HostUnreachable | None:
    for words, problem in _EXPLANATIONS:
        if words.search(said):
            return HostUnreachable(host, problem, _last_line(said))
    return None


def _last_line(said: str) -> str:
    return said.rpartition("\n")[2].strip()
