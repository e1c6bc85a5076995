"""The task type ``listens``: waits until something answers at a TCP port."""

from __future__ import annotations

import time

import gevent
from gevent import socket
from oslo_config import cfg
from solar_orch.errors import TaskError, Unrunnable
from solar_orch.workers.calls import Ctxt
from solar_orch.workers.task_types import conf, output

#: The version of the contracts that this was written for.  Leave it until you have read about a new one.
solar_orch_api = "1"

#: The section of the configuration with the options below.  Named as the package, it is nobody else's.
GROUP = "solar_orch_listens"

#: Seconds that one try may take: a host that is down does not even refuse.
CONNECT_TIMEOUT = 5.0


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options of this type; solar_orch registers them when it loads the type.

    Change: yours instead, or drop the function if there are none.
    """
    return [
        (
            GROUP,
            [
                cfg.FloatOpt(
                    "pause",
                    default=0.5,
                    min=0.01,
                    help="Seconds between two tries of tasks of type listens.",
                ),
            ],
        )
    ]


# Change: name and arguments.  What comes after ctxt is what a plan gives as args and kwargs; what does not
# fit ends the task with an error that shows these names, so that they are worth a thought.
def wait_for_port(
    ctxt: Ctxt, /, host: str, port: int, *, greeting: str = "", within: float = 60.0
) -> dict[str, object]:
    """Wait until something listens at a TCP port.

    :param greeting: what it must say first, or begin with; nothing if empty
    :param within: seconds after which it is given up
    :return: ``host``, ``port``, and the number of ``tries``
    :raises TaskError: if nothing has answered in time
    """
    check_arguments(host, port, within)
    if not isinstance(greeting, str):
        raise Unrunnable(f"greeting must be a text, not {greeting!r}")
    # Each attempt of a task has an output of its own; `solar-orch output` shows it, also while it runs.
    out = output(ctxt)
    pause = conf()[GROUP].pause
    deadline = time.monotonic() + within
    tries, told = 0, None
    # The loop waits in gevent only.  So other tasks go on meanwhile, and a kill, a time limit or the stop of
    # the worker reaches this one where it waits, as an exception that is no Exception.  Clean up in finally.
    while True:
        tries += 1
        seconds = min(CONNECT_TIMEOUT, max(0.1, deadline - time.monotonic()))
        problem = try_once(host, port, greeting, seconds)
        if problem is None:
            out.write(f"{host}:{port} answers, at try {tries}\n".encode())
            # The result: what can be written as JSON, for tasks that wait for this one.
            return {"host": host, "port": port, "tries": tries}
        if problem != told:
            out.write(f"{host}:{port}: {problem}\n".encode())
            told = problem
        left = deadline - time.monotonic()
        if left <= 0:
            # The error of the task.  If the plan gives it a retry, a further attempt is made.
            raise TaskError(f"{host}:{port} has not answered within {within:g} s: {problem}")
        # The last look is taken when the time is over, and not a pause before.
        gevent.sleep(min(pause, left))


def check_arguments(host: object, port: object, within: object) -> None:
    """See that what the plan gives makes sense.

    :raises Unrunnable: if it does not; unlike TaskError it says that a further attempt would be pointless
    """
    if not isinstance(host, str) or not host:
        raise Unrunnable(f"host must be a text, not {host!r}")
    if type(port) is not int or not 0 < port < 65536:
        raise Unrunnable(f"port must be a number from 1 to 65535, not {port!r}")
    if not isinstance(within, int | float) or not within >= 0:
        raise Unrunnable(f"within must be a number that is not negative, not {within!r}")


def try_once(host: str, port: int, greeting: str, seconds: float) -> str | None:
    """Connect, listen and hang up; what was not as it should be, or None if all was."""
    # gevent.socket and not socket: it waits without holding up other tasks.
    try:
        with socket.create_connection((host, port), timeout=seconds) as connection:
            said = heard(connection, len(greeting.encode()))
    except OSError as error:
        return error.strerror or str(error) or type(error).__name__
    if said == greeting.encode():
        return None
    return f"it says {said.decode(errors='replace')!r}, which is not {greeting!r}"


def heard(connection: socket.socket, size: int) -> bytes:
    """The first bytes that a server says; fewer if it hangs up."""
    said = b""
    while len(said) < size and (more := connection.recv(size - len(said))):
        said += more
    return said
