"""The kinds of parts that a distribution can be begun for, and what each of them registers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from solar_orch.contracts import table

#: The worker whose calls a hook is for, unless another one is named.
DEFAULT_WORKER = "tasks"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of part.

    ``{part}`` and ``{worker}`` stand for the name of the part, and of the worker that it is for.
    """

    name: str
    #: What a distribution of this kind is, in its description.
    summary: str
    #: Namespace to what the entry point loads to, below the package.
    registers: Mapping[str, str]
    #: The commands that use it in a plan.
    example: tuple[str, ...] = ("solar-orch --config-file examples/solar.conf run examples/plan.yaml",)
    #: Workers for which there are templates of their own; the command has an option for them.
    workers: tuple[str, ...] = ()
    #: Whether the part becomes a method of the tasks worker.
    is_task_type: bool = False

    def namespaces(self, part: str, worker: str) -> list[str]:
        """Where the part is registered under its own name."""
        return [namespace.format(part=part, worker=worker) for namespace in self.registers]

    def layers(self, worker: str) -> list[str]:
        """The directories of templates that make up a distribution; of the same file the last one counts."""
        return ["common", self.name, *([f"{self.name}-{worker}"] if self.workers else [])]


_KINDS = (
    Kind(
        "task-type",
        "a task type: waits until something answers at a TCP port",
        {table.TASK_TYPES: "ports:wait_for_port"},
        is_task_type=True,
    ),
    Kind(
        "driver",
        "a tasks driver: the types that ship, and one that writes files",
        {table.drivers("tasks"): "driver:Tasks"},
    ),
    Kind(
        "hook",
        "a construct hook of the worker {worker}: an audit of what has ended",
        {table.construct_hooks("{worker}"): "hook:audit"},
        workers=("tasks", "scheduler", "system_log"),
    ),
    Kind(
        "executor",
        "an executor: calls travel over UNIX sockets",
        {table.EXECUTORS: "executor"},
    ),
    Kind(
        "runner",
        "a runner: executors in greenlets, and news for systemd",
        {table.RUNNERS: "runner:run"},
        # `run` has its workers in its own process, and runs them itself.
        example=(
            "solar-worker --config-file examples/solar.conf  # and in another terminal:",
            "solar-orch --config-file examples/solar.conf create examples/plan.yaml",
            "solar-orch --config-file examples/solar.conf run-once last -w 30",
        ),
    ),
    Kind(
        "limit",
        "a limit: only a share of a plan's targets is touched at once",
        {table.LIMITS: "limit:Share"},
    ),
    Kind(
        "worker",
        "a worker: counts attempts for Prometheus",
        {
            table.EXTENSIONS: "parts:make_worker",
            table.CLIENTS: "parts:make_client",
            table.CONSTRUCTORS: "parts:construct",
            table.construct_hooks("tasks"): "hook:tell",
            table.drivers("{part}"): "driver:Metrics",
        },
    ),
)

#: By name.
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _KINDS}
