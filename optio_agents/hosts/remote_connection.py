"""Commands on a session's host over SSH, from Trio: `hosts.ssh.channels` called through the boundary."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from optio_agents.bridge.boundary import Boundary
from optio_agents.hosts.ssh.errors import ConnectionGone, HostFailed, HostGone
from optio_agents.hosts.userland import Userland

_FAREWELL = 2.0
"""Seconds to wait until the remote side confirms that a channel is closed."""

REPEATS = 5
"""How many times a step is repeated in a row because the connection was lost during it."""

OUTPUT_LIMIT = 1 << 20
"""The most bytes that one of our own small programs may print."""

__all__ = ["ConnectionGone", "HostFailed", "RemoteConnection", "RemoteProcess"]


class RemoteProcess:
    """A command that runs on the host. Bytes in, bytes out."""

    def __init__(self, command: Any, boundary: Boundary) -> None:
        self._command = command
        self._boundary = boundary

    async def receive(self, limit: int) -> bytes:
        """Wait for output, at most `limit` bytes of it; `b""` at its end.

        Raises:
            ConnectionGone: it was lost.
        """
        data: bytes = await self._boundary.call(self._command.stdout.read, limit, label="reading over SSH")
        return data

    async def stderr_excerpt(self) -> str:
        """What it wrote to its standard error (the beginning of it), once it has ended."""
        text: str = await self._boundary.call(self._command.stderr_excerpt, label="reading over SSH")
        return text

    async def status(self) -> int | None:
        """Wait until it has exited; its exit status, `None` from a server that tells none.

        Raises:
            ConnectionGone: it was lost before that was known.
        """
        status: int | None = await self._boundary.call(self._command.status, label="the end of a command")
        return status

    def write(self, data: bytes) -> None:
        """Write to its standard input. Bytes for a process that has ended are dropped."""
        self._command.write(data)


class RemoteConnection:
    """Runs small programs on the host, over any connection that is open.

    The driver neither connects nor disconnects a session's host. `hosts.ssh.channels` adds connections if the host's
    own is lost or takes no more commands, and closes them when nothing uses them.
    """

    def __init__(self, host: Any, boundary: Boundary) -> None:
        self._host = host
        self._boundary = boundary

    @asynccontextmanager
    async def start(self, program: str, label: str = "session") -> AsyncIterator[RemoteProcess]:
        """Run a command line (of `hosts.shell`) while the block runs; its standard input is closed at the end.

        If the connection is lost before it has begun, it is started again: it may be started twice.

        Raises:
            ConnectionGone: no connection could be made, or it was lost again and again.
            HostFailed: the host does not run our commands.
        """
        command = await self._open(f"exec {program}", label)
        try:
            yield RemoteProcess(command, self._boundary)
        finally:
            command.close()
            with trio.move_on_after(_FAREWELL, shield=True):
                await self._boundary.call(command.wait_closed, label="the end of a channel", grace=0.5)

    async def userland(self) -> Userland:
        """See `Channels.userland`."""
        from optio_agents.hosts.ssh.remote_host import channels_of

        userland: Userland = await self._boundary.call(
            channels_of(self._host).userland, label="a look at the host"
        )
        return userland

    async def _open(self, script: str, label: str) -> Any:
        from optio_agents.hosts.ssh.remote_host import channels_of

        attempt = 0
        while True:
            try:
                return await self._boundary.call(
                    channels_of(self._host).open, script, label, label="a remote process"
                )
            except HostGone:
                raise
            except ConnectionGone:
                attempt += 1
                if attempt > REPEATS:
                    raise

    async def run(self, program: str, label: str = "session") -> bytes:
        """Run a command line to its end and return its output; again, if the connection is lost meanwhile.

        Raises:
            ConnectionGone: no connection could be made, or it was lost meanwhile.
            HostFailed: the command failed, with its standard error as the text; or it printed too much.
        """
        for _ in range(REPEATS):
            try:
                return await self._run(program, label)
            except HostGone:
                raise
            except ConnectionGone:
                continue
        return await self._run(program, label)

    async def _run(self, program: str, label: str) -> bytes:
        async with self.start(program, label) as process:
            output = b""
            while data := await process.receive(64 * 1024):
                output += data
                if len(output) > OUTPUT_LIMIT:
                    raise HostFailed(f"the host answered with more than {OUTPUT_LIMIT:,} bytes")
            if await process.status() != 0:
                raise HostFailed(f"the remote shell failed: {await process.stderr_excerpt()}")
            return output
