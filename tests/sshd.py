"""A real sshd on loopback, as a user without rights, with keys and configuration of its own.

Where none is installed it is fetched from Debian's mirror, unpacked into a
cache and run from there: nothing is installed, and neither the system's sshd
nor ``~/.ssh`` is touched.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from harness import wait_until

#: Seconds that fetching it may take.
FETCH = 120

#: Who root runs it as: sshd needs a system set up for it only where it is root.
UID = 54321

_CACHE = Path(tempfile.gettempdir()) / f"solar-test-sshd-{os.geteuid()}"
_PACKAGES = ("openssh-server", "libwrap0", "libnss-wrapper")


@dataclass(frozen=True)
class Installed:
    """Where an sshd is, and with which environment it runs."""

    path: str
    env: dict[str, str]


def installed() -> Installed:
    """The system's sshd, or one of its own; skips the test if neither can be had."""
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is not None and os.geteuid() != 0:
        return Installed(found, {})
    fetched = _fetched()
    libraries = [str(path.parent) for path in fetched.glob("usr/lib/*/libwrap.so.0")]
    env = {"LD_LIBRARY_PATH": libraries[0]} if libraries and found is None else {}
    return Installed(found or str(fetched / "usr/sbin/sshd"), env)


def _fetched() -> Path:
    with contextlib.suppress(FileExistsError):
        _CACHE.mkdir(mode=0o755)
    if _CACHE.stat().st_uid != os.geteuid():
        pytest.skip(f"{_CACHE} belongs to somebody else")
    root = _CACHE / "root"
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            _fetch(_CACHE / "new")
            (_CACHE / "new").rename(root)
    return root


def _fetch(into: Path) -> None:
    shutil.rmtree(into, ignore_errors=True)
    try:
        with tempfile.TemporaryDirectory() as downloads:
            subprocess.run(["apt-get", "download", *_PACKAGES], cwd=downloads, check=True,
                           capture_output=True, timeout=FETCH)  # fmt: skip
            for package in Path(downloads).glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", package, into], check=True, capture_output=True)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"there is no sshd, and none can be had by apt-get download: {error}")


class Sshd:
    """A server for one user.

    :param root: an empty directory, which that user can enter
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.home.mkdir(mode=0o755)
        self.user = "remote" if os.geteuid() == 0 else getpass.getuser()
        self.key = root / "id"
        self.known_hosts = root / "known_hosts"
        self.config = root / "sshd_config"
        self.log = root / "sshd.log"
        for path in (self.key, self.home / "host_key"):
            self._make_key(path)
        shutil.copy(root / "id.pub", self.home / "authorized_keys")
        self.port = _free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self.trust(self.home / "host_key.pub")

    @staticmethod
    def _make_key(path: Path) -> None:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)

    def another_key(self) -> Path:
        """A key pair that nobody knows."""
        self._make_key(self.root / "other")
        return self.root / "other"

    def trust(self, public: Path) -> None:
        """Have known_hosts say that this is the server's key."""
        kind, key, *_ = public.read_text().split()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    @property
    def options(self) -> dict[str, object]:
        """Options of ``[orchestration]`` with which it is reached."""
        nothing = self.root / "ssh_config"
        nothing.touch()
        return {
            "ssh_user": self.user,
            "ssh_port": self.port,
            "ssh_key": self.key,
            "ssh_known_hosts": self.known_hosts,
            "ssh_config_file": nothing,
        }

    def start(self, *settings: str) -> None:
        """Start it, and wait until it listens."""
        self.config.write_text(
            "\n".join(
                (
                    f"Port {self.port}",
                    "ListenAddress 127.0.0.1",
                    f"HostKey {self.home}/host_key",
                    f"AuthorizedKeysFile {self.home}/authorized_keys",
                    "PidFile none",
                    "StrictModes no",
                    "PasswordAuthentication no",
                    "KbdInteractiveAuthentication no",
                    *settings,
                    "",
                )
            )
        )
        found = installed()
        env = {"PATH": "/usr/bin:/bin", **found.env}
        if os.geteuid() == 0:
            env |= self._as_another_user()
        with self.log.open("wb") as log:
            self._server = subprocess.Popen(
                [found.path, "-D", "-e", "-f", str(self.config)],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **({"user": UID, "group": UID, "extra_groups": []} if os.geteuid() == 0 else {}),
            )
        wait_until(lambda: self._server.poll() is not None or _listens(self.port), self.log.read_text)
        assert self._server.poll() is None, self.log.read_text()

    def _as_another_user(self) -> dict[str, str]:
        passwd, group = self.root / "passwd", self.root / "group"
        passwd.write_text(f"remote:x:{UID}:{UID}::{self.home}:/bin/sh\n")
        group.write_text(f"remote:x:{UID}:\n")
        for path in (self.home, *self.home.iterdir()):
            os.chown(path, UID, UID)
        [wrapper] = _fetched().glob("usr/lib/*/libnss_wrapper.so")
        return {
            "LD_PRELOAD": str(wrapper),
            "NSS_WRAPPER_PASSWD": str(passwd),
            "NSS_WRAPPER_GROUP": str(group),
        }

    @property
    def connections(self) -> int:
        """How many have been let in so far."""
        return self.log.read_text().count("Accepted publickey")

    def commands(self) -> list[str]:
        """The command lines of what runs below it now, its own processes apart."""
        return [line for line in self._below() if not line.startswith("sshd")]

    def sessions(self) -> Sequence[str]:
        """Its own processes, the server apart: one for each connection."""
        return [line for line in self._below() if line.startswith("sshd")]

    def _below(self) -> list[str]:
        """By their environment: what has lost its parent is found as well."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                lives = process.status() != psutil.STATUS_ZOMBIE
                is_server = self._server is not None and process.pid == self._server.pid
                if lives and not is_server and self._is_ours(process):
                    found.append(" ".join(process.cmdline()))
        return found

    def _is_ours(self, process: psutil.Process) -> bool:
        if process.environ().get("SSH_CONNECTION", "").endswith(f" 127.0.0.1 {self.port}"):
            return True
        return self._server is not None and any(one.pid == self._server.pid for one in process.parents())

    def cut(self) -> None:
        """Kill the processes of all connections."""
        assert self._server is not None
        for process in psutil.Process(self._server.pid).children(recursive=True):
            if process.name() == "sshd":
                process.kill()

    def stop(self) -> None:
        """Kill it, and all that it has started."""
        if self._server is None:
            return
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.pid != self._server.pid and self._is_ours(process):
                    process.kill()
        self._server.send_signal(signal.SIGKILL)
        self._server.wait()
        self._server = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def open_sshd(*settings: str) -> Iterator[Sshd]:
    """A server that is gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix="solar-sshd-", dir="/tmp"))
    root.chmod(0o755)
    server = Sshd(root)
    try:
        server.start(*settings)
        yield server
    finally:
        server.stop()
        shutil.rmtree(root)
