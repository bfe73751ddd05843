"""The pipes of a program that runs: its output as lines, its input as optio-host's callers write to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

import trio

OUTPUT_LIMIT = 16 * 1024 * 1024
"""Bytes after which an output line that has not ended is handed out in parts."""


async def iterate_lines(stream: trio.abc.ReceiveStream) -> AsyncIterator[bytes]:
    r"""The output of a program in pieces that end with `\n`, as far as it ends its lines."""
    parts: list[bytes] = []
    size = 0
    with suppress(trio.ClosedResourceError):  # closed from our side: that is the end, too
        async for data in stream:
            *lines, rest = bytes(data).split(b"\n")
            for line in lines:
                yield b"".join([*parts, line, b"\n"])
                parts, size = [], 0
            parts.append(rest)
            size += len(rest)
            if size > OUTPUT_LIMIT:
                yield b"".join(parts)
                parts, size = [], 0
    if size:
        yield b"".join(parts)


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
