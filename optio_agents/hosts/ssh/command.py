"""One command on a host: its output without the login shell's, its input, its end.

asyncssh calls `CommandSession` as data arrives; it has no task of its own. Output that is not read yet is bounded:
beyond `BUFFER` the channel is paused, which SSH passes on to the program. Standard error is kept up to `STDERR_LIMIT`
and dropped beyond that, so that a program that writes endless errors does not block its own output.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import asyncssh

from optio_agents.hosts.ssh.errors import ConnectionGone, HostFailed
from optio_agents.hosts.ssh.framing import GREETING_LIMIT, Framed, Opening, excerpt

BUFFER = 512 * 1024
"""Bytes of output that are held for the reader."""

STDERR_LIMIT = 17 << 20
"""Bytes of standard error that are kept."""

SHELL_SECONDS = 10.0
"""Seconds of silence after which we give up on a login shell that has not started our command."""

_STDERR = asyncssh.EXTENDED_DATA_STDERR


class CommandSession(asyncssh.SSHClientSession):  # type: ignore[misc]
    """asyncssh's callbacks for one channel."""

    def __init__(self, framed: Framed) -> None:
        self.nonce = framed.nonce
        self.channel: Any = None
        self.output, self.errors = bytearray(), bytearray()
        self._opening, self._error_opening = Opening(framed.nonce), Opening(framed.nonce)
        self._changed = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()
        self.ended = False
        """No more output comes."""
        self.closed = asyncio.Event()
        self.lost: Exception | None = None
        self.status: int | None = None
        """The exit status; negative for a signal."""
        self.exited = asyncio.Event()
        self._paused = False
        self._when_closed: Callable[[], None] = lambda: None

    @property
    def has_begun(self) -> bool:
        """Whether our program runs."""
        return self._opening.found

    def greeting(self) -> str:
        """What was printed before our program ran."""
        words = " / ".join(filter(None, (self._opening.said(), self._error_opening.said())))
        return f"the host printed: {words}" if words else "the host printed nothing"

    def call_when_closed(self, function: Callable[[], None]) -> None:
        """Call `function` when the channel is closed on both sides, or at once if it is already."""
        if self.closed.is_set():
            function()
        else:
            self._when_closed = function

    def connection_made(self, chan: Any) -> None:
        """See `asyncssh.SSHClientSession`, as for the methods below."""
        self.channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Output or standard error."""
        if datatype == _STDERR:
            ours = self._error_opening.feed(data)
            self.errors += ours[: max(0, STDERR_LIMIT - len(self.errors))]
        else:
            self.output += self._opening.feed(data)
            if self._opening.size > GREETING_LIMIT and not self._opening.found:
                self.ended = True
                self.channel.abort()
            elif len(self.output) > BUFFER:
                self._paused = True
                self.channel.pause_reading()
        self._change()

    def eof_received(self) -> bool:
        """The end of both."""
        self.ended = True
        self._change()
        return True  # our own side stays open: the program may still read

    def exit_status_received(self, status: int) -> None:
        """It has exited."""
        self.status = status
        self.exited.set()

    def exit_signal_received(self, name: str, core_dumped: bool, msg: str, lang: str) -> None:
        """It was ended by a signal."""
        # RFC 4254 names thirteen signals; OpenSSH sends other names as SIG@openssh.com.
        number = getattr(signal, "SIG" + name.partition("@")[0], None)
        self.status = -1 if number is None else -int(number)
        self.exited.set()

    def pause_writing(self) -> None:
        """Its input is full."""
        self.writable.clear()

    def resume_writing(self) -> None:
        """Its input takes more."""
        self.writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is closed, or lost with its connection."""
        self.ended, self.lost = True, exc
        self.closed.set()
        self.exited.set()
        self.writable.set()
        self._change()
        self._when_closed()

    def take(self, limit: int) -> bytes:
        """Remove and return output that has arrived."""
        data = bytes(self.output[:limit])
        del self.output[:limit]
        if self._paused and len(self.output) < BUFFER // 2:
            self._paused = False
            self.channel.resume_reading()
        return data

    async def change(self) -> None:
        """Wait until something has happened."""
        await self._changed.wait()
        self._changed.clear()

    def _change(self) -> None:
        self._changed.set()


