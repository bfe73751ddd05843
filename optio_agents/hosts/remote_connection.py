"""The SSH connection to a session's host: optio-host's own while it lives, one of ours when it is gone."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import trio

from optio_agents.bridge.boundary import Boundary

RECONNECT = 30.0
"""Seconds for which a lost connection is tried to be made again, before the log counts as lost."""

_PAUSES = (0.1, 5.0)  # seconds between two attempts: first and longest


_FAREWELL = 2.0
"""Seconds that the other side gets to confirm that a channel is closed."""


class ConnectionGone(OSError):  # noqa: N818 - named for what happened
    """The SSH connection was lost, or none could be made: the environment's fault."""


class RemoteProcess:
    """A command that runs on the host. Bytes in, bytes out."""

    def __init__(self, process: Any, boundary: Boundary) -> None:
        self._process = process
        self._boundary = boundary

    async def receive(self, limit: int) -> bytes:
        """Wait for output, at most `limit` bytes of it; `b""` at its end.

        Raises:
            ConnectionGone: it was lost.
        """
        return await self._read(self._process.stdout, limit)

    async def complaint(self) -> str:
        """What it wrote to its standard error (the beginning of it), once it has ended."""
        with trio.move_on_after(_FAREWELL):
            return (await self._read(self._process.stderr, 1000)).decode("utf-8", "replace").strip()
        return ""

    def write(self, data: bytes) -> None:
        """Put some bytes on its standard input. A process that has ended does not get them."""
        with suppress(*_ssh_errors()):
            self._process.stdin.write(data)

    async def _read(self, stream: Any, limit: int) -> bytes:
        try:
            data: bytes = await self._boundary.call(stream.read, limit, label="reading over SSH")
        except _ssh_errors() as error:
            raise ConnectionGone(f"the SSH connection was lost: {error!r}") from error
        return data


class RemoteConnection:
    """Runs commands on the host, over whatever connection lives.

    The driver neither connects nor disconnects a session's host, so that a dropped connection is not
    replaced in it: a second one, made with the same settings, serves until its last user has gone.
    """

    def __init__(self, host: Any, boundary: Boundary) -> None:
        self._host = host
        self._boundary = boundary
        self._spare: Any = None
        self._users = 0
        self._connecting = trio.Lock()

    @asynccontextmanager
    async def start(self, program: str) -> AsyncIterator[RemoteProcess]:
        """Run a command line while the block runs; its standard input is closed at the end.

        Raises:
            ConnectionGone: no connection could be made within `RECONNECT` seconds.
        """
        self._users += 1
        try:
            process = await self._create(program)
            try:
                yield RemoteProcess(process, self._boundary)
            finally:
                process.close()
                with trio.move_on_after(_FAREWELL, shield=True):
                    await self._boundary.call(process.wait_closed, label="the end of a channel", grace=0.5)
        finally:
            self._users -= 1
            await self._drop_spare()

    async def run(self, program: str) -> bytes:
        """Run a command line to its end and return its output.

        Raises:
            ConnectionGone: no connection could be made, or it was lost meanwhile.
            OSError: the command failed; its standard error is the text.
        """
        async with self.start(program) as process:
            output = b""
            while data := await process.receive(64 * 1024):
                output += data
            await self._boundary.call(process._process.wait, label="the end of a command")
            if process._process.exit_status != 0:
                raise OSError(f"the remote shell failed: {await process.complaint()}")
            return output

    async def _create(self, program: str) -> Any:
        while True:
            connection = await self._live()
            try:
                return await self._boundary.call(
                    partial(connection.create_process, program, encoding=None), label="a remote process"
                )
            except _ssh_errors() as error:
                # It may have died just now; asyncssh notices a little later that it is closed.
                if not connection.is_closed():
                    raise ConnectionGone(f"the host takes no more commands: {error!r}") from error

    async def _live(self) -> Any:
        for host in (self._host, self._spare):
            if _is_alive(host):
                return host._conn
        async with self._connecting:
            if not _is_alive(self._spare):
                await self._drop_spare(even_if_used=True)
                self._spare = await self._connect()
        return self._spare._conn

    async def _connect(self) -> Any:
        kind = sys.modules["optio_host.host"].RemoteHost
        deadline = trio.current_time() + RECONNECT
        pause = _PAUSES[0]
        while True:
            host = kind(self._host._ssh, self._host.taskdir)
            try:
                with trio.fail_after(max(0.0, deadline - trio.current_time())):
                    await self._boundary.call(host.connect, label="the SSH connection", grace=1.0)
            except _failed_attempt() as error:
                if trio.current_time() + pause > deadline:
                    text = f"no SSH connection to {self._host._ssh.host} within {RECONNECT:g} s: {error!r}"
                    raise ConnectionGone(text) from error
                await trio.sleep(pause)
                pause = min(2 * pause, _PAUSES[1])
            else:
                return host

    async def _drop_spare(self, *, even_if_used: bool = False) -> None:
        if self._spare is None or (self._users and not even_if_used):
            return
        spare, self._spare = self._spare, None
        with trio.move_on_after(_FAREWELL, shield=True):
            try:
                await self._boundary.call(spare.disconnect, label="the SSH connection's end", grace=0.5)
            except _ssh_errors():
                pass  # it is gone, which is what was wanted


def _is_alive(host: Any) -> bool:
    return host is not None and host._conn is not None and not host._conn.is_closed()


def _failed_attempt() -> tuple[type[Exception], ...]:
    return (trio.TooSlowError, *_ssh_errors())


def _ssh_errors() -> tuple[type[Exception], ...]:
    """What a lost connection raises; asyncssh is imported already when there is a `RemoteHost`."""
    return (OSError, sys.modules["asyncssh"].Error)
