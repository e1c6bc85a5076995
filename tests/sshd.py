"""A real ssh server on loopback, for the user of the tests, with keys and configuration of its own.

It is the system's OpenSSH sshd where one is installed that this user can
run, else a server made with asyncssh (``ssh_server.py``).  Nothing of the
system's configuration, and nothing in ``~/.ssh``, is touched.
"""

from __future__ import annotations

import contextlib
import getpass
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from harness import wait_until


class Sshd:
    """A server for one user.

    :param root: an empty directory
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.user = getpass.getuser()
        self.key = root / "id"
        self.known_hosts = root / "known_hosts"
        self.log = root / "log"
        for name in ("id", "host_key"):
            self._make_key(root / name)
        shutil.copy(root / "id.pub", root / "authorized_keys")
        (root / "ssh_config").touch()
        self.port = _free_port()
        self.trust(root / "host_key.pub")
        self._server = self._start()
        self._connections_before = 0

    def _start(self) -> subprocess.Popen[bytes]:
        sshd = self._openssh()
        self.is_openssh = sshd is not None
        program = Path(__file__).with_name("ssh_server.py")
        with self.log.open("wb") as log:
            return subprocess.Popen(
                sshd or [sys.executable, str(program), str(self.root), str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _openssh(self) -> list[str] | None:
        """The command that runs the system's sshd; None if there is none, or it does not run as it is."""
        path = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
        if path is None:
            return None
        settings = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": self.root / "host_key",
            "AuthorizedKeysFile": self.root / "authorized_keys",
            "PidFile": "none",
            "StrictModes": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
        }
        config = self.root / "sshd_config"
        config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        command = [path, "-f", str(config)]
        tried = subprocess.run([*command, "-t"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return [*command, "-D", "-e"] if tried.returncode == 0 else None

    def wait_until_it_listens(self) -> None:
        wait_until(lambda: self._server.poll() is not None or _listens(self.port), self.log.read_text)
        assert self._server.poll() is None, self.log.read_text()

    @staticmethod
    def _make_key(path: Path) -> None:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)

    def another_key(self) -> Path:
        """A key pair that nobody knows."""
        other = self.root / "other"
        if not other.exists():
            self._make_key(other)
        return other

    def trust(self, public: Path) -> None:
        """Have known_hosts say that this is the server's key."""
        kind, key, *_ = public.read_text().split()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    @property
    def options(self) -> dict[str, object]:
        """Options of ``[orchestration]`` with which it is reached."""
        return {
            "ssh_user": self.user,
            "ssh_port": self.port,
            "ssh_key": self.key,
            "ssh_known_hosts": self.known_hosts,
            "ssh_config_file": self.root / "ssh_config",
        }

    @property
    def connections(self) -> int:
        """How many have been let in since :meth:`begin`."""
        return self.log.read_text().count("Accepted publickey") - self._connections_before

    def begin(self) -> None:
        """Forget what was before."""
        wait_until(lambda: not self.commands(), lambda: f"the end of {self.commands()}")
        self._connections_before += self.connections
        self.trust(self.root / "host_key.pub")
        for name in ("waits", "gate"):
            (self.root / name).unlink(missing_ok=True)

    def commands(self) -> list[str]:
        """The command lines of what its clients have had it run and still runs."""
        found = []
        for process in self._begun():
            with contextlib.suppress(psutil.Error):
                found.append(" ".join(process.cmdline()))
        return found

    def _begun(self) -> list[psutil.Process]:
        """Told by their environment: what has lost its parent is found as well."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                connection = process.environ().get("SSH_CONNECTION", "")
                if process.status() != psutil.STATUS_ZOMBIE and connection.endswith(f".1 {self.port}"):
                    found.append(process)
        return found

    def _own(self) -> list[psutil.Process]:
        """Its own processes, the server apart: those of OpenSSH, for each connection."""
        begun = {process.pid for process in self._begun()}
        return [
            process
            for process in psutil.Process(self._server.pid).children(recursive=True)
            if process.pid not in begun and process.name().startswith("sshd")
        ]

    def cut(self) -> None:
        """Break all connections off."""
        if not self.is_openssh:
            self._server.send_signal(signal.SIGUSR1)
            return
        for process in self._own():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It answers nobody inside this, as a host that has hung."""
        held = [*self._own(), psutil.Process(self._server.pid)]
        for process in held:
            process.suspend()
        try:
            yield
        finally:
            for process in held:
                process.resume()

    def stop(self) -> None:
        """Kill it, and all that it has started."""
        for process in [*self._own(), *self._begun()]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._server.kill()
        self._server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def open_sshd() -> Iterator[Sshd]:
    """A server that is gone afterwards."""
    if shutil.which("ssh") is None:
        pytest.skip("there is no ssh client on this host")
    root = Path(tempfile.mkdtemp(prefix="solar-sshd-", dir="/tmp"))
    try:
        server = Sshd(root)
        try:
            server.wait_until_it_listens()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(root)
