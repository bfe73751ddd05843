"""`DeliverableFile`: a file that an agent delivers, copied once and then passed to the caller.

Because it is a copy, the callback reads, hashes and saves the same bytes, even if the agent changes its file meanwhile.
This holds for local and remote hosts.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import tempfile
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import trio

from optio_agents.hosts.base import OpenDeliverable
from optio_agents.hosts.files.transfer import consuming

PIECE = 256 * 1024
"""Bytes per piece. Other tasks run between two pieces."""

IN_MEMORY = 256 * 1024
"""Copies up to this many bytes are kept in memory, larger ones in a temporary file without a name."""


class CopyFailed(Exception):  # noqa: N818 - named for what happened
    """A deliverable could not be copied here (the temporary directory is full or missing). The environment's fault."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"no copy of it in the temporary directory: {error.strerror or error}")


class DeliverableFile:
    """One delivered file. Usable until its callback returns.

    Attributes:
        path: relative to the deliverables directory, with `/` between its parts.
        size: in bytes.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.size = 0
        self._digest = hashlib.sha256()
        self._copy = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed by its owner

    def __repr__(self) -> str:
        return f"<DeliverableFile {self.path!r}, {self.size} bytes>"

    async def sha256(self) -> str:
        """Hexadecimal digest of the content."""
        return self._digest.hexdigest()

    @property
    def digest(self) -> str:
        """The value of `sha256`, without waiting."""
        return self._digest.hexdigest()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The content from its beginning, in pieces of at most 256 KiB."""
        position = 0
        while True:
            self._copy.seek(position)
            piece = self._copy.read(PIECE)
            if not piece:
                return
            position += len(piece)
            yield piece
            await _others_turn()

    async def read(self) -> bytes:
        """The whole content."""
        return b"".join([piece async for piece in self.chunks()])

    async def text(self) -> str:
        """The whole content, decoded.

        Raises:
            UnicodeDecodeError: it is not UTF-8.
        """
        return (await self.read()).decode("utf-8")

    async def save(self, target: str | os.PathLike[str]) -> None:
        """Write the content to `target` by way of a temporary name beside it, replacing what is there.

        Raises:
            OSError: the directory is missing, full or not writable; nothing is left of the attempt.
        """
        final = Path(target)
        partial = final.with_name(f".{final.name[:100]}.{secrets.token_hex(8)}.part")
        try:
            with partial.open("xb") as out:
                async for piece in self.chunks():
                    out.write(piece)
            partial.replace(final)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    async def fill(
        self, source: OpenDeliverable, on_received: Callable[[int], None] = lambda size: None
    ) -> None:
        """Copy `source` (Trio side, before the callback gets it). `on_received` gets the size of each piece.

        Raises:
            CopyFailed: there is no room for the copy.
            DeliverableRejected: the source cannot be read.
        """
        pieces = source.chunks()
        async with consuming(pieces):
            async for piece in pieces:
                on_received(len(piece))
                try:
                    if self.size + len(piece) <= IN_MEMORY:
                        self._copy.write(piece)
                    else:
                        await trio.to_thread.run_sync(self._copy.write, piece)
                except OSError as error:
                    raise CopyFailed(error) from error
                self._digest.update(piece)
                self.size += len(piece)

    def close(self) -> None:
        """Free the copy. Idempotent."""
        self._copy.close()


async def _others_turn() -> None:
    """A checkpoint of the running event loop, Trio's or asyncio's."""
    if trio.lowlevel.in_trio_task():
        await trio.lowlevel.checkpoint()
    else:
        await asyncio.sleep(0)
