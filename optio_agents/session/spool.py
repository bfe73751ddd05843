"""A first-in first-out queue that is bounded in memory and never full: past its bound it goes on in a file.

A lane whose callback is stuck must not stop the log from being read (ATTENTION, ERROR and DONE come from the same
log), and the log itself cannot be the buffer: it may be truncated or replaced meanwhile. So what waits is kept here,
the first in memory, the rest in a temporary file that has no name.
"""

from __future__ import annotations

import json
import tempfile
from collections import deque
from collections.abc import Sequence
from itertools import repeat
from typing import IO, Any, Generic, TypeVar

T = TypeVar("T")


class Spool(Generic[T]):
    """Items must survive JSON (strings, numbers, lists, dicts). Synchronous; used within one thread.

    Args:
        size_limit: how much is kept in memory, in the characters that `put` is told; one item always is.
    """

    def __init__(self, size_limit: int) -> None:
        self._size_limit = size_limit
        self._memory: deque[tuple[T, int]] = deque()
        self._memory_size = 0
        self._file: IO[bytes] | None = None
        self._spilled = 0
        self._read_at = 0
        self._write_at = 0

    def __len__(self) -> int:
        return len(self._memory) + self._spilled

    @property
    def crowded(self) -> bool:
        """More than half full: as much again as half of the limit might have to go to the file."""
        return self._spilled > 0 or 2 * self._memory_size > self._size_limit

    @property
    def spilled(self) -> int:
        """How many items wait in the file."""
        return self._spilled

    def put(self, item: T, size: int) -> None:
        """Append `item`, whose text is about `size` characters long.

        Raises:
            OSError: the temporary directory is full or cannot be written.
        """
        if self._spilled == 0 and (self._memory_size + size <= self._size_limit or not self._memory):
            self._memory.append((item, size))
            self._memory_size += size
            return
        self._spill(item)

    def extend(self, items: Sequence[T], size: int) -> None:
        """Append `items`, whose texts are about `size` characters long each.

        Raises:
            OSError: the temporary directory is full or cannot be written.
        """
        if self._spilled == 0 and self._memory_size + size * len(items) <= self._size_limit:
            self._memory.extend(zip(items, repeat(size)))
            self._memory_size += size * len(items)
        else:
            for item in items:
                self.put(item, size)

    def take(self, limit: int) -> list[T]:
        """Remove and return up to `limit` items, oldest first."""
        taken: list[T] = []
        while self._memory and len(taken) < limit:
            item, size = self._memory.popleft()
            self._memory_size -= size
            taken.append(item)
        if not self._memory and self._spilled:
            self._refill()
        return taken

    def close(self) -> None:
        """Drop everything that waits. Idempotent."""
        self._memory.clear()
        self._memory_size = self._spilled = 0
        if self._file is not None:
            self._file.close()
            self._file = None

    def _spill(self, item: T) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="optio-agents-spool-")  # noqa: SIM115 - lives until close
            self._read_at = self._write_at = 0
        record = json.dumps(item).encode("ascii") + b"\n"
        self._file.seek(self._write_at)
        self._file.write(record)
        self._write_at += len(record)
        self._spilled += 1

    def _refill(self) -> None:
        assert self._file is not None
        self._file.seek(self._read_at)
        while self._spilled and self._memory_size < self._size_limit:
            record = self._file.readline()
            self._read_at += len(record)
            item: Any = json.loads(record)
            self._memory.append((item, len(record)))
            self._memory_size += len(record)
            self._spilled -= 1
        if not self._spilled:
            self._file.close()
            self._file = None
