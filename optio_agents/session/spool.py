"""A first-in first-out queue that is bounded in memory and continues in a file.

A stuck callback must not stop the reading of the log, because ATTENTION, ERROR and DONE come from the same log. The log
itself cannot be the buffer: it may be truncated or replaced meanwhile. Therefore waiting items are kept here, the first
ones in memory, the rest in an unnamed temporary file.
"""

from __future__ import annotations

import json
import tempfile
from collections import deque
from typing import Any, Generic, TypeVar

T = TypeVar("T")

SEGMENT = 1024 * 1024
"""Bytes of the smallest file."""

DISK_LIMIT = 1024 * 1024 * 1024
"""Bytes that may wait in files. If more wait in one queue, the session fails."""


NOTHING_YET: deque[Any] = deque(maxlen=0)
"""What is in memory until there is a first item: a deque takes 760 bytes, and most queues of a session stay empty."""


class SpoolFull(Exception):  # noqa: N818 - named for what happened
    """Too many bytes wait for a callback."""

    def __init__(self) -> None:
        super().__init__(
            f"more than {DISK_LIMIT:,} bytes of the log wait for a callback that does not return"
        )


class Spool(Generic[T]):
    """Items must survive JSON (strings, numbers, lists, dicts). Synchronous; used within one thread.

    Args:
        size_limit: how much is kept in memory, in the sizes passed to `put`. At least one item is always kept.
    """

    def __init__(self, size_limit: int) -> None:
        self._size_limit = size_limit
        self._memory: deque[tuple[T, int, int]] = NOTHING_YET  # item, size, count
        self._memory_size = 0
        self._memory_count = 0
        self._segments: list[_Segment] = []  # few: each is as large as all before it
        self._spilled = 0

    def __len__(self) -> int:
        """The sum of the counts of all waiting items."""
        return self._memory_count + self._spilled

    @property
    def is_over_high_water(self) -> bool:
        """Whether more than half of the memory is used, or the file is in use."""
        return self._spilled > 0 or 2 * self._memory_size > self._size_limit

    @property
    def spilled(self) -> int:
        """The part of `len` that waits in the file."""
        return self._spilled

    def put(self, item: T, size: int, count: int = 1) -> None:
        """Append `item`, whose text is about `size` characters long, and which counts as `count`.

        Raises:
            OSError: the temporary directory is full or cannot be written.
            SpoolFull: too much waits.
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
        while self._segments:
            self._segments.pop().close()

    def _keep(self, item: T, size: int, count: int) -> None:
        if self._memory is NOTHING_YET:
            self._memory = deque()
        self._memory.append((item, size, count))
        self._memory_size += size
        self._memory_count += count

    def _spill(self, item: T, count: int) -> None:
        record = json.dumps([item, count]).encode("ascii") + b"\n"
        if not self._segments or self._segments[-1].is_full:
            waiting = sum(each.waiting for each in self._segments)
            if waiting > DISK_LIMIT:
                raise SpoolFull
            self._segments.append(_Segment(max(SEGMENT, waiting)))
        self._segments[-1].write(record)
        self._spilled += count

    def _refill(self) -> None:
        while self._spilled and self._memory_size < self._size_limit:
            segment = self._segments[0]
            if not segment.waiting:
                self._segments.pop(0).close()
                continue
            record = segment.read()
            item, count = json.loads(record)
            self._keep(item, len(record), count)
            self._spilled -= count
        if not self._spilled:
            while self._segments:
                self._segments.pop().close()


class _Segment:
    """One temporary file: written once, read once."""

    def __init__(self, limit: int) -> None:
        self._file = tempfile.TemporaryFile(prefix="optio-agents-spool-")  # noqa: SIM115 - lives until close
        self._limit = limit
        self._read_at = 0
        self._write_at = 0

    @property
    def is_full(self) -> bool:
        return self._write_at >= self._limit

    @property
    def waiting(self) -> int:
        """Bytes that have not been read."""
        return self._write_at - self._read_at

    def write(self, record: bytes) -> None:
        self._file.seek(self._write_at)
        self._file.write(record)
        self._write_at += len(record)

    def read(self) -> bytes:
        """The next record."""
        self._file.seek(self._read_at)
        record = self._file.readline()
        self._read_at += len(record)
        return record

    def close(self) -> None:
        self._file.close()
