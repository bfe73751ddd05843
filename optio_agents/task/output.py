"""The last of an agent's output, bounded."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from optio_agents.protocol.display import display_text

EXCERPT = 2000
"""Bytes that the report of a failure shows."""


class OutputTail:
    """The last bytes of what an agent printed.

    Args:
        limit: how many bytes are kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.ended = asyncio.Event()
        """The output has ended."""
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self.dropped = 0
        """Bytes that came before what is kept."""

    def add(self, data: bytes) -> None:
        """Append output."""
        self._pieces.append(data)
        self._size += len(data)
        while self._size > self._limit:
            first = self._pieces.popleft()
            over = min(len(first), self._size - self._limit)
            if over < len(first):
                self._pieces.appendleft(first[over:])
            self._size -= over
            self.dropped += over

    def __bytes__(self) -> bytes:
        return b"".join(self._pieces)

    @property
    def excerpt(self) -> str:
        """The end of it as printable text, with its line ends."""
        text = bytes(self)[-EXCERPT:].decode("utf-8", "replace").strip()
        return "\n".join(display_text(line) for line in text.splitlines())


class RecordedReader:
    """An agent's output stream whose reads are recorded."""

    def __init__(self, reader: Any, tail: OutputTail) -> None:
        self._reader = reader
        self._tail = tail

    async def read(self, limit: int = -1) -> bytes:
        """Up to `limit` bytes; `b""` is the end."""
        data = await self._reader.read(limit)
        data = data.encode() if isinstance(data, str) else bytes(data)
        self._tail.add(data)
        if not data:
            self._tail.ended.set()
        return data
