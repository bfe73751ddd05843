"""Commands on one host, over as many connections as the server's limits require.

sshd opens a limited number of sessions on one connection (`MaxSessions`, 10 by default, often 2). A connection that
refuses one counts as full until one of its sessions has ended; the next command gets another connection, and waits when
there are `CONNECTIONS` of them. A connection that is lost is replaced when it is needed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import asyncssh

from optio_agents.hosts.ssh.command import CommandOutput, CommandSession, RemoteCommand
from optio_agents.hosts.ssh.connecting import HostKeyRefused, LoginRefused
from optio_agents.hosts.ssh.errors import ConnectionGone, HostFailed, HostGone
from optio_agents.hosts.ssh.framing import Framed, FrameEnding, to_the_end
from optio_agents.hosts.userland import REPORT, Userland

CONNECTIONS = 8
"""The most connections to one host."""

RECONNECT = 30.0
"""Seconds for which reconnecting is tried after a connection was lost."""

AGAIN = 2.0
"""The same after that has failed once: many callers may try in turn, and each must get its error soon."""

_PAUSES = (0.1, 5.0)
"""Seconds between two attempts: the first and the longest pause. Each is drawn between half and all of it."""

FAREWELL = 2.0
"""Seconds to wait until the server confirms that something is closed."""

ROOM_SECONDS = 5.0
"""Seconds after which a full connection is tried again: sshd frees a session only when its process has ended, and does
not report that."""

REPEATS = 5
"""How many times a step is repeated in a row because the connection was lost during it."""

OUTPUT_LIMIT = 16 << 20
"""Bytes of output, and of standard error, that are kept of one command that is run to its end."""

SSH_TROUBLE = (OSError, asyncssh.Error)
"""The exceptions of a lost connection."""


class _Link:
    """One connection and our channels on it."""

    def __init__(self, connection: Any, *, ours: bool) -> None:
        self.connection = connection
        self.ours = ours
        self.open = 0
        self.full = False
        self.proven = False
        """A session was opened on it."""

    @property
    def is_alive(self) -> bool:
        return not self.connection.is_closed()


class Channels:
    """Opens commands on one host.

    Args:
        connect: makes a connection. Raises `CannotConnect`.
        name: of the host, for error messages.
        first: a connection that exists already and is closed by its owner.
    """

    def __init__(self, connect: Callable[[], Awaitable[Any]], name: str, first: Any = None) -> None:
        self._connect = connect
        self.name = name
        self._links = [] if first is None else [_Link(first, ours=False)]
        self._borrowed = self._was_connected = first is not None
        self._gone = False
        """Whether the connection was lost and reconnecting has failed."""
        self._making = asyncio.Lock()
        self._released = asyncio.Event()
        self._userland: Userland | None = None
        self._looking = asyncio.Lock()

    async def __aenter__(self) -> Channels:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    @property
    def connection(self) -> Any:
        """An open connection, or None."""
        return next((link.connection for link in self._links if link.is_alive), None)

    async def connect(self) -> None:
        """Make a connection unless there is one.

        Raises:
            CannotConnect: see `connecting.connect`.
        """
        await self._link()

    async def open(self, script: str, label: str) -> RemoteCommand:
        """Start a script (see `framing`) and wait until it runs.

        Raises:
            ConnectionGone: no connection can be made, or it was lost meanwhile.
            HostFailed: the login shell does not run our commands.
        """
        framed = Framed(script, label)
        link, (_, session) = await self._open(
            lambda connection: connection.create_session(
                lambda: CommandSession(framed), framed.command_line, encoding=None, request_pty=False
            )
        )
        session.call_when_closed(lambda: self._release(link))
        command = RemoteCommand(session)
        try:
            await command.begin(framed.program)
        except BaseException:
            command.close()
            raise
        return command

    async def repeat(self, command: str, label: str, *, cwd: str | None = None) -> tuple[int, bytes, bytes]:
        """`run` for a command that may be run again when the connection is lost, up to `REPEATS` times.

        Raises:
            OSError: see `run`.
        """
        for _ in range(REPEATS):
            try:
                return await self.run(command, label, cwd=cwd)
            except HostGone:
                raise
            except ConnectionGone:
                continue
        return await self.run(command, label, cwd=cwd)

    async def userland(self) -> Userland:
        """What the host has. It is looked at once.

        Raises:
            OSError: see `run`.
        """
        async with self._looking:
            if self._userland is None:
                _, output, _ = await self.repeat(REPORT, "look at the host")
                try:
                    self._userland = Userland.parse(output)
                except ValueError as error:
                    raise HostFailed(str(error)) from error
            return self._userland

    async def run(
        self,
        command: str,
        label: str = "run",
        *,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        limit: int = OUTPUT_LIMIT,
    ) -> tuple[int, bytes, bytes]:
        """Run a `/bin/sh` command line to its end, with an empty standard input.

        Returns:
            Its exit status (128 and the signal's number when a signal ended it), output and standard error.

        Raises:
            ConnectionGone: no connection can be made, or it was lost meanwhile.
            HostFailed: the login shell does not run our commands, or the output is longer than `limit`.
        """
        remote = await self.open(to_the_end(command, cwd=cwd, env=env), label)
        try:
            ended, output = await _read_to_the_end(remote.stdout, remote.nonce, limit)
            if ended is None:
                raise HostFailed(f"a command ended oddly: {remote.how_it_ended()}")
            _, errors = await _read_to_the_end(remote.stderr, remote.nonce, limit)
            return ended, output, errors
        finally:
            remote.close()

    async def start_sftp_client(self) -> Any:
        """Open an SFTP session.

        Raises:
            ConnectionGone: no connection can be made.
            HostFailed: the server has no SFTP.
        """
        try:
            return (await self._open(lambda connection: connection.start_sftp_client(), counted=False))[1]
        except (HostFailed, asyncssh.Error) as error:
            raise HostFailed(f"the SSH server of {self.name} has no SFTP: {error}") from error

    async def close(self) -> None:
        """Close the connections that were made here."""
        links, self._links = self._links, []
        self._wake()
        for link in links:
            if link.ours:
                link.connection.close()
        with suppress(*SSH_TROUBLE, TimeoutError):
            async with asyncio.timeout(FAREWELL):
                for link in links:
                    if link.ours:
                        await link.connection.wait_closed()
        for link in links:
            if link.ours:
                link.connection.abort()

    async def _open(
        self, request: Callable[[Any], Awaitable[Any]], *, counted: bool = True
    ) -> tuple[_Link, Any]:
        while True:
            link = await self._link()
            link.open += 1
            try:
                opened = await request(link.connection)
            except asyncssh.ChannelOpenError as error:
                self._release(link)
                if not link.is_alive:
                    continue
                if not link.proven and link.ours and link.open == 0:
                    raise HostFailed(
                        f"{self.name} allows no session on a connection (is its MaxSessions 0?): {error.reason}"
                    ) from error
                link.full = True
            except SSH_TROUBLE as error:
                self._release(link)
                if link.is_alive:
                    raise HostFailed(f"{self.name} refused a request: {error}") from error
            except BaseException:
                self._release(link)
                raise
            else:
                link.proven = True
                if not counted:
                    self._release(link)
                return link, opened

    async def _link(self) -> _Link:
        """A connection that is not known to be full."""
        while True:
            async with self._making:
                self._links = [link for link in self._links if link.is_alive]
                for link in self._links:
                    if not link.full:
                        return link
                if len(self._links) < CONNECTIONS:
                    try:
                        link = _Link(await self._make(), ours=True)
                    except ConnectionGone:
                        if not any(each.open for each in self._links if each.is_alive):
                            raise
                        # Full, but alive: the next session that ends makes room.
                    else:
                        self._links.append(link)
                        return link
                released = self._released = asyncio.Event()
                for link in self._links:
                    link.full = False
            with suppress(TimeoutError):
                async with asyncio.timeout(ROOM_SECONDS):
                    await released.wait()

    async def _make(self) -> Any:
        if not self._was_connected:
            connection = await self._connect()
            self._was_connected = True
            return connection
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + (AGAIN if self._gone else RECONNECT), _PAUSES[0]
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    connection = await self._connect()
            except (HostKeyRefused, LoginRefused) as error:
                raise HostGone(f"the connection to {self.name} was lost, and then: {error}") from error
            except (*SSH_TROUBLE, TimeoutError) as error:
                if loop.time() + pause > deadline:
                    self._gone = True
                    why = str(error) or "no answer"
                    raise HostGone(
                        f"the connection to {self.name} was lost, and no SSH connection could be made within "
                        f"{RECONNECT:g} seconds: {why}"
                    ) from error
            else:
                self._gone = False
                return connection
            await asyncio.sleep(random.uniform(pause / 2, pause))
            pause = min(2 * pause, _PAUSES[1])

    def _release(self, link: _Link) -> None:
        link.open -= 1
        link.full = False
        if self._borrowed and not any(each.open for each in self._links):
            # The owner of the first connection does not close ours.
            for each in self._links:
                if each.ours:
                    each.connection.close()
        self._wake()

    def _wake(self) -> None:
        self._released.set()


async def _read_to_the_end(stream: CommandOutput, nonce: bytes, limit: int) -> tuple[int | None, bytes]:
    """A command's exit status, if the mark of its end came, and what it printed.

    Raises:
        HostFailed: it printed more than `limit` bytes.
    """
    ending, output = FrameEnding(nonce), bytearray()
    while ending.number is None and (data := await stream.read()):
        output += ending.feed(data)
        if len(output) > limit:
            raise HostFailed(
                f"a command printed more than {limit:,} bytes; let it write to a file on the host instead"
            )
    return ending.number, bytes(output if ending.number is not None else output + ending.rest())
