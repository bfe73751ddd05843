"""Temporary archives: in memory while small, otherwise in an unnamed file that no other user can open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast

from optio_agents.seeds.threads import StopFlag, in_thread

IN_MEMORY = 4 * 1024 * 1024
"""Bytes up to which an archive is kept in memory."""


@asynccontextmanager
async def spool() -> AsyncIterator[IO[bytes]]:
    """A temporary file that is deleted at the end of the block."""
    file = cast("IO[bytes]", SpooledTemporaryFile(max_size=IN_MEMORY))  # noqa: SIM115 - closed in a thread, below
    try:
        yield file
    finally:

        def close(_: StopFlag) -> Any:
            file.close()  # a large file takes a while to be freed

        await in_thread(close)
