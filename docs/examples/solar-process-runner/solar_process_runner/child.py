"""One worker in a process of its own, seen from its parent and from within."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, NoReturn

import gevent.os
from gevent import monkey

from solar_orch.cli.worker import leave
from solar_orch.errors import ExitCode, SolarError
from solar_orch.runners import gevent as greenlets

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.executors.base import Executor

LOG = logging.getLogger(__name__)

#: Of prctl(2): the signal that a process gets when its parent dies.
_PR_SET_PDEATHSIG = 1
#: Bytes of what a child says of its end; less than a pipe holds.
_MOST_SAID = 4096

#: The parent does not run gevent's loop, which would else be told of each child.
_waitpid = monkey.get_original("os", "waitpid")


class Child:
    """A worker's process; to make one begins it.

    :param blocked: the signals that the parent has blocked, and a child must not
    """

    def __init__(self, name: str, executor: Executor, conf: cfg.ConfigOpts, blocked: Collection[int]) -> None:
        self.name = name
        #: How it has ended, as :func:`os.waitpid` tells; None while it runs.
        self.status: int | None = None
        parent = os.getpid()
        self._said, writing = os.pipe()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # what waits there would be written twice
        self.pid = gevent.os.fork_gevent()
        if self.pid == 0:
            os.close(self._said)
            _serve(name, executor, conf, blocked, parent, writing)
        os.close(writing)
        os.set_blocking(self._said, False)
        LOG.info("%s runs as process %d", name, self.pid)

    def has_ended(self) -> bool:
        """Whether it has ended; does not wait."""
        if self.status is None:
            pid, status = _waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
        return self.status is not None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if not self.has_ended():
            os.kill(self.pid, number)

    @property
    def code(self) -> int:
        """Its exit code; negative for the number of the signal that has ended it."""
        assert self.status is not None
        return os.waitstatus_to_exitcode(self.status)

    def epitaph(self) -> str:
        """How it has ended, and what it has said of that; once."""
        try:
            said = os.read(self._said, _MOST_SAID).decode(errors="replace")
        except BlockingIOError:  # something that it has started holds the other end
            said = ""
        os.close(self._said)
        how = f"exit code {self.code}" if self.code >= 0 else f"signal {_name_of(-self.code)}"
        return f"{how}: {said}" if said else how


def _name_of(number: int) -> str:
    """Of a signal; those for real time have none, and the number is told."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _serve(
    name: str, executor: Executor, conf: cfg.ConfigOpts, blocked: Collection[int], parent: int, said: int
) -> NoReturn:
    """Be the child: run one executor in greenlets, as the runner gevent does, and end the process."""
    code: int = ExitCode.FAILURE
    try:
        # A terminal's Ctrl-C reaches the parent alone, which knows the order.
        os.setpgid(0, 0)
        _die_with(parent)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)
        greenlets.run({name: executor}, conf)
        code = ExitCode.OK
    except SolarError as error:
        code = error.exit_code
        _say(said, str(error))
    except BaseException as error:
        _say(said, f"{type(error).__name__}: {error}")
    finally:
        leave(code)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies.

    A signal that asks it to stop would leave it holding its address for as long as it drains, and
    whoever is started in place of the parent would find that in use.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL)) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # it has died already
        os.kill(os.getpid(), signal.SIGKILL)


def _say(pipe: int, text: str) -> None:
    os.write(pipe, " ".join(text.split()).encode(errors="replace")[:_MOST_SAID])
