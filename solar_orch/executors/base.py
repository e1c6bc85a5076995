"""The contract of an executor and its client.

An entry point in ``solar.orchestration.executors`` loads to an object
(most simply a module) with two attributes, ``Executor`` and ``Client``.
:class:`solar_orch.testing.ExecutorConformance` tries all of it on any executor.

What is carried
    A call is a method's name, ``ctxt``, positional and named arguments.  Arguments and
    the values of ``ctxt`` may be ``None``, ``bool``, ``int`` (of 64 bits with a
    sign), ``float``, ``str`` (what UTF-8 can express), ``bytes``, and lists
    and maps of these, fifty deep.  The keys of maps, and the names of
    arguments, are ``str``, and any ``str`` will do.  A tuple may arrive as a list.
    What arrives is equal, of the same types, and shares nothing with what
    the caller gave.  Whatever else a client is given it either carries
    as well, or refuses with :class:`~solar_orch.errors.NotCarried`; an object
    that is not of these types and has no copy elsewhere, such as a function, it refuses.

What an executor does with a worker
    It uses ``name``, ``conf``, ``methods``, ``controls``, ``answers_unknown``,
    ``backgrounds``, ``ledger`` and ``call()`` of a
    :class:`~solar_orch.workers.base.Worker`.  A call of a name that is not in
    ``methods`` is dropped, unless the worker ``answers_unknown``; one whose name begins with
    ``_`` always is.  Nothing that arrives, however wrong it is, ends the executor.

How calls run
    In a greenlet each, of the thread that called ``run()``.  While they wait, others run:
    an executor and its client wait with gevent, or in threads of their own,
    whether the program is patched by gevent or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from solar_orch.workers.calls import Ctxt

if TYPE_CHECKING:
    from solar_orch.workers.base import Worker


#: What a part with ``Executor`` and ``Client`` may promise beyond the contract, as a set of these names in
#: its attribute ``capabilities``; the conformance kit has each of them proven.
CAPABILITIES = {
    "ordered": "the calls of one client begin, at one worker, in the order in which they were made",
    "processes": "client and worker may be different processes of one host",
    "hosts": "client and worker may be on different hosts",
    "queued": "a call made while no worker is there is kept, and made when one comes",
    "shared": "several workers may serve one address at once, and each call reaches one of them",
}


@runtime_checkable
class Executor(Protocol):
    """Takes the calls of one worker and runs them.

    Made by the worker's constructor as ``Executor(worker, address)``, which
    opens no socket, file, thread or greenlet; :meth:`run` does.
    """

    #: The worker that it was made for.
    worker: Worker
    #: The address that it was made for, as it was given; by this others find it in the database.
    address: str

    def run(self) -> None:
        """Serve until stopped; called by the runner in a greenlet (or process) of its own.

        Starts the worker's background functions, each as ``function(stopping)`` in a
        greenlet of its own, takes calls and runs each
        by ``worker.call(name, ctxt, args, kwargs, interruptible=...)``, at
        most ``worker.conf.orchestration.pool_size`` at once; controls never wait for a slot.

        ``interruptible(ctxt)`` makes the context in which the call can be
        ended, see :data:`solar_orch.workers.calls.Interruptible`: there
        ``Cancelled`` is thrown into it by :meth:`kill` and :meth:`stop`, and with
        ``ExecutionTimeout`` when ``ctxt["timelimit"]`` seconds have passed in
        it.  What is asked for before the call enters it happens there; what
        comes after it has left, when its outcome is being settled, is void.

        When a background function raises, running calls are interrupted, and this raises
        the same.  One that returns early is of no matter.

        :raises AddressInUse: when the address is served by another executor, which goes on; never by one
            that is ``shared``
        :raises AddressError: when the address must not be used
        :raises Exception: whatever else ends it; the process then ends with it
        """

    def stop(self, timeout: float) -> None:
        """Take no new calls, let running ones end, end background work; then :meth:`run` returns.

        Blocks until that is done.  Calls that still run after `timeout`
        seconds are ended by throwing ``Cancelled(Interrupted(...))`` into
        them, and settled before this returns.  Calls that wait for a slot
        are let go.  The worker's background functions are told to return when no
        call runs any more.  Afterwards the address is free, and no socket, thread or
        greenlet of the executor is left.  May be called again with a shorter timeout
        while it blocks, and before :meth:`run` (which then returns at once).
        """

    # An executor may have `refuse()`: take no new calls from now on, let those go that wait for a slot, and
    # return at once; `stop` follows.
    # And `taking`: whether it does take calls; what has been taken, and is not admitted yet, asks for it.
    # And `forewarn()`: its turn to be stopped will come; `forewarned` says so to a worker that would
    # begin something new for others which are being stopped already.

    def kill(self, task_id: str, attempt: int | None = None, error: Exception | None = None) -> bool:
        """End the running call of this task by throwing ``Cancelled`` into it; does not wait.

        Only the first to end a call is heard.  Controls are never ended so, though their ``ctxt`` may
        name the task; calls that wait for a slot are left to their claim.

        :param attempt: only this attempt; None means whichever runs here
        :param error: what the call ends with; ``Killed()`` when None
        :return: whether such a call runs here; false once its outcome is being settled
        """


@runtime_checkable
class Client(Protocol):
    """Sends calls to the worker behind one address: ``client.method(ctxt, *args, **kwargs)``.

    Made as ``Client(address)``, which opens nothing; the first call does.
    A call is queued and returns None; that it returned does not say that it
    arrived.  Any attribute that is not of the class itself is a method, but
    those whose names begin with ``_``, which raise ``AttributeError``.
    """

    address: str
    #: Seconds after which a call raises ``NoPeer``; set by whoever makes the client.
    send_timeout: float

    def __getattr__(self, method: str) -> Any: ...

    def close(self, timeout: float) -> int:
        """Send what is queued, for at most `timeout` seconds, and let go of everything.

        Never hangs and may be called twice.  Losses are logged.  A call made afterwards raises ``NoPeer``.

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
