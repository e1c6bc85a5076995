"""The guard of a worker's commands: a process that ends them when the worker cannot.

One stands beside each worker process that runs commands.  It ends

- all of them when the worker is gone, however it went;
- all of them when the worker, having given signs of life, gives none for
  too long: it hangs or is stopped, and others will take up its attempts;
- those of one attempt when somebody asks for it who is to run it again.

It is small and waits in ``poll`` (standard library only, neither gevent nor
the parts of a worker), ignores the signals that stop a worker, and ends with
its worker, when all that it guards is dead or has been given up.

The worker, and each command before it is one, writes lines to a pipe:

    + SERIAL SESSION TOKEN ATTEMPT    a command begins
    - SERIAL                          it has ended
    b SECONDS                         a sign of life; the next will come within so long

The guard writes to another, before it sends a signal to a living session:

    x SERIAL REASON                   it is ended here: GONE, LAPSED or REPLACED

Whoever connects to its socket, an abstract one that tells the user of its
peer, may write one line, and gets ``dead`` or ``left`` when it is known:

    end TOKEN ATTEMPT                 end this task's attempts up to that one
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from solar_orch.workers.session import GRACE, Ending

LOG = logging.getLogger(__name__)

#: Why the guard ends something.
GONE = "gone"
LAPSED = "lapsed"
REPLACED = "replaced"

CAUSES = {
    GONE: "the worker is gone",
    LAPSED: "the worker gave no sign of life for too long",
    REPLACED: "another attempt takes its place",
}

DEAD = b"dead\n"
LEFT = b"left\n"

#: Process guards that one process may have and be asked.
SEATS = 8
#: Bytes of the longest line that is understood.
LINE_LIMIT = 4096

#: Clients that are served at once; others wait to be accepted.
CLIENTS = 64
#: Seconds after which a client is dropped that has not said what it wants.
_IDLE = 30.0
#: Seconds that a child which the worker was about to make a command has to register, or to end.
_LINGER = 3.0
#: Attempts of which it is remembered that they are not to begin any more.
_FENCES = 4096

_TOKEN_LIMIT = 64
_CHUNK = 64 * 1024
_UCRED = struct.Struct("3i")
_IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE)
_LISTENER = 3


# -- what both sides say -------------------------------------------------------


def address(instance: str, seat: int) -> bytes:
    """Where a guard of that process listens."""
    return b"\0solar-guard/%s/%d" % (instance.encode("ascii", "replace"), seat)


def is_same_user(peer: socket.socket) -> bool:
    """Whether the other side of a connection belongs to the user of this process."""
    _, uid, _ = _UCRED.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return bool(uid == os.geteuid())


class Lines:
    """Puts lines together from what is read; keeps no more than a line's limit."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete now, those too long excepted."""
        *lines, rest = (self._rest + data).split(b"\n")
        # One byte more than the limit, so that what is cut off cannot pass for a line.
        self._rest = rest[: LINE_LIMIT + 1]
        return [line for line in lines if len(line) <= LINE_LIMIT]


# -- the process ---------------------------------------------------------------


def main(worker: int) -> None:
    """Guard the commands of the process `worker`, this one's parent; returns when nothing is left to do.

    Descriptor 0 is the pipe to be read, 1 that to be written, 3 the listening socket.
    """
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    _close_what_is_not_ours()
    os.chdir("/")
    with contextlib.suppress(OSError), open("/proc/self/comm", "w") as name:
        name.write("solar-guard")
    logging.basicConfig(handlers=[_Stderr()], format=f"solar-guard of process {worker}: %(message)s")
    for descriptor in (0, 1, _LISTENER):
        os.set_blocking(descriptor, False)
    Guard(0, 1, socket.socket(fileno=_LISTENER), _pidfd(worker)).run()


def _close_what_is_not_ours() -> None:
    for entry in os.listdir("/proc/self/fd"):
        if int(entry) > _LISTENER:
            with contextlib.suppress(OSError):  # that of the listing is closed already
                os.close(int(entry))


def _pidfd(worker: int) -> int | None:
    """Readable when the worker is gone; None if the system has none, or it is gone already."""
    try:
        pidfd = os.pidfd_open(worker)
    except OSError:
        return None
    if os.getppid() == worker:
        return pidfd
    os.close(pidfd)
    return None


class _Stderr(logging.Handler):
    """Writes to stderr, which may be a pipe that nobody reads: rather nothing than waiting for that."""

    def emit(self, record: logging.LogRecord) -> None:
        line = (self.format(record) + "\n").encode("utf-8", "replace")[: select.PIPE_BUF]
        poll = select.poll()
        poll.register(2, select.POLLOUT)
        with contextlib.suppress(OSError):
            if any(event & select.POLLOUT for _, event in poll.poll(0)):
                os.write(2, line)


# -- what is guarded -----------------------------------------------------------


@dataclass
class _Command:
    session: int
    token: str
    attempt: int
    #: When it was registered, ``time.monotonic()``.
    since: float
    #: Ended for want of a sign of life once, and not a second time.
    lapsed: bool = False
    #: The worker has seen it end while the guard was ending it.
    over: bool = False


