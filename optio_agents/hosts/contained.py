"""optio-host's hosts, made safe for what hooks and callbacks do with them under asyncio.

Their own methods follow links that an agent has planted, and a local command continues to run when it is cancelled. Our
`LocalHost` has neither fault, so calls on this machine go to it, in Trio. A path in a remote workdir is checked by the
program that reads or places the file over there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import trio

from optio_agents.bridge import Boundary, run_in_trio
from optio_agents.hosts.kinds import is_optio_local, is_optio_remote
from optio_agents.hosts.local import LocalHost


def contained(host: Any, method: str) -> Callable[..., Any]:
    """The method of `host` to call: its own, or the one that replaces it here.

    Args:
        host: any host.
        method: `run_command`, `put_file_to_host` or `fetch_bytes_from_host`.
    """
    if not trio.lowlevel.in_trio_task():
        if is_optio_local(host, method):
            return getattr(ContainedLocalHost(host), method)  # type: ignore[no-any-return]
        if method != "run_command" and is_optio_remote(host, method):
            from optio_agents.hosts.contained_remote import ContainedRemoteHost  # needs asyncssh

            return getattr(ContainedRemoteHost(host), method)  # type: ignore[no-any-return]
    return getattr(host, method)  # type: ignore[no-any-return]


class ContainedLocalHost:
    """Three methods of optio-host's `LocalHost`, for asyncio callers, with the same parameters and results.

    Args:
        host: whose directories are meant.
    """

    def __init__(self, host: Any) -> None:
        self._host = LocalHost(host.taskdir, workdir=host.workdir, owned=False)

    async def run_command(
        self, command: str, *, cwd: str | None = None, env: Mapping[str, str] | None = None
    ) -> Any:
        """See `LocalHost.run_command`."""
        return await run_in_trio(lambda boundary: self._host.run_command(command, cwd=cwd, env=env))

    async def fetch_bytes_from_host(self, absolute_path: str, **options: Any) -> bytes:
        """See `LocalHost.fetch_bytes_from_host`."""
        return await run_in_trio(lambda boundary: self._host.fetch_bytes_from_host(absolute_path, **options))

    async def put_file_to_host(self, source: Any, absolute_target: str, **options: Any) -> None:
        """See `LocalHost.put_file_to_host`. An asynchronous iterator is iterated in asyncio, where it was made."""

        async def put(boundary: Boundary) -> None:
            content = _across(boundary, source) if hasattr(source, "__aiter__") else source
            await self._host.put_file_to_host(content, absolute_target, **options)

        await run_in_trio(put)


async def _across(boundary: Boundary, source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    pieces = aiter(source)

    async def pull() -> bytes | None:
        return await anext(pieces, None)

    while (piece := await boundary.call(pull, label="the source of a copy")) is not None:
        yield piece
