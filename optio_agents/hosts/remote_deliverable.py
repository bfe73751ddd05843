"""A deliverable on another machine: checked and read there by one program, resumed if the connection drops."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import trio

from optio_agents.hosts import shell
from optio_agents.hosts.base import WINDOW_LIMIT
from optio_agents.hosts.remote_connection import ConnectionGone, RemoteConnection, RemoteProcess
from optio_agents.protocol.rejections import DeliverableRejected, RejectionKind

HEADER_LIMIT = 4096
"""Bytes of the line with which the host describes a deliverable."""

ATTEMPTS = 5
"""How often a connection may be lost while one deliverable is read."""

OPENING = 5.0
"""Seconds after which the host stops trying to open a file: a FIFO that the agent put in its place blocks."""


class RemoteDeliverable:
    """Implements `hosts.base.OpenDeliverable`. Use as an asynchronous context manager: it opens on entry."""

    def __init__(
        self,
        connection: RemoteConnection,
        workdir: str,
        path: str,
        limit: int,
        pinned: str = "",
        beneath: str = "deliverables",
    ) -> None:
        self._connection = connection
        self._workdir = workdir
        self._path = path
        self._limit = limit
        self._pinned = pinned
        self._beneath = beneath
        self._identity = ""
        self._size = 0
        self._received = 0
        self._buffer = b""
        self._process: RemoteProcess | None = None
        self._lost = 0
        self._open = AsyncExitStack()

    @property
    def size(self) -> int:
        """Bytes, as of the check."""
        return self._size

    async def __aenter__(self) -> RemoteDeliverable:
        """Start the program on the host and read its header line."""
        try:
            while self._process is None:
                try:
                    await self._start(0)
                except ConnectionGone:
                    await self._count_loss()
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        """End the program."""
        await self._open.aclose()

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `hosts.base.OpenDeliverable.chunks`. May be called again; each call begins at the beginning."""
        if self._process is None or self._received:
            await self._start(0)
        while True:
            try:
                if self._received == self._size:
                    await self._check_unchanged()
                    return
                data = await self._receive()
            except ConnectionGone:
                await self._count_loss()
                continue
            if not data:
                detail = f"it shrank from {self._size:,} to {self._received:,} bytes while it was read"
                raise DeliverableRejected(RejectionKind.CHANGED, detail)
            self._received += len(data)
            yield data

    async def _check_unchanged(self) -> None:
        """Everything has come: hear whether it is one version of the file.

        Raises:
            ConnectionGone: the host did not say.
        """
        if self._process is None:
            await self._start(self._received)
        assert self._process is not None
        status = await self._process.status()
        if status == shell.CHANGED_STATUS:
            raise DeliverableRejected(RejectionKind.CHANGED, shell.CHANGED)
        if status != 0:
            raise ConnectionGone(f"reading a deliverable ended with status {status}")

    async def _receive(self) -> bytes:
        if self._process is None:
            await self._start(self._received)
        assert self._process is not None
        if self._buffer:
            data, self._buffer = self._buffer, b""
        else:
            data = await self._process.receive(WINDOW_LIMIT)
        return data[: self._size - self._received]

    async def _start(self, skip: int) -> None:
        await self._open.aclose()
        program = shell.read_deliverable(
            self._workdir,
            self._path,
            limit=self._limit,
            skip=skip,
            identity=self._identity,
            pinned=self._pinned,
            held=True,
            beneath=self._beneath,
        )
        process = await self._open.enter_async_context(self._connection.start(program, "read a deliverable"))
        answer = bytearray()
        with trio.move_on_after(OPENING) as opening:
            await _receive_header(process, answer)
        if opening.cancelled_caught:
            process.write(b"\n")
            try:
                await _receive_header(process, answer)
            except OSError as error:
                if answer:
                    raise
                detail = f"opening it took more than {OPENING:g} s"
                raise DeliverableRejected(RejectionKind.UNREADABLE, detail) from error
        line, _, self._buffer = bytes(answer).partition(b"\n")
        try:
            header = shell.parse_header(line)
        except ValueError as error:
            raise OSError(str(error)) from error
        if header.size > self._limit or (self._identity and header.size != self._size):
            raise OSError(f"the host announces {header.size:,} bytes, which it was asked to refuse")
        self._process, self._received = process, skip
        self._size, self._identity = header.size, header.identity

    async def _count_loss(self) -> None:
        """Note that the connection was lost; raise if that has happened too often."""
        self._process, self._buffer = None, b""
        await self._open.aclose()
        self._lost += 1
        if self._lost >= ATTEMPTS:
            raise ConnectionGone(f"the connection was lost {self._lost} times while {self._path!r} was read")


async def _receive_header(process: RemoteProcess, answer: bytearray) -> None:
    """Add to `answer` what the host sends, until it holds a whole line.

    Raises:
        OSError: it sends something else, or nothing more.
    """
    while b"\n" not in answer:
        data = await process.receive(WINDOW_LIMIT)
        if not data:
            raise OSError(f"the remote shell answered {bytes(answer)!r}: {await process.stderr_excerpt()}")
        answer += data
        if len(answer) > HEADER_LIMIT and b"\n" not in answer[:HEADER_LIMIT]:
            text = bytes(answer[:100])
            raise OSError(f"the host answered {text!r}..., which is no header of a deliverable")
