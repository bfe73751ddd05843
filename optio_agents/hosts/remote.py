"""optio-host's `RemoteHost` as a session's host: the log and the deliverables as bytes over SSH.

The remote host needs what `shell` needs. With Python 3.7 there, the log is followed by a program of ours (see
`log.remote_follower`), otherwise by `tail -F`. Checks run on the remote host, in the program that also reads.

The workdir is pinned when it has been made: each program that enters it checks its identity, so that a directory which
another user puts in its place is not used.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from optio_agents.bridge.boundary import Boundary
from optio_agents.hosts import shell
from optio_agents.hosts.base import WINDOW_LIMIT, LogLost, LogPosition, LogReader, OpenDeliverable
from optio_agents.hosts.kinds import is_optio_remote
from optio_agents.hosts.log import remote_follower as follower
from optio_agents.hosts.log.remote_reader import RemoteLogReader, start_arguments
from optio_agents.hosts.remote_connection import ConnectionGone, HostFailed, RemoteConnection, RemoteProcess
from optio_agents.hosts.remote_deliverable import RemoteDeliverable


class RemoteSessionHost:
    """Implements `hosts.base.SessionHost`."""

    def __init__(self, host: Any, boundary: Boundary) -> None:
        self._host = host
        self._boundary = boundary
        self._connection = RemoteConnection(host, boundary)
        self._pinned = ""

    @property
    def workdir(self) -> str:
        """See `hosts.base.SessionHost.workdir`."""
        return str(self._host.workdir)

    async def setup_workdir(self) -> None:
        """See `hosts.base.SessionHost.setup_workdir`.

        Raises:
            HostFailed: the host did not do it, or somebody else's directory is in its place.
        """
        taskdir = str(self._host.taskdir)
        if is_optio_remote(self._host, "setup_workdir") and self.workdir == f"{taskdir}/workdir":
            # The same in one command, whose output is bounded: optio-host's would keep all that a host prints.
            await self._connection.run(shell.make_workdir(taskdir), "make the workdir")
        else:
            await self._boundary.call(self._host.setup_workdir, label="setup_workdir")
        answer = await self._connection.run(shell.pin(self.workdir), "check the workdir")
        self._pinned = os.fsdecode(answer).strip()

    async def prepare_channel(self) -> None:
        """See `hosts.base.SessionHost.prepare_channel`."""
        await self._connection.run(shell.prepare_channel(self.workdir, self._pinned), "make optio.log")

    @asynccontextmanager
    async def open_log(
        self, position: LogPosition, *, settled: Callable[[bytes], bool]
    ) -> AsyncIterator[LogReader]:
        """See `hosts.base.SessionHost.open_log`.

        Raises:
            LogLost: there is no connection, and none could be made.
        """
        source = inspect.getsource(follower)
        async with AsyncExitStack() as stack:
            try:
                userland = await self._connection.userland()
                program = shell.follow_log(
                    self.workdir, self._pinned, source, start_arguments(position), python=userland.python
                )
                process = await stack.enter_async_context(self._connection.start(program, "follow optio.log"))
            except (ConnectionGone, HostFailed) as gone:
                raise LogLost(str(gone)) from gone
            size = shell.log_size(self.workdir, self._pinned)
            yield RemoteLogReader(_LogChannel(self._connection, process, size), position, settled)

    def open_deliverable(
        self, relative_path: str, *, limit: int
    ) -> AbstractAsyncContextManager[OpenDeliverable]:
        """See `hosts.base.SessionHost.open_deliverable`.

        Raises:
            ConnectionGone: there is no connection, and none could be made.
        """
        return RemoteDeliverable(self._connection, self.workdir, relative_path, limit, self._pinned)

    async def install_scripts(self, directory: str, scripts: Mapping[str, str]) -> str:
        """See `hosts.base.SessionHost.install_scripts`."""
        program = shell.install_scripts(self.workdir, directory, scripts, self._pinned)
        await self._connection.run(program, f"install {directory}")
        return f"{self.workdir}/{directory}"

    async def search_path(self) -> str:
        """See `hosts.base.SessionHost.search_path`."""
        return os.fsdecode(await self._connection.run(shell.SEARCH_PATH, "PATH"))


class _LogChannel:
    """Implements `hosts.log.remote_reader.Channel` over SSH."""

    def __init__(self, connection: RemoteConnection, process: RemoteProcess, size: str) -> None:
        self._connection = connection
        self._process = process
        self._size = size

    async def receive(self) -> bytes:
        try:
            return await self._process.receive(WINDOW_LIMIT)
        except ConnectionGone as gone:
            raise LogLost(str(gone)) from gone

    async def size(self) -> int:
        try:
            return int(await self._connection.run(self._size, "size of optio.log"))
        except (OSError, ValueError) as error:
            raise LogLost(f"the remote log's size is not known: {error}") from error

    def nothing_more_will_be_written(self) -> None:
        self._process.write(b"F")

    async def stderr_excerpt(self) -> str:
        try:
            return await self._process.stderr_excerpt()
        except ConnectionGone as gone:
            return str(gone)
