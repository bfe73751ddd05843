"""A link to a server on loopback that can be slow, be cut or stand still at a chosen byte, and be gone for good."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from tests.support.servers import Ssh

NEVER = 1 << 40
"""Bytes that no test carries."""


class Link:
    """A proxy for connections. Settings may be changed at any time.

    Attributes:
        port: where it listens.
        carried: bytes from the server that were passed on, over all connections.
        cut_at: cut every connection once so many bytes were carried; once.
        freeze_at: the same, but let them stand still: nothing is passed on, and nothing is closed.
        delay: seconds by which each piece of the server's is late.
        rate: bytes per second from the server, for each connection; None: as fast as it goes.
        refuse: close new connections at once.
        is_gone: new connections stand still, too.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self.port = 0
        self.carried = 0
        self.cut_at: int | None = None
        self.freeze_at: int | None = None
        self.delay = 0.0
        self.rate: float | None = None
        self.refuse = False
        self.is_gone = False
        self._open: set[asyncio.StreamWriter] = set()
        self._frozen: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Cut every connection now."""
        self.cut_at = None
        for writer in list(self._open):
            writer.transport.abort()

    def freeze(self) -> None:
        """Let every connection that is open now stand still."""
        self.freeze_at = None
        self._frozen |= self._open

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        if self.refuse:
            writer.transport.abort()
            return
        with suppress(OSError, asyncio.CancelledError):  # the loop ends what is left, and would report it
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target, limit=65536)
            ends = {writer, far_writer}
            self._open |= ends
            up = asyncio.ensure_future(self._carry(reader, far_writer, down=False))
            down = asyncio.ensure_future(self._carry(far_reader, writer, down=True))
            try:
                await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (up, down):
                    task.cancel()
                await asyncio.wait({up, down})
                self._open -= ends
                for end in ends:
                    end.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, down: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(4096):
                if down:
                    await self._take_time(len(data))
                    at, fault = self._next_fault()
                    if self.carried + len(data) >= at:
                        writer.write(data[: at - self.carried])
                        await writer.drain()
                        fault()
                        data = data[at - self.carried :]
                    self.carried += len(data)
                if self.is_gone or writer in self._frozen:
                    await asyncio.get_running_loop().create_future()
                writer.write(data)
                await writer.drain()

    async def _take_time(self, size: int) -> None:
        seconds = self.delay + (0.0 if self.rate is None else size / self.rate)
        if seconds:
            await asyncio.sleep(seconds)

    def _next_fault(self) -> tuple[int, Callable[[], None]]:
        if self.cut_at is not None:
            return self.cut_at, self.cut
        if self.freeze_at is not None:
            return self.freeze_at, self.freeze
        return NEVER, self.cut


@asynccontextmanager
async def linked(ssh: Ssh, directory: Path) -> AsyncIterator[tuple[Link, Ssh]]:
    """A link to an sshd, and how to reach that over it."""
    link = Link(ssh.port)
    server = await asyncio.start_server(link.serve, "127.0.0.1", 0)
    link.port = server.sockets[0].getsockname()[1]
    known_hosts = directory / "known_hosts_of_the_link"
    key = ssh.known_hosts.read_text().partition(" ")[2]
    known_hosts.write_text(f"[127.0.0.1]:{link.port} {key}")
    try:
        yield link, replace(ssh, port=link.port, known_hosts=known_hosts)
    finally:
        server.close()
        link.cut()
        await server.wait_closed()
