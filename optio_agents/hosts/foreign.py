"""Any object with a few of optio-host's methods as a session's host.

It needs `workdir` and `tail_file(path)`. Without `tail_file`, the log is read when the agent has ended, by
`fetch_bytes_from_host`. The methods `setup_workdir`, `run_command` and `write_text` are used if they exist. With
`run_command`, deliverables are checked and read on the host in one step. Without it, `fetch_bytes_from_host` is
trusted to read the right file. The methods may be Trio or asyncio code.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from optio_agents.bridge.boundary import Boundary
from optio_agents.hosts import shell
from optio_agents.hosts.background import running_in_background
from optio_agents.hosts.base import WINDOW_LIMIT, LogPosition, LogReader, OpenDeliverable
from optio_agents.hosts.log.tailed_reader import ForeignLogReader
from optio_agents.protocol.paths import LOG_NAME
from optio_agents.protocol.rejections import DeliverableRejected, RejectionKind


class ForeignHost:
    """Implements `hosts.base.SessionHost` with what the wrapped object offers."""

    def __init__(self, host: Any, boundary: Boundary) -> None:
        self._host = host
        self._boundary = boundary

    @property
    def workdir(self) -> str:
        """See `hosts.base.SessionHost.workdir`."""
        return str(self._host.workdir)

    async def setup_workdir(self) -> None:
        """See `hosts.base.SessionHost.setup_workdir`. A host without the method has its workdir already."""
        if (method := self._method("setup_workdir")) is not None:
            await self._boundary.call(method, label="setup_workdir")

    async def prepare_channel(self) -> None:
        """See `hosts.base.SessionHost.prepare_channel`.

        Raises:
            OSError: the host's shell could not do it.
        """
        if self._method("run_command") is not None:
            await self._shell(shell.prepare_channel(self.workdir))
        elif (write_text := self._method("write_text")) is not None:
            await self._boundary.call(write_text, LOG_NAME, "", label="write_text")

    @asynccontextmanager
    async def open_log(
        self, position: LogPosition, *, settled: Callable[[bytes], bool]
    ) -> AsyncIterator[LogReader]:
        """See `hosts.base.SessionHost.open_log`. `settled` is never asked: only whole lines are seen."""
        path = f"{self.workdir}/{LOG_NAME}"
        reader = ForeignLogReader(
            self._boundary,
            None if self._method("tail_file") is None else lambda: self._host.tail_file(path),
            position,
            fetch=None if self._method("fetch_bytes_from_host") is None else lambda: self._fetch(path),
        )
        async with running_in_background(reader.follow):
            yield reader

    @asynccontextmanager
    async def open_deliverable(self, relative_path: str, *, limit: int) -> AsyncIterator[OpenDeliverable]:
        """See `hosts.base.SessionHost.open_deliverable`. Holds the whole content."""
        content = await self._read_deliverable(relative_path, limit)
        if len(content) > limit:
            detail = f"{len(content):,} bytes, where at most {limit:,} are taken"
            raise DeliverableRejected(RejectionKind.TOO_LARGE, detail)
        yield _Fetched(content)

    async def install_scripts(self, directory: str, scripts: Mapping[str, str]) -> str:
        """See `hosts.base.SessionHost.install_scripts`.

        Raises:
            NotImplementedError: the host has no `run_command`, and nothing else can make files executable.
        """
        if self._method("run_command") is None:
            raise NotImplementedError(f"{type(self._host).__name__} cannot install scripts: no run_command")
        await self._shell(shell.install_scripts(self.workdir, directory, scripts))
        return f"{self.workdir}/{directory}"

    async def search_path(self) -> str:
        """See `hosts.base.SessionHost.search_path`."""
        if (run_command := self._method("run_command")) is None:
            return ""
        answer = await self._boundary.call(run_command, shell.SEARCH_PATH, label="run_command")
        return str(getattr(answer, "stdout", ""))

    async def _read_deliverable(self, path: str, limit: int) -> bytes:
        program = shell.read_deliverable(self.workdir, path, limit=limit, encoded=True)
        if (run_command := self._method("run_command")) is not None:
            answer = await self._boundary.call(run_command, program, label="run_command")
            header, _, content = str(getattr(answer, "stdout", "")).partition("\n")
            try:
                shell.parse_header(header.encode("utf-8", "replace"))
                return base64.b64decode(content)
            except (ValueError, binascii.Error):
                pass  # it runs no real shell: ask for the bytes
        if self._method("fetch_bytes_from_host") is None:
            raise DeliverableRejected(RejectionKind.UNREADABLE, "this host offers no way to read a file")
        try:
            return await self._fetch(f"{self.workdir}/deliverables/{path}")
        except FileNotFoundError as error:
            raise DeliverableRejected(RejectionKind.MISSING, "No such file or directory") from error
        except IsADirectoryError as error:
            raise DeliverableRejected(RejectionKind.NOT_REGULAR, "it is a directory") from error
        except OSError as error:
            raise DeliverableRejected(RejectionKind.UNREADABLE, error.strerror or str(error)) from error

    async def _fetch(self, path: str) -> bytes:
        fetch = self._host.fetch_bytes_from_host
        content: bytes = await self._boundary.call(fetch, path, label="fetch_bytes_from_host")
        return content

    async def _shell(self, command: str) -> None:
        answer = await self._boundary.call(self._host.run_command, command, label="run_command")
        status = getattr(answer, "exit_code", 0)
        if isinstance(status, int) and status != 0:
            raise OSError(f"the host's shell failed ({status}): {getattr(answer, 'stderr', '')!s:.500}")

    def _method(self, name: str) -> Callable[..., Awaitable[Any]] | None:
        return getattr(self._host, name, None)


class _Fetched:
    """A deliverable that is here in one piece."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    @property
    def size(self) -> int:
        return len(self._content)

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._content), WINDOW_LIMIT):
            yield self._content[start : start + WINDOW_LIMIT]
