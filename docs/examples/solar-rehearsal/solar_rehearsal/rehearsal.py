"""A tasks driver with which a plan takes its whole way, and nothing is changed anywhere."""

from __future__ import annotations

import functools
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oslo_config import cfg

from solar_orch.errors import TaskError, Unrunnable
from solar_orch.workers.calls import Ctxt
from solar_orch.workers.subscription import Method
from solar_rehearsal import approval

#: The version of the contracts of solar_orch that this was written for.
solar_orch_api = "1"

GROUP = "rehearse"


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options of group ``[rehearse]``."""
    return [
        (
            GROUP,
            [
                cfg.ListOpt(
                    "failing",
                    default=[],
                    help="Names of tasks that fail in a rehearsal, to see what follows.",
                ),
                cfg.FloatOpt(
                    "longest_sleep",
                    default=0.0,
                    min=0.0,
                    help="Seconds that a task of type sleep takes in a rehearsal at most.",
                ),
                cfg.DictOpt(
                    "results",
                    default={},
                    help="Results that tasks have in a rehearsal, for those that use them: TASK:RESULT, "
                    "RESULT as JSON or, where it is none, as text.",
                ),
            ],
        )
    ]


class Tasks(approval.Tasks):
    """Shows what each task would do, and does nothing but what has no effect: ``noop``, ``echo``, ``error``.

    Order, limits, conditions, results and retries are those of any other run.
    """

    def cmd(
        self,
        ctxt: Ctxt,
        /,
        command: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stdin: str | bytes | None = None,
        parse: str | None = None,
    ) -> Any:
        """Show the command, where it would run, and with what."""
        return self._show_command(ctxt, "here", command, env, cwd, stdin)

    def ssh(
        self,
        ctxt: Ctxt,
        /,
        command: str | Sequence[str],
        *,
        user: str | None = None,
        port: int | None = None,
        key: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stdin: str | bytes | None = None,
        parse: str | None = None,
    ) -> Any:
        """Show the command, where it would run, and with what."""
        login = f"{user}@" if user else ""
        where = f"on {login}{ctxt.get('target') or '(no target)'}{f':{port}' if port else ''}"
        return self._show_command(ctxt, where, command, env, cwd, stdin)

    def sleep(self, ctxt: Ctxt, /, seconds: float) -> Any:
        """Show how long it would take, and take as much of it as the option allows."""
        result = self._show(ctxt, f"would wait {seconds} s")
        longest = self.conf[GROUP].longest_sleep
        super().sleep(ctxt, min(seconds, longest) if isinstance(seconds, int | float) else seconds)
        return result

    def approval(self, ctxt: Ctxt, /, question: str) -> Any:
        """Show what would be asked."""
        return self._show(ctxt, f"would ask: {question}")

    def solar_resource(self, ctxt: Ctxt, /, name: str, action: str) -> Any:
        """Show which action of which resource would run."""
        return self._show(ctxt, f"would run action {action} of resource {name}")

    def add_method(self, name: str, function: Callable[..., Any]) -> Method:
        """Have the task types of other packages only shown as well."""

        @functools.wraps(function)
        def show(ctxt: Ctxt, /, *args: Any, **kwargs: Any) -> Any:
            misfit = method.misfit(ctxt, args, kwargs)
            if misfit is not None:
                raise Unrunnable(f"wrong arguments for task type {misfit}")
            given = [json.dumps(arg) for arg in args]
            given += [f"{key}={json.dumps(value)}" for key, value in kwargs.items()]
            return self._show(ctxt, f"would run {name}({', '.join(given)})")

        method = super().add_method(name, show)
        return method

    def _show_command(
        self,
        ctxt: Ctxt,
        where: str,
        command: str | Sequence[str],
        env: Mapping[str, str] | None,
        cwd: str | None,
        stdin: str | bytes | None,
    ) -> Any:
        words = command if isinstance(command, str) else shlex.join(map(str, command))
        directory = cwd or ctxt.get("cwd")
        variables = {**ctxt.get("env", {}), **(env or {})}
        lines = [f"would run {where}: {words}"]
        lines += [f"in {directory}"] if directory else []
        lines += [f"with {name}={shlex.quote(str(value))}" for name, value in variables.items()]
        lines += [f"with {len(stdin)} characters on stdin"] if stdin else []
        return self._show(ctxt, "\n  ".join(lines))

    def _show(self, ctxt: Ctxt, text: str) -> Any:
        """Write down what would be done; the result that the rehearsal gives to this task.

        :raises TaskError: if it is to fail
        """
        self.output(ctxt).write(f"{text}\n".encode())
        options, name = self.conf[GROUP], ctxt.get("task_name", "")
        if name in options.failing:
            raise TaskError("fails in this rehearsal")
        given = options.results.get(name)
        if given is None:
            return None
        try:
            return json.loads(given)
        except ValueError:
            return given
