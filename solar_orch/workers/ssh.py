"""Commands on other hosts, by the system's OpenSSH client."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from solar_orch.config import GROUP
from solar_orch.errors import HostUnreachable
from solar_orch.workers import process, remote
from solar_orch.workers.connections import Connections, control_path, quoted
from solar_orch.workers.output import BoundedOutput

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.workers.guarding import ProcessGuard

#: Exit code of ssh when it has failed itself.
FAILED = 255

#: A connection on which nothing has come for three times so many seconds is lost.
_ALIVE_INTERVAL = 10

#: Whatever else the user's own configuration of ssh says.
_ALWAYS = (
    "BatchMode=yes",  # it never asks
    "StrictHostKeyChecking=yes",
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
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host key is not the one that is known: it was set up anew, or somebody else answers "
        "in its place; if the new key is right, replace the line in known_hosts",
    ),
    (
        "Host key verification failed",
        "its host key is not known: put it into known_hosts (see ssh-keyscan), "
        "after comparing it with the host's own",
    ),
    (
        "Permission denied",
        "it does not let the worker in: name a user and a key that it takes by the arguments user and key "
        "or the options ssh_user and ssh_key; a key with a passphrase needs an agent",
    ),
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
        by ``process.run`` but with ``remote.GRACE`` seconds between the signals,
        if that can be done within ``session.GRACE`` seconds.

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
        sharing = self._sharing(login, start)
        ended = start(
            ["ssh", *sharing, *self._options(login), "--", login.host, remote.invocation(script)],
            output=output,
            env=local_env,
            stdin=script + (data or b""),
            ends_with_stdin=True,
        )
        stderr = ended.stderr.lines().strip()
        if ended.code == FAILED and not stderr.endswith(remote.ENDED_WITH_255):
            raise HostUnreachable(login.host, *explained(stderr))
        return ended

    def _sharing(self, login: Login, start: functools.partial[process.Ended]) -> list[str]:
        persist = self._conf[GROUP].ssh_persist
        if persist == 0:
            return ["-S", "none"]
        options = self._options(login)

        def connect(path: str) -> None:
            said = BoundedOutput(process.STDERR_TAIL)
            master = ["-o", "ControlMaster=yes", "-o", control_path(path), "-o", f"ControlPersist={persist}"]
            # Goes to the background, out of this session, when it is let in.
            ended = start(["ssh", "-f", "-N", *master, *options, "--", login.host], output=said)
            if ended.code != 0:
                raise HostUnreachable(login.host, *explained(ended.stderr.lines().strip()))

        path = self.connections.shared(options, login.host, connect)
        # Should the master go just now, the command gets a connection of its own.
        return ["-S", "none"] if path is None else ["-o", "ControlMaster=no", "-o", control_path(path)]

    def _options(self, login: Login) -> list[str]:
        group = self._conf[GROUP]
        user, port, key = (
            login.user or group.ssh_user,
            login.port or group.ssh_port,
            login.key or group.ssh_key,
        )
        values = [*_ALWAYS, f"ConnectTimeout={group.ssh_connect_timeout}"]
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


def explained(said: str) -> tuple[str, str]:
    """What is wrong, and what of that which ssh has said is to be told."""
    last = said.splitlines()[-1].strip() if said else ""
    for words, problem in _EXPLANATIONS:
        if words in said:
            return problem, last
    return ("it cannot be reached by ssh", last) if last else ("the connection to it was lost", "")
