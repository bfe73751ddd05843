"""optio-host's `RemoteHost`, made safe for what hooks and callbacks do with its workdir under asyncio."""

from __future__ import annotations

import asyncio
import posixpath
import secrets
import shlex
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from optio_agents.bridge import Boundary, run_in_trio
from optio_agents.hosts import shell
from optio_agents.hosts.files.transfer import source_digest
from optio_agents.hosts.remote_connection import RemoteConnection
from optio_agents.hosts.remote_deliverable import RemoteDeliverable
from optio_agents.hosts.ssh.remote_host import channels_of, run_command
from optio_agents.protocol.rejections import DeliverableRejected, RejectionKind

_ERRORS: dict[RejectionKind, type[OSError]] = {
    RejectionKind.MISSING: FileNotFoundError,
    RejectionKind.OUTSIDE: PermissionError,
}
_CLEANUP_SECONDS = 10.0


class ContainedRemoteHost:
    """Two methods of `RemoteHost`, for asyncio callers. A path in the workdir does not lead out of it.

    Args:
        host: whose directories are meant.
    """

    def __init__(self, host: Any) -> None:
        self._host = host

    async def fetch_bytes_from_host(self, absolute_path: str, **options: Any) -> bytes:
        """See `LocalHost.fetch_bytes_from_host`.

        Raises:
            PermissionError: a link on the way leads out of the workdir.
            FileNotFoundError, OSError: it cannot be read.
        """
        path = self._in_workdir(absolute_path)
        if path is None:
            content: bytes = await self._host.fetch_bytes_from_host(absolute_path, **options)
            return content

        async def fetch(boundary: Boundary) -> bytes:
            connection = RemoteConnection(self._host, boundary)
            deliverable = RemoteDeliverable(connection, self._host.workdir, path, sys.maxsize, beneath="")
            try:
                async with deliverable as source:
                    return b"".join([piece async for piece in source.chunks()])
            except DeliverableRejected as rejected:
                error = _ERRORS.get(rejected.kind, OSError)
                raise error(f"{absolute_path}: {rejected.detail}") from rejected

        return await run_in_trio(fetch)

    async def put_file_to_host(
        self,
        source: Any,
        absolute_target: str,
        *,
        expected_sha256: str | None = None,
        skip_if_unchanged: bool = False,
        progress_cb: Callable[[float | None, str | None], None] | None = None,
    ) -> None:
        """See `LocalHost.put_file_to_host`. The file is moved to its place from the task's directory.

        Raises:
            PermissionError: a link on the way leads out of the workdir, or the file cannot be placed.
        """
        path = self._in_workdir(absolute_target)
        if path is None:
            await self._host.put_file_to_host(
                source,
                absolute_target,
                expected_sha256=expected_sha256,
                skip_if_unchanged=skip_if_unchanged,
                progress_cb=progress_cb,
            )
            return
        workdir, channels = self._host.workdir, channels_of(self._host)
        if skip_if_unchanged:
            wanted = await run_in_trio(lambda boundary: source_digest(source, expected_sha256))
            found = await run_command(channels, shell.digest(workdir, path), cwd="/")
            if found.stdout.partition(" ")[0] == wanted:
                if progress_cb is not None:
                    progress_cb(None, "already up to date")
                return
        staged = f"{posixpath.dirname(workdir)}/.optio-copy-{secrets.token_hex(8)}"
        try:
            await self._host.put_file_to_host(source, staged, progress_cb=progress_cb)
            placed = await run_command(channels, shell.place(workdir, path, staged), cwd="/")
            if placed.exit_code:
                raise PermissionError(f"{absolute_target}: {placed.stderr.strip()}")
        except BaseException:
            with suppress(Exception):
                async with asyncio.timeout(_CLEANUP_SECONDS):
                    await run_command(channels, f"rm -f -- {shlex.quote(staged)}", cwd="/")
            raise

    def _in_workdir(self, path: str) -> str | None:
        """The path relative to the workdir, if it begins there."""
        if not path.startswith("/"):
            return None
        relative = posixpath.relpath(posixpath.normpath(path), self._host.workdir)
        return None if relative == "." or relative.split("/")[0] == ".." else relative
