"""Reading a local file from a Trio task without blocking the other tasks."""

from __future__ import annotations

import errno
import os

import trio

from optio_agents.hosts.files.deadline import DeadlineThreads

PIECE = 256 * 1024
"""Bytes that are read at a time."""

_NOWAIT = getattr(os, "RWF_NOWAIT", None)  # Linux 4.14


async def read_piece(
    descriptor: int, size: int, offset: int, threads: DeadlineThreads | None = None
) -> bytes:
    """At most `size` bytes at `offset`, at least one unless the file ends there.

    What is in the page cache is read inline: that takes about 30 µs for 256 KiB, less than a thread costs. Anything
    else is read in a thread, because a slow disk or a hanging network mount must not block every session. A cancelled
    call abandons the thread, which has a descriptor of its own.

    Args:
        threads: where to read what is not in the page cache, under a deadline.

    Raises:
        OSError: as the system says.
    """
    if _NOWAIT is not None:
        buffer = bytearray(size)
        try:
            count = os.preadv(descriptor, [buffer], offset, _NOWAIT)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EOPNOTSUPP):
                raise
        else:
            await trio.lowlevel.checkpoint()
            return bytes(memoryview(buffer)[:count])
    await trio.lowlevel.checkpoint_if_cancelled()
    own = os.dup(descriptor)
    if threads is not None:
        return await threads.run(_read_and_close, own, size, offset)
    return await trio.to_thread.run_sync(_read_and_close, own, size, offset, abandon_on_cancel=True)


def _read_and_close(descriptor: int, size: int, offset: int) -> bytes:
    try:
        return os.pread(descriptor, size, offset)
    finally:
        os.close(descriptor)