@dataclass
class _Client:
    socket: socket.socket
    since: float
    lines: Lines = field(default_factory=Lines)
    received: int = 0
    #: Token and attempt up to which all is to be ended; None until it has said so.
    wanted: tuple[str, int] | None = None
    waits_for: set[int] = field(default_factory=set)
    answer: bytes = DEAD

    def wants(self, command: _Command) -> bool:
        """Whether it waits for the end of that."""
        return self.wanted is not None and _is_meant(command, *self.wanted)


def _is_meant(command: _Command, token: str, attempt: int) -> bool:
    return command.token == token and command.attempt <= attempt


class Guard:
    """The guard's loop; nothing in it blocks but the one ``poll``.

    :param pipe: descriptor to read what the worker says, non-blocking
    :param notices: descriptor to write to the worker, non-blocking
    :param listener: for who wants an attempt ended, non-blocking
    :param worker: descriptor that can be read when the worker is gone.  The
        pipe's end says so as well, but only when nobody else holds it: not a
        process that the worker has forked.
    """

    def __init__(self, pipe: int, notices: int, listener: socket.socket, worker: int | None) -> None:
        self._pipe = pipe
        self._notices = notices
        self._listener = listener
        self._worker = worker
        self._lines = Lines()
        self._commands: dict[int, _Command] = {}
        self._clients: dict[int, _Client] = {}
        self._fences: dict[str, int] = {}
        #: What is being ended: why, by session; said once it proves to be alive.
        self._ending = Ending(self._announce)
        self._reasons: dict[int, tuple[int, str]] = {}
        self._announced: dict[str, list[str]] = {}
        self._fence_after: float | None = None
        self._beat = 0.0
        self._ended = False
        self._gone_at: float | None = None
        self._accept_at = 0.0

    def run(self) -> None:
        """Serve until the worker is gone and nothing of what it began is left that could be ended."""
        while not self._is_done():
            ready = self._wait()
            # Before the pipe is read: a sign of life given in time must not be judged late.
            now = time.monotonic()
            self._read_pipe()
            if self._worker is not None and self._worker in ready:
                self._worker = None
                self._worker_is_gone()
            if self._listener.fileno() in ready:
                self._accept()
            for descriptor in ready & self._clients.keys():
                self._hear(self._clients[descriptor])
            self._judge(now)
            self._step()
            self._answer(now)
        self._refuse()

    def _is_done(self) -> bool:
        if self._gone_at is None or self._ending:
            return False
        # What holds the pipe now is about to become a command, and says so first; or it never will.
        return self._ended or time.monotonic() >= self._gone_at + _LINGER

    def _wait(self) -> set[int]:
        poll = select.poll()
        for descriptor in self._watched():
            poll.register(descriptor, select.POLLIN)
        due = min(self._due(), default=None)
        milliseconds = None if due is None else max(math.ceil((due - time.monotonic()) * 1000), 0)
        return {descriptor for descriptor, _ in poll.poll(milliseconds)}

    def _watched(self) -> Iterator[int]:
        if not self._ended:
            yield self._pipe
        if self._worker is not None:
            yield self._worker
        if len(self._clients) < CLIENTS and time.monotonic() >= self._accept_at:
            yield self._listener.fileno()
        for descriptor, client in self._clients.items():
            if client.wanted is None:
                yield descriptor

    def _due(self) -> Iterator[float]:
        """The times when there is something to do though nobody says anything."""
        now = time.monotonic()
        if self._ending:
            yield now + self._ending.pause
        elif self._gone_at is not None:
            yield self._gone_at + _LINGER
        if self._accept_at > now:
            yield self._accept_at
        for client in self._clients.values():
            if client.wanted is None:
                yield client.since + _IDLE
        for command in self._commands.values():
            if self._fence_after is not None and not command.lapsed:
                yield self._lapses_at(command, self._fence_after)

    # -- what the worker says ----------------------------------------------------

    def _read_pipe(self) -> None:
        while not self._ended:
            try:
                data = os.read(self._pipe, _CHUNK)
            except BlockingIOError:
                return
            for line in self._lines.feed(data):
                self._obey(line)
            if not data:
                self._ended = True
                self._worker_is_gone()

    def _obey(self, line: bytes) -> None:
        try:
            match line.decode("ascii").split(" "):
                case ["+", serial, session, token, attempt]:
                    self._begin(int(serial), int(session), token, int(attempt))
                case ["-", serial]:
                    self._forget(int(serial))
                case ["b", seconds]:
                    self._take_beat(float(seconds))
                case _:
                    raise ValueError(line)
        except ValueError:
            LOG.warning("not understood: %r", line[:80])

    def _begin(self, serial: int, session: int, token: str, attempt: int) -> None:
        if not 1 < session < 2**31 or session == os.getsid(0):
            raise ValueError(session)
        command = _Command(session, token, attempt, time.monotonic())
        self._commands[serial] = command
        if self._gone_at is not None:
            self._end(serial, GONE)
        elif token in self._fences and attempt <= self._fences[token]:
            # It was under way when its end was asked for, and has hardly begun.
            self._end(serial, REPLACED, grace=0.0)
            for client in self._clients.values():
                if client.wants(command):
                    client.waits_for.add(session)

    def _forget(self, serial: int) -> None:
        command = self._commands.get(serial)
        if command is None:
            return
        if command.session in self._ending:
            command.over = True
        else:
            del self._commands[serial]

    def _take_beat(self, seconds: float) -> None:
        if not (math.isfinite(seconds) and seconds > 0):
            raise ValueError(seconds)
        self._fence_after = seconds
        self._beat = time.monotonic()

    # -- ending --------------------------------------------------------------------

    def _worker_is_gone(self) -> None:
        if self._gone_at is None:
            self._gone_at = time.monotonic()
            for serial in self._commands:
                self._end(serial, GONE)

    def _judge(self, now: float) -> None:
        """End what has had no sign of life of its worker for too long."""
        if self._fence_after is None:
            return
        for serial, command in self._commands.items():
            if not command.lapsed and now >= self._lapses_at(command, self._fence_after):
                command.lapsed = True
                self._end(serial, LAPSED, grace=min(GRACE, self._fence_after / 10))

    def _lapses_at(self, command: _Command, fence_after: float) -> float:
        # That it was begun is a sign of life too.
        return max(self._beat, command.since) + fence_after

    def _end(self, serial: int, reason: str, grace: float = GRACE) -> None:
        session = self._commands[serial].session
        self._reasons.setdefault(session, (serial, reason))
        self._ending.begin(session, grace=grace)

    def _announce(self, session: int) -> None:
        """Tell the worker, as far as there is one, that it is not by itself that this one ends."""
        serial, reason = self._reasons[session]
        self._announced.setdefault(reason, []).append(str(session))
        with contextlib.suppress(OSError):
            os.write(self._notices, b"x %d %s\n" % (serial, reason.encode()))

    def _step(self) -> None:
        if not self._ending or self._ending.pause > 0:
            return
        for session, is_dead in self._ending.step().items():
            serial, _ = self._reasons.pop(session)
            command = self._commands.get(serial)
            if command is not None and (is_dead or command.over):
                del self._commands[serial]
            for client in self._clients.values():
                if session in client.waits_for:
                    client.waits_for.remove(session)
                    client.answer = client.answer if is_dead else LEFT
        for reason, sessions in self._announced.items():
            LOG.warning("%s: ending what it started, session %s", CAUSES[reason], ", ".join(sessions))
        self._announced.clear()

    # -- who asks --------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            LOG.warning("a request cannot be taken: %s", error)
            self._accept_at = time.monotonic() + 1.0
            return
        if not is_same_user(connection):
            connection.close()
            return
        connection.setblocking(False)
        self._clients[connection.fileno()] = _Client(connection, time.monotonic())

    def _hear(self, client: _Client) -> None:
        try:
            data = client.socket.recv(LINE_LIMIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        client.received += len(data)
        lines = client.lines.feed(data)
        try:
            if not lines:
                if data and client.received <= LINE_LIMIT:
                    return
                raise ValueError(data)
            verb, token, attempt = lines[0].decode("ascii").split(" ")
            if verb != "end" or len(token) > _TOKEN_LIMIT:
                raise ValueError(verb)
            self._end_attempts(client, token, int(attempt))
        except ValueError:
            self._drop(client)

    def _refuse(self) -> None:
        """From now on nobody is to wait for an answer, even if a fork of the worker holds the socket open."""
        self._listener.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            while True:
                self._listener.accept()[0].close()

    def _end_attempts(self, client: _Client, token: str, attempt: int) -> None:
        # Who has registered by now must be among them.
        self._read_pipe()
        client.wanted = (token, attempt)
        self._fence(token, attempt)
        for serial, command in self._commands.items():
            if client.wants(command):
                client.waits_for.add(command.session)
                self._end(serial, REPLACED)

    def _fence(self, token: str, attempt: int) -> None:
        attempt = max(attempt, self._fences.pop(token, attempt))
        self._fences[token] = attempt
        if len(self._fences) > _FENCES:
            del self._fences[next(iter(self._fences))]

    def _answer(self, now: float) -> None:
        for client in list(self._clients.values()):
            if client.wanted is None:
                if now >= client.since + _IDLE:
                    self._drop(client)
            elif not client.waits_for:
                try:
                    client.socket.send(client.answer)
                except OSError as error:
                    LOG.debug("nobody waits for the answer: %s", error)
                self._drop(client)

    def _drop(self, client: _Client) -> None:
        del self._clients[client.socket.fileno()]
        client.socket.close()


def command_line(executable: str, root: str, worker: int) -> Sequence[str]:
    """What starts a guard.

    :param root: directory that holds the package; searched last, after the standard library
    """
    program = (
        "import sys; sys.path.append(sys.argv[1]); "
        "from solar_orch.workers.guard import main; main(int(sys.argv[2]))"
    )
    # Without site: what an environment's .pth files do takes time and memory.
    return [executable, "-S", "-P", "-c", program, root, str(worker)]
