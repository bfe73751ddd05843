"""A limit on the agent's own output that is kept: its beginning and its end.

The agent writes directly into the file, so nothing here can block it. During the run, the blocks in the middle of a
file that has grown too long are freed (`fallocate(2)`, FALLOC_FL_PUNCH_HOLE). The file keeps its length, so the offset
of the agent's descriptor stays valid. At the end of the run, the hole is removed.
"""

from __future__ import annotations

import ctypes
import logging
import os

import trio

from optio_agents.hosts.log.inotify import open_watch

HEAD_BYTES = 16 * 1024 * 1024
END_BYTES = 48 * 1024 * 1024
"""How much of the beginning and of the end is kept."""

SLACK_BYTES = 4 * 1024 * 1024
"""What is longer by less than this stays whole."""

PAUSE = 0.1
"""Seconds between two looks at a file that grows."""

_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02  # linux/falloc.h
_COPY_BYTES = 1024 * 1024

log = logging.getLogger(__name__)


async def free_the_middle(descriptor: int, directory: str) -> None:
    """Until cancelled, free the middle of the file that `descriptor` has open, in `directory`, as it grows.

    If the file system has no holes, this logs that and returns. Then only `shorten` limits the file.
    """
    freed = HEAD_BYTES
    try:
        while True:
            end = await _growth(descriptor, directory, freed + SLACK_BYTES + END_BYTES) - END_BYTES
            await trio.to_thread.run_sync(_punch, descriptor, freed, end - freed)
            freed = end
    except OSError as error:
        log.warning("the agent's output is kept whole while it runs: %s", error.strerror)


async def _growth(descriptor: int, directory: str, size: int) -> int:
    """Wait until the file has at least `size` bytes; return its size."""
    parent = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with open_watch(parent, "") as watch:
            while True:
                watch.follow(descriptor)
                watch.clear()
                found = os.fstat(descriptor).st_size
                if found >= size:
                    return found
                await watch.wait()
                watch.follow(None)  # a thousand writes in the pause do not wake us
                await trio.sleep(PAUSE)
    finally:
        os.close(parent)


def shorten(descriptor: int) -> None:
    """Remove the middle of a file that is too long, and write there how much was removed.

    Raises:
        OSError: the file cannot be read or written.
    """
    size = os.fstat(descriptor).st_size
    left_out = size - HEAD_BYTES - END_BYTES
    if left_out < SLACK_BYTES:
        return
    # The agent's open file appends at any offset. Ours must not, so it is opened separately.
    file = os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR | os.O_CLOEXEC)
    try:
        at = HEAD_BYTES + os.pwrite(file, b"\n... %d bytes are left out here ...\n" % left_out, HEAD_BYTES)
        source = size - END_BYTES
        while data := os.pread(file, min(_COPY_BYTES, size - source), source):
            written = os.pwrite(file, data, at)
            at, source = at + written, source + written
        os.ftruncate(file, at)
    finally:
        os.close(file)


def _punch(descriptor: int, offset: int, length: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    size = ctypes.c_int64
    if libc.fallocate(descriptor, _KEEP_SIZE | _PUNCH_HOLE, size(offset), size(length)):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
