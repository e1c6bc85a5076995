"""What the shell is told when somebody presses the key that completes a word.

Nothing is said where nothing can be found out, and no database is made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import BashComplete, CompletionItem

if TYPE_CHECKING:
    from solar_orch.api.orchestrator import Orchestrator

#: Plans, and tasks, that are offered at most.
_PLANS = 50
_TASKS = 1000


class ColonBash(BashComplete):
    """bash, which takes the colon in a uid for the end of a word, and wants what comes after it alone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: What bash has of the word already.
        self._there = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before, and the one that is to be completed, as they were typed."""
        args, incomplete = super().get_completion_args()
        words = _joined([*args, incomplete])
        if incomplete == ":":
            self._there = words[-1]
        elif args[-1:] == [":"]:
            self._there = words[-1].removesuffix(incomplete)
        return words[:-1], words[-1]

    def format_completion(self, item: CompletionItem) -> str:
        """Without what bash has already."""
        item.value = item.value.removeprefix(self._there)
        return super().format_completion(item)


def _joined(words: Sequence[str]) -> list[str]:
    """`words`, in which those with a colon between them are one."""
    joined: list[str] = []
    for place, word in enumerate(words):
        if joined and ":" in (word, words[place - 1]):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def complete_uid(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The uids of plans, the latest first, and ``last``."""
    latest = [CompletionItem("last")] if "last".startswith(incomplete) else []
    return _asked(
        ctx,
        lambda orchestrator: [*latest, *map(CompletionItem, orchestrator.uids(incomplete, _PLANS))],
    )


def complete_task(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of the tasks of the plan that stands before."""
    # An option that waits for its value keeps click from giving arguments their names.
    uid = ctx.params.get("uid") or next(iter(ctx.args), None)
    if uid is None:
        return []
    return _asked(
        ctx,
        lambda orchestrator: list(map(CompletionItem, orchestrator.task_names(uid, incomplete, _TASKS))),
    )


def complete_plan_file(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files, which the shell finds itself."""
    return [CompletionItem(incomplete, type="file")]


def complete_plan(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files, and the uids of plans."""
    return [*complete_plan_file(ctx, param, incomplete), *complete_uid(ctx, param, incomplete)]


def complete_namespace(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The namespaces of parts, without the prefix that all of them have unless that is begun."""
    with contextlib.suppress(Exception):
        from solar_orch import plugins
        from solar_orch.contracts.table import PREFIX, read_by_hosts

        known = sorted({*read_by_hosts(plugins.names(plugins.EXTENSIONS)), *plugins.namespaces()})
        offered = [name.removeprefix(PREFIX) for name in known]
        if incomplete:
            offered += known
        return [CompletionItem(name) for name in offered if name.startswith(incomplete)]
    return []


def complete_part(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names that are registered in the namespace that stands before."""
    namespace = ctx.params.get("namespace") or next(iter(ctx.args), None)
    if namespace is None:
        return []
    with contextlib.suppress(Exception):
        from solar_orch import plugins
        from solar_orch.contracts.table import PREFIX

        names = plugins.names(PREFIX + namespace.removeprefix(PREFIX))
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return []


def _asked(ctx: click.Context, ask: Callable[[Orchestrator], list[CompletionItem]]) -> list[CompletionItem]:
    # Whatever is wrong is said when the command is run: here it would spoil the line that is typed.
    with contextlib.suppress(Exception), _orchestrator(ctx) as orchestrator:
        return ask(orchestrator) if orchestrator.store.database.path.exists() else []
    return []


@contextlib.contextmanager
def _orchestrator(ctx: click.Context) -> Iterator[Orchestrator]:
    from solar_orch.cli.arguments import App

    # Nothing has been run, so that there is no App yet.
    files, directories = _configuration(ctx)
    app = App(files, directories)
    try:
        yield app.orchestrator
    finally:
        app.close()


def _configuration(ctx: click.Context) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What was given to the group, wherever that is mounted."""
    parent: click.Context | None = ctx
    while parent is not None:
        if "config_files" in parent.params:
            return parent.params["config_files"], parent.params["config_dirs"]
        parent = parent.parent
    return (), ()
