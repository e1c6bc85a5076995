"""A worker that notes its calls, for tests of what calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from gevent.event import Event

from solar_orch.errors import Rejected
from solar_orch.workers.base import Worker
from solar_orch.workers.calls import Cancelled, Ctxt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oslo_config import cfg


class Outcomes:
    """A :class:`~solar_orch.workers.calls.Ledger` that remembers, and that can be made to wait."""

    def __init__(self) -> None:
        self.admitted: list[Ctxt] = []
        #: Context, result and error of each call that has ended.
        self.settled: list[tuple[Ctxt, Any, BaseException | None]] = []
        self.may_admit = Event()
        self.may_settle = Event()
        #: How many calls have come to be settled.
        self.settling = 0
        self.release()

    def admit(self, ctxt: Ctxt) -> None:
        """Note it; wait until ``may_admit``.

        :raises Rejected: if the context asks for it by ``refuse``
        """
        self.admitted.append(ctxt)
        self.may_admit.wait()
        if ctxt.get("refuse"):
            raise Rejected("as the test wants it")

    def settle(self, ctxt: Ctxt, result: Any, error: BaseException | None) -> bool:
        """Wait until ``may_settle``; note it."""
        self.settling += 1
        self.may_settle.wait()
        self.settled.append((ctxt, result, error))
        return True

    def record_kill(self, task_id: str, attempt: int | None, reason: str) -> None:
        """Nothing: whoever kills here does so directly."""

    def release(self) -> None:
        """Let calls through."""
        self.may_admit.set()
        self.may_settle.set()

    @property
    def errors(self) -> list[BaseException | None]:
        """What each call ended with."""
        return [error for _, _, error in self.settled]


class Recorder(Worker):
    """Notes its calls in the order in which they begin.

    :param conf: configuration with the group ``[orchestration]``
    :param journal: a file to which each call of ``note`` and ``probe`` is added as a line of JSON, for
        when the worker is in another process
    """

    name: ClassVar[str] = "recorder"
    controls: ClassVar[frozenset[str]] = frozenset({"ping", "probe", "shout", "kill"})

    def __init__(self, conf: cfg.ConfigOpts, journal: Path | None = None) -> None:
        super().__init__(conf, {})
        # Not the one that records in the database that the worker is up.
        self.backgrounds.clear()
        self.ledger = self.outcomes = Outcomes()
        #: Positional and named arguments of the calls of ``note`` and ``hold``, and the contexts.
        self.seen: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.contexts: list[Ctxt] = []
        #: Arguments of the calls of ``shout``.
        self.shouted: list[tuple[Any, ...]] = []
        self.probed: set[str] = set()
        #: What ``kill`` got to hear, when it has gone on afterwards.
        self.kills: list[bool] = []
        #: The names that the executor has asked for.
        self.asked: list[str] = []
        #: What was called though it is no public method.
        self.trespasses: list[str] = []
        #: Lets all calls of ``hold`` return.
        self.release = Event()
        self.running = 0
        self.peak = 0
        #: What was thrown into calls of ``resist``, which took no notice.
        self.ignored: list[Exception] = []
        #: What can be called, but is no method.
        self.callable_attribute = lambda *args, **kwargs: self.trespasses.append("callable_attribute")
        self._journal = journal

    def call(
        self,
        method: str,
        ctxt: Ctxt,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """As every worker's; notes which name was asked for."""
        self.asked.append(method)
        super().call(method, ctxt, args, kwargs, **options)

    def note(self, ctxt: Ctxt, /, *args: Any, **kwargs: Any) -> str:
        """Return at once."""
        self.seen.append((args, kwargs))
        self.contexts.append(ctxt)
        self._write({"note": args})
        return "noted"

    def hold(self, ctxt: Ctxt, /, *args: Any) -> str:
        """Run until released."""
        self.seen.append((args, {}))
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            self.release.wait()
        finally:
            self.running -= 1
        return "released"

    def resist(self, ctxt: Ctxt, times: int) -> str:
        """Run until released, and take no notice of so many signals."""
        self.running += 1
        while True:
            try:
                self.release.wait()
                return "released"
            except Cancelled as signal:
                self.ignored.append(signal.error)
                if len(self.ignored) > times:
                    raise

    def shout(self, ctxt: Ctxt, /, *args: Any) -> None:
        """A control."""
        self.shouted.append(args)

    def probe(self, ctxt: Ctxt, token: str) -> None:
        """A control that says that calls arrive."""
        self.probed.add(token)
        self._write({"probe": token})

    def kill(self, ctxt: Ctxt) -> None:
        """A control: end the call of the task that its own context names; go on afterwards."""
        assert self.executor is not None
        found = self.executor.kill(ctxt["task_id"])
        # Were it meant itself, it would be ended here.
        Event().wait(0.02)
        self.kills.append(found)

    def _private(self, ctxt: Ctxt, /, *args: Any) -> None:
        self.trespasses.append("_private")

    def _write(self, line: dict[str, Any]) -> None:
        if self._journal is not None:
            with self._journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