class RemoteCommand:
    """A command that runs on the host. Made by `Channels.open`."""

    def __init__(self, session: CommandSession) -> None:
        self._session = session
        self.nonce = session.nonce
        self.stdout = CommandOutput(self._read)
        self.stderr = CommandOutput(self._read_errors)
        self.stdin = self

    async def begin(self, program: bytes) -> None:
        """Give the program to the shell and wait until it runs.

        Raises:
            ConnectionGone: the connection was lost.
            HostFailed: the login shell does not run it.
        """
        session = self._session
        self.write(program)
        seen = -1
        while not session.has_begun:
            if session.ended:
                with suppress(TimeoutError):
                    async with asyncio.timeout(1):  # the rest of standard error, and the status
                        await session.closed.wait()
                if session.lost is not None:
                    raise _gone(session.lost)
                raise HostFailed(
                    f"the login shell did not run our command{self._with_status()}; {session.greeting()}"
                )
            try:
                async with asyncio.timeout(SHELL_SECONDS):
                    await session.change()
            except TimeoutError:
                size = session._opening.size + session._error_opening.size
                if size == seen or session.closed.is_set():
                    raise HostFailed(
                        f"the login shell did not start our command within {SHELL_SECONDS:g} s; {session.greeting()}"
                    ) from None
                seen = size

    @property
    def exit_status(self) -> int | None:
        """The exit status, negative for a signal; None: not known (yet)."""
        return self._session.status

    returncode = exit_status

    async def _read(self, limit: int) -> bytes:
        session = self._session
        while not session.output:
            if session.ended:
                if session.lost is not None:
                    raise _gone(session.lost)
                return b""
            await session.change()
        return session.take(limit)

    async def _read_errors(self, limit: int) -> bytes:
        session = self._session
        while not session.errors:
            if session.ended:
                return b""
            await session.change()
        data = bytes(session.errors[:limit])
        del session.errors[:limit]
        return data

    async def stderr_excerpt(self) -> str:
        """What it wrote to its standard error (the beginning of it), once it has ended."""
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await self._session.closed.wait()
        return excerpt(bytes(self._session.errors[:2000]))

    def how_it_ended(self) -> str:
        """Its status and what it wrote to stderr, for an error message."""
        errors = excerpt(bytes(self._session.errors[:2000]))
        return f"no end was seen{self._with_status()}" + (f": {errors}" if errors else "")

    def _with_status(self) -> str:
        status = self._session.status
        return "" if status is None else f" (exit status {status})"

    def write(self, data: bytes) -> None:
        """Write to its standard input. Bytes for a process that has ended are dropped."""
        with suppress(OSError, asyncssh.Error):
            self._session.channel.write(data)

    async def drain(self) -> None:
        """Wait until it has taken most of what was written.

        Raises:
            ConnectionGone: the connection was lost.
        """
        await self._session.writable.wait()
        if self._session.closed.is_set():
            raise ConnectionGone("the channel is closed")

    def write_eof(self) -> None:
        """End its standard input."""
        with suppress(OSError, asyncssh.Error):
            self._session.channel.write_eof()

    async def wait(self) -> RemoteCommand:
        """Wait until it has exited, or the connection is lost."""
        await self._session.exited.wait()
        return self

    async def status(self) -> int | None:
        """Wait until it has exited; its exit status, negative for a signal, `None` from a server that tells none.

        Raises:
            ConnectionGone: the connection was lost before that was known.
        """
        await self._session.exited.wait()
        # Its output may have ended before: then only this shows that it was cut off.
        if self._session.status is None and self._session.lost is not None:
            raise _gone(self._session.lost)
        return self._session.status

    def close(self) -> None:
        """Close the channel. That alone does not end the program. Idempotent."""
        self._session.channel.close()
        self._session.take(len(self._session.output))

    async def wait_closed(self) -> None:
        """Wait until the server has confirmed that the channel is closed."""
        await self._session.closed.wait()


class CommandOutput:
    """A stream of bytes."""

    def __init__(self, read: Callable[[int], Any]) -> None:
        self._read = read

    async def read(self, limit: int = 65536) -> bytes:
        """Wait for bytes, at most `limit`; `b""` at the end.

        Raises:
            ConnectionGone: the connection was lost.
        """
        data: bytes = await self._read(limit)
        return data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self.read():
            yield data


def _gone(error: Exception) -> ConnectionGone:
    return ConnectionGone(f"the SSH connection was lost: {error}")
