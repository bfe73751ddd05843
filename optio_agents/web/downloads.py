"""Files of the agent's directory that a viewer may download: never outside of it, bounded in size."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import quote

import trio
from starlette.responses import StreamingResponse

from optio_agents.hosts.files.beneath import LeavesDirectory, open_file
from optio_agents.web.request_validation import BadRequest

DOWNLOAD_LIMIT: Final = 100 * 1024 * 1024
"""Bytes of one download."""

PIECE: Final = 256 * 1024


class Downloads:
    """The files beneath one local directory."""

    def __init__(self, directory: str, limit: int = DOWNLOAD_LIMIT) -> None:
        self._directory = directory
        self._limit = limit

    async def respond(self, path: str) -> StreamingResponse:
        """The answer with the content of the file `path`, relative to the directory.

        Raises:
            BadRequest: 403 outside of the directory, 404 no such file, 413 too large.
        """
        descriptor, size = await trio.to_thread.run_sync(self._open, path)
        name = quote(posixpath.basename(path), safe="")
        headers = {
            "content-disposition": f"attachment; filename*=UTF-8''{name}",
            "content-length": str(size),
            "x-content-type-options": "nosniff",
        }
        return StreamingResponse(
            _pieces(descriptor, size), media_type="application/octet-stream", headers=headers
        )

    def _open(self, path: str) -> tuple[int, int]:
        if not path or "\0" in path or path.startswith("/"):
            raise BadRequest("outside", 403)
        try:
            root = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                descriptor = open_file(root, path)
            finally:
                os.close(root)
        except LeavesDirectory:
            raise BadRequest("outside", 403) from None
        except (OSError, ValueError):
            raise BadRequest("missing", 404) from None
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > self._limit:
            os.close(descriptor)
            too_large = stat.S_ISREG(status.st_mode)
            raise BadRequest(*("too-large", 413) if too_large else ("missing", 404))
        return descriptor, status.st_size


async def _pieces(descriptor: int, size: int) -> AsyncIterator[bytes]:
    """The first `size` bytes of the file; a file that shrinks ends the connection early."""
    try:
        left = size
        while left:
            piece = await trio.to_thread.run_sync(os.read, descriptor, min(PIECE, left))
            if not piece:
                return
            left -= len(piece)
            yield piece
    finally:
        os.close(descriptor)
