"""The pipes of a running program: its output as lines, its input with the methods that optio-host's callers use."""

from __future__ import annotations

from collections import deque
from contextlib import suppress

import trio

OUTPUT_LIMIT = 16 * 1024 * 1024
"""Bytes after which an output line that has not ended is handed out in parts."""


class OutputLines:
    r"""The output of a program in pieces that end with `\n`, if the program ends its lines.

    It is an iterator and no generator, so that a caller may stop reading at any time without cleanup.
    """

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self._stream = stream
        self._lines: deque[bytes] = deque()
        self._rest: list[bytes] = []
        self._size = 0

    def __aiter__(self) -> OutputLines:
        return self

    async def __anext__(self) -> bytes:
        while not self._lines:
            try:
                data = bytes(await self._stream.receive_some())
            except trio.ClosedResourceError:  # closed from our side: that is the end, too
                data = b""
            if not data and not self._size:
                raise StopAsyncIteration
            self._take(data)
        return self._lines.popleft()

    def _take(self, data: bytes) -> None:
        """Cut what arrived into lines; nothing is the end."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._lines.append(b"".join([*self._rest, line, b"\n"]))
            self._rest, self._size = [], 0
        self._rest.append(rest)
        self._size += len(rest)
        if not data or self._size > OUTPUT_LIMIT:
            self._lines.append(b"".join(self._rest))
            self._rest, self._size = [], 0


class InputWriter:
    """A program's stdin with the methods of an asyncio `StreamWriter` that optio's wrappers use."""

    def __init__(self, stream: trio.abc.SendStream) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self._closing = False

    def write(self, data: bytes) -> None:
        """Queue `data`; `drain` sends it."""
        if self._closing:
            raise BrokenPipeError("the program's input is closed")
        self._buffer += data

    async def drain(self) -> None:
        """Send what was written.

        Raises:
            BrokenPipeError: the program does not read any more.
        """
        data, self._buffer = bytes(self._buffer), bytearray()
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise BrokenPipeError("the program does not read any more") from error

    def close(self) -> None:
        """Take nothing more; `wait_closed` sends what is left and ends the input."""
        self._closing = True

    async def wait_closed(self) -> None:
        """Send what is left and end the input, so that the program sees its end. Idempotent."""
        self._closing = True
        try:
            with suppress(BrokenPipeError):
                if self._buffer:
                    await self.drain()
        finally:
            await trio.aclose_forcefully(self._stream)
