"""Copying whole files into a descriptor and hashing them, in worker threads.

The work is split into steps, so that it can be cancelled between them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import trio

from optio_agents.hosts.files.beneath import write_all
from optio_agents.hosts.files.page_cache import PIECE

STEP = 8 * 1024 * 1024
"""Bytes that a worker thread handles before cancellation is looked at."""

Source = str | os.PathLike[str] | bytes | bytearray | AsyncIterator[bytes]
"""A path, the content itself, or the content in pieces."""


async def write_source(source: Source, descriptor: int) -> None:
    """Write the whole of a source to an open file.

    Raises:
        OSError: it cannot be read or written.
    """
    if isinstance(source, (bytes, bytearray)):
        await _write(descriptor, source)
    elif isinstance(source, (str, os.PathLike)):
        with _opened(source) as file:
            while await trio.to_thread.run_sync(_copy_step, file, descriptor):
                pass
    else:
        async with consuming(source):
            async for chunk in source:
                await _write(descriptor, chunk)


@asynccontextmanager
async def consuming(stream: AsyncIterator[bytes]) -> AsyncIterator[None]:
    """Close a stream at the end of the block, if it can be closed (an async generator).

    If writing fails half-way, the generator's cleanup must not wait for the garbage collector.
    """
    try:
        yield
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


async def source_digest(source: Source, expected: str | None) -> str:
    """The SHA-256 of a source in hexadecimal; `expected` for an iterator, which can be read only once.

    Raises:
        ValueError: an iterator without `expected`.
        OSError: it cannot be read.
    """
    if isinstance(source, (bytes, bytearray)):
        digest = hashlib.sha256()
        for start in range(0, len(source), STEP):
            await trio.to_thread.run_sync(digest.update, memoryview(source)[start : start + STEP])
        return digest.hexdigest()
    if isinstance(source, (str, os.PathLike)):
        with _opened(source) as file:
            return await file_digest(file)
    if expected is None:
        raise ValueError("skip_if_unchanged needs expected_sha256 when the source is an iterator")
    return expected


async def file_digest(descriptor: int) -> str:
    """The SHA-256, in hexadecimal, of an open file from its current offset."""
    digest = hashlib.sha256()
    while await trio.to_thread.run_sync(_digest_step, descriptor, digest):
        pass
    return digest.hexdigest()


async def _write(descriptor: int, data: bytes | bytearray) -> None:
    """Write small data inline, and large data in a thread, because the disk may be slow."""
    if len(data) <= PIECE:
        write_all(descriptor, data)
        await trio.lowlevel.checkpoint()
        return
    for start in range(0, len(data), STEP):
        await trio.to_thread.run_sync(write_all, descriptor, memoryview(data)[start : start + STEP])


def _copy_step(source: int, target: int) -> bool:
    """Copy the next step; returns False at the end."""
    for _ in range(STEP // PIECE):
        data = os.read(source, PIECE)
        if not data:
            return False
        write_all(target, data)
    return True


def _digest_step(descriptor: int, digest: hashlib._Hash) -> bool:
    for _ in range(STEP // PIECE):
        data = os.read(descriptor, PIECE)
        if not data:
            return False
        digest.update(data)
    return True


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
