"""What the task types that run a command are given by a plan, and what they give back."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from solar_orch.errors import CommandFailed, TaskError, Unrunnable
from solar_orch.workers import orphans, process
from solar_orch.workers.calls import Ctxt
from solar_orch.workers.output import Tail
from solar_orch.workers.process import Ended
from solar_orch.workers.ssh import Login

if TYPE_CHECKING:
    from solar_orch.workers.base import Worker

LOG = logging.getLogger(__name__)


def run(
    worker: Worker,
    type_: str,
    ctxt: Ctxt,
    command: str | Sequence[str],
    *,
    env: Mapping[str, str] | None,
    cwd: str | None,
    stdin: str | bytes | None,
    parse: str | None,
) -> Any:
    """Run a command for a task of a worker, as :meth:`solar_orch.workers.tasks.Tasks.cmd` tells.

    :param type_: the task's, for messages
    """
    arguments = Arguments(type_)
    parse = arguments.parse(parse)
    ended = process.run(
        arguments.command(command),
        output=worker.output(ctxt),
        env={**os.environ, **arguments.env(ctxt, env)},
        cwd=arguments.cwd(ctxt, cwd),
        stdin=arguments.stdin(stdin),
        guard=worker.process_guard,
        key=ctxt.get("task_id", ""),
        attempt=ctxt.get("attempt", 0),
    )
    return result_of(ended, parse, ctxt)


_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_HOST = re.compile(r"[^\s\x00-\x1f\x7f-][^\s\x00-\x1f\x7f]*")


@dataclass(frozen=True)
class Arguments:
    """The arguments of one call, checked; each method raises :class:`Unrunnable` for what does not fit.

    :param type: the task type, which errors name
    """

    type: str

    def command(self, value: Any) -> str | list[str]:
        """A text, or a list of words; numbers in it become text."""
        if isinstance(value, str):
            if not value.strip():
                raise self._wrong("the command is empty")
            return self._word("command", value)
        if not isinstance(value, (list, tuple)):
            raise self._wrong(f"command must be a text or a list of texts, not {value!r}")
        if not value:
            raise self._wrong("the command is empty")
        return [self._word("an item of command", item) for item in value]

    def env(self, ctxt: Ctxt, value: Any) -> dict[str, str]:
        """The variables of the plan, those of the task, and those that tell which attempt it is."""
        return {**self._variables(ctxt.get("env")), **self._variables(value), **task_variables(ctxt)}

    def shell_env(self, ctxt: Ctxt, value: Any) -> dict[str, str]:
        """The same for a shell, which takes fewer names."""
        env = self.env(ctxt, value)
        for name in env:
            if not _SHELL_NAME.fullmatch(name):
                raise self._wrong(f"env: a shell has no variables with the name {name!r}")
        return env

    def _variables(self, value: Any) -> dict[str, str]:
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self._wrong(f"env must be a mapping of names to texts, not {value!r}")
        for name in value:
            if not isinstance(name, str) or not name or "=" in name or "\0" in name:
                raise self._wrong(f"env: {name!r} is no name of a variable")
        return {name: self._word(f"env: {name}", text) for name, text in value.items()}

    def cwd(self, ctxt: Ctxt, value: Any) -> str | None:
        """The directory of the task, else that of the plan, else None."""
        for directory in (value, ctxt.get("cwd")):
            if directory is not None:
                if not isinstance(directory, str) or not directory:
                    raise self._wrong(f"cwd must be the path of a directory, not {directory!r}")
                return self._word("cwd", directory)
        return None

    def stdin(self, value: Any) -> str | bytes | None:
        if value is not None and not isinstance(value, (str, bytes)):
            raise self._wrong(f"stdin must be a text, not {value!r}")
        return value

    def parse(self, value: Any) -> str | None:
        if value not in (None, "json"):
            raise self._wrong(f"parse must be json, or not be there, not {value!r}")
        return "json" if value else None

    def login(self, ctxt: Ctxt, user: Any, port: Any, key: Any) -> Login:
        """Where to: the task's target is the host."""
        host = ctxt.get("target")
        if not host:
            raise self._wrong("the task has no target; that is the host on which the command is to run")
        if not isinstance(host, str) or not _HOST.fullmatch(host):
            raise self._wrong(f"the target {host!r} is no name of a host")
        if port is not None and (type(port) is not int or not 1 <= port <= 65535):
            raise self._wrong(f"port must be a number from 1 to 65535, not {port!r}")
        for what, value in (("user", user), ("key", key)):
            if value is not None and (
                not isinstance(value, str) or not re.fullmatch(r'[^"\x00-\x1f]+', value)
            ):
                raise self._wrong(f"{what} must be a text in one line without quotes, not {value!r}")
        return Login(host, user, port, key)

    def _word(self, what: str, value: Any) -> str:
        if isinstance(value, str):
            if "\0" in value:
                raise self._wrong(f"{what} must not hold a NUL character")
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
        hint = ' (put it in quotes: "true")' if isinstance(value, bool) else ""
        raise self._wrong(f"{what} must be a text or a number, not {value!r}{hint}")

    def _wrong(self, problem: str) -> Unrunnable:
        return Unrunnable(f"{self.type}: {problem}")


def task_variables(ctxt: Ctxt) -> dict[str, str]:
    """What lets a command fence its own effects."""
    return {
        orphans.PLAN: ctxt.get("plan_uid", ""),
        orphans.TASK: ctxt.get("task_name", ""),
        orphans.ATTEMPT: str(ctxt.get("attempt", "")),
    }


def result_of(ended: Ended, parse: str | None, ctxt: Ctxt) -> Any:
    """What a command's end means for its task.

    :param parse: ``json``: the result is what stdout holds; None: it is the last line of it
    :raises CommandFailed: if its exit code is not 0
    :raises TaskError: if stdout is to be JSON, and is not
    """
    if ended.code != 0:
        said = ended.stderr.lines()
        raise CommandFailed(ended.code, said, is_cut=ended.stderr.cut and "\n" not in said.strip())
    if parse is not None:
        return _parsed(ended.stdout)
    result = ended.stdout.last_line()
    if result is None:
        LOG.warning("%s: the last line of stdout is longer than %d bytes: the task has no result",
                    ctxt.get("task_id", "-"), ended.stdout.limit)  # fmt: skip
    return result


def _parsed(stdout: Tail) -> Any:
    if stdout.cut:
        raise TaskError(f"stdout is to be JSON, and is longer than {stdout.limit} bytes")
    try:
        return json.loads(stdout.bytes().decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise TaskError(f"stdout is to be JSON, and is no UTF-8 at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}" if stdout.total else "it is empty"
        raise TaskError(f"stdout is to be JSON, and is not: {where}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise TaskError(f"stdout is to be JSON, and is not: {error}") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
