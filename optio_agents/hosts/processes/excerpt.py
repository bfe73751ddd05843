"""Output of any size in bounded memory: its head and its tail."""

from __future__ import annotations

from collections import deque

HEAD = 4 * 1024 * 1024
TAIL = 4 * 1024 * 1024
"""Bytes that are kept of the beginning and of the end of what a command prints, of each stream."""


class Excerpt:
    """Takes bytes; gives back all of them, or the head, a mark and the tail."""

    def __init__(self, head: int = HEAD, tail: int = TAIL) -> None:
        self._room = head
        self._limit = tail
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._size = 0  # of the tail
        self.omitted = 0
        """Bytes that were left out."""

    def add(self, data: bytes) -> None:
        """Take in the next bytes."""
        if self._room:
            taken = data[: self._room]
            self._head += taken
            self._room -= len(taken)
            data = data[len(taken) :]
        if not data:
            return
        self._tail.append(data)
        self._size += len(data)
        while self._size - len(self._tail[0]) >= self._limit:
            gone = self._tail.popleft()
            self._size -= len(gone)
            self.omitted += len(gone)

    def text(self) -> str:
        """What is kept, decoded with replacement."""
        tail = b"".join(self._tail)
        if not self.omitted:
            return bytes(self._head + tail).decode(errors="replace")
        mark = f"\n[... {self.omitted:,} bytes left out ...]\n"
        return bytes(self._head).decode(errors="replace") + mark + tail.decode(errors="replace")
