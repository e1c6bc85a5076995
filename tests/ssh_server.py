"""An ssh server for tests where no sshd is installed: it runs what a client with the right key asks for.

``python ssh_server.py DIRECTORY PORT``, with ``host_key`` and ``authorized_keys`` in the directory.  As
sshd does, it says on stderr whom it lets in, runs each command by a shell in a session of its own, and
closes its stdin when the connection goes.  On SIGUSR1 it breaks all connections off.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncssh

CONNECTIONS: set[asyncssh.SSHServerConnection] = set()


class Server(asyncssh.SSHServer):
    """One connection."""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def auth_completed(self) -> None:
        CONNECTIONS.add(self._connection)
        print("Accepted publickey", file=sys.stderr, flush=True)

    def connection_lost(self, exc: Exception | None) -> None:
        CONNECTIONS.discard(self._connection)


async def run(asked: asyncssh.SSHServerProcess[bytes]) -> None:
    """Run one command to its end."""
    (client, client_port), (server, port) = (
        asked.get_extra_info(end)[:2] for end in ("peername", "sockname")
    )
    variables = {
        "HOME": os.getcwd(),
        "PATH": "/usr/bin:/bin",
        "SSH_CONNECTION": f"{client} {client_port} {server} {port}",
    }
    child = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        asked.command or "",
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    # The exit code is to be sent before the channel closes, and it would close when both ends have said all.
    await asked.redirect(child.stdin, child.stdout, child.stderr, send_eof=False)
    gone = asyncio.ensure_future(asked.channel.wait_closed())
    gone.add_done_callback(lambda _: child.stdin and child.stdin.close())
    code = await child.wait()
    await asked.stdout.drain()
    await asked.stderr.drain()
    asked.exit(code if code >= 0 else 255)


async def main(directory: Path, port: int) -> None:
    """Serve until killed."""
    os.chdir(directory)
    await asyncssh.listen(
        "127.0.0.1",
        port,
        server_factory=Server,
        server_host_keys=["host_key"],
        authorized_client_keys="authorized_keys",
        process_factory=run,
        encoding=None,
    )
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGUSR1, lambda: [connection.abort() for connection in list(CONNECTIONS)]
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
