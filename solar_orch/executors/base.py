"""The contract of an executor and its client.

An entry point in ``solar.orchestration.executors`` loads to an object
(most simply a module) with two attributes, ``Executor`` and ``Client``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from solar_orch.workers.calls import Ctxt

if TYPE_CHECKING:
    from solar_orch.workers.base import Worker


#: What a part with ``Executor`` and ``Client`` may promise beyond the contract, as a set of these names in
#: its attribute ``capabilities``; the conformance kit has each of them proven.
CAPABILITIES = {
    "ordered": "the calls of one client begin in the order in which they were made",
    "processes": "client and worker may be different processes of one host",
    "hosts": "client and worker may be on different hosts",
    "queued": "a call made while no worker is there is kept, and made when one comes",
}


@runtime_checkable
class Executor(Protocol):
    """Takes the calls of one worker and runs them.

    Made by the worker's constructor as ``Executor(worker, address)``, which
    opens no socket, file, thread or greenlet; :meth:`run` does.
    """

    worker: Worker
    address: str

    def run(self) -> None:
        """Serve until stopped; called by the runner in a greenlet (or process) of its own.

        Starts the worker's background functions, takes calls and runs each
        by ``worker.call(name, ctxt, args, kwargs, interruptible=...)``, at
        most ``pool_size`` at once; controls never wait for a slot.

        :raises AddressInUse: when the address is served by another process
        :raises AddressError: when the address must not be used
        :raises Exception: whatever else ends it; the process then ends with it
        """

    def stop(self, timeout: float) -> None:
        """Take no new calls, let running ones end, end background work; then :meth:`run` returns.

        Blocks until that is done.  Calls that still run after `timeout`
        seconds are ended by throwing ``Cancelled(Interrupted(...))`` into
        them.  May be called again with a shorter timeout while it blocks,
        and before :meth:`run` (which then returns at once).
        """

    # An executor may have `refuse()`: take no new calls from now on, and return at once; `stop` follows.
    # And `taking`: whether it does take calls; what has been taken, and is not admitted yet, asks for it.
    # And `forewarn()`: its turn to be stopped will come; `forewarned` says so to a worker that would
    # begin something new for others which are being stopped already.

    def kill(self, task_id: str, attempt: int | None = None, error: Exception | None = None) -> bool:
        """End the running call of this task by throwing ``Cancelled`` into it; does not wait.

        :param attempt: only this attempt; None means whichever runs here
        :param error: what the call ends with; ``Killed()`` when None
        :return: whether such a call runs here
        """


@runtime_checkable
class Client(Protocol):
    """Sends calls to the worker behind one address: ``client.method(ctxt, *args, **kwargs)``.

    Made as ``Client(address)``, which opens nothing; the first call does.
    A call is queued and returns None; that it returned does not say that it
    arrived.  Any attribute that is not of the class itself is a method.
    """

    address: str
    #: Seconds after which a call raises ``NoPeer``; set by whoever makes the client.
    send_timeout: float

    def __getattr__(self, method: str) -> Any: ...

    def close(self, timeout: float) -> int:
        """Send what is queued, for at most `timeout` seconds, and let go of everything.

        Never hangs and may be called twice.  Loses are logged.

        :return: number of calls that may be lost
        """


class Call(Protocol):
    """What ``client.method`` is."""

    def __call__(self, ctxt: Ctxt, *args: Any, **kwargs: Any) -> None:
        """Queue the call.

        :raises NoPeer: when nobody takes it within ``send_timeout`` seconds; never by an executor that is
            ``queued``, as long as that which keeps its calls can be reached
        :raises NotCarried: when its arguments cannot be sent
        """
