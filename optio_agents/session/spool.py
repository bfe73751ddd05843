"""A first-in first-out queue that is bounded in memory and never full: past its bound it goes on in a file.

A queue whose callback is stuck must not stop the log from being read (ATTENTION, ERROR and DONE come from the same
log), and the log itself cannot be the buffer: it may be truncated or replaced meanwhile. So what waits is kept here,
the first in memory, the rest in a temporary file that has no name.
"""

from __future__ import annotations

import json
import tempfile
from collections import deque
from typing import IO, Generic, TypeVar

T = TypeVar("T")


class Spool(Generic[T]):
    """Items must survive JSON (strings, numbers, lists, dicts). Synchronous; used within one thread.

    Args:
        size_limit: how much is kept in memory, in the characters that `put` is told; one item always is.
    """

    def __init__(self, size_limit: int) -> None:
        self._size_limit = size_limit
        self._memory: deque[tuple[T, int, int]] = deque()  # item, size, count
        self._memory_size = 0
        self._memory_count = 0
        self._file: IO[bytes] | None = None
        self._spilled = 0
        self._read_at = 0
        self._write_at = 0

    def __len__(self) -> int:
        """How much waits, by the count of each item."""
        return self._memory_count + self._spilled

    @property
    def crowded(self) -> bool:
        """More than half full: as much again as half of the limit might have to go to the file."""
        return self._spilled > 0 or 2 * self._memory_size > self._size_limit

    @property
    def spilled(self) -> int:
        """How much of `len` waits in the file."""
        return self._spilled

    def put(self, item: T, size: int, count: int = 1) -> None:
        """Append `item`, whose text is about `size` characters long, and which counts as `count`.

        Raises:
            OSError: the temporary directory is full or cannot be written.
        """
        if self._spilled == 0 and (self._memory_size + size <= self._size_limit or not self._memory):
            self._keep(item, size, count)
        else:
            self._spill(item, count)

    def take(self, limit: int) -> list[T]:
        """Remove and return items, oldest first, until they count `limit` together or no more are in memory."""
        taken: list[T] = []
        counted = 0
        while self._memory and counted < limit:
            item, size, count = self._memory.popleft()
            counted += count
            self._memory_size -= size
            self._memory_count -= count
            taken.append(item)
        if not self._memory and self._spilled:
            self._refill()
        return taken

    def close(self) -> None:
        """Drop everything that waits. Idempotent."""
        self._memory.clear()
        self._memory_size = self._memory_count = self._spilled = 0
        if self._file is not None:
            self._file.close()
            self._file = None

    def _keep(self, item: T, size: int, count: int) -> None:
        self._memory.append((item, size, count))
        self._memory_size += size
        self._memory_count += count

    def _spill(self, item: T, count: int) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="optio-agents-spool-")  # noqa: SIM115 - lives until close
            self._read_at = self._write_at = 0
        record = json.dumps([item, count]).encode("ascii") + b"\n"
        self._file.seek(self._write_at)
        self._file.write(record)
        self._write_at += len(record)
        self._spilled += count

    def _refill(self) -> None:
        assert self._file is not None
        self._file.seek(self._read_at)
        while self._spilled and self._memory_size < self._size_limit:
            record = self._file.readline()
            self._read_at += len(record)
            item, count = json.loads(record)
            self._keep(item, len(record), count)
            self._spilled -= count
        if not self._spilled:
            self._file.close()
            self._file = None
