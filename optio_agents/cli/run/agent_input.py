"""The agent's input: one message per line, and a bounded wait for an agent that does not read."""

from __future__ import annotations

import os

import trio


class AgentNotListening(Exception):  # noqa: N818 - named for what happened
    """The agent does not read its input (any more); the message was not delivered."""


class AgentInput:
    """The writing end of the pipe that is the agent's stdin.

    A message that the agent does not take within `patience` seconds is not delivered; later ones then do not
    wait again until it reads, so that many messages for a deaf agent do not add up. Never is a message glued
    to a part of another: of one that was cut off half-way, the rest is written first.
    """

    def __init__(self, *, patience: float) -> None:
        """Make the pipe. `reader` is the descriptor to start the agent with; `close_reader` once it runs."""
        self.reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._patience = patience
        self._lock = trio.Lock()
        self._rest = b""
        self._deaf = False

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode of the pipe; it must be open."""
        status = os.fstat(self._writer)
        return status.st_dev, status.st_ino

    def close_reader(self) -> None:
        """Close our copy of the reading end: once the agent runs, it must be the only one. Idempotent."""
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1

    async def send(self, message: str) -> None:
        """Write `message` as one line.

        Raises:
            AgentNotListening: the agent has closed its input, or did not read it in time.
        """
        line = " ".join(message.splitlines()).encode("utf-8", "replace") + b"\n"
        async with self._lock:
            with trio.move_on_after(0 if self._deaf else self._patience):
                await self._write(b"")  # the rest of an earlier message
                await self._write(line)
                self._deaf = False
                return
            self._deaf = True
            raise AgentNotListening("it does not read its input")

    async def _write(self, line: bytes) -> None:
        """Write `line`, after the rest of an earlier one. If it is cut off half-way, its rest is written next time."""
        left = self._rest + line
        begun = bool(self._rest)
        try:
            while left:
                if self._writer < 0:
                    raise AgentNotListening("its input is closed")
                try:
                    written = os.write(self._writer, left)
                except BlockingIOError:
                    try:
                        await trio.lowlevel.wait_writable(self._writer)
                    except trio.ClosedResourceError:
                        raise AgentNotListening("its input was closed") from None
                except OSError as error:
                    raise AgentNotListening("it has closed its input") from error
                else:
                    begun = True
                    left = left[written:]
        finally:
            self._rest = left if begun else b""

    async def close(self) -> None:
        """Close it: the agent reads the end of its input. A waiting `send` fails. Idempotent."""
        self.close_reader()
        if self._writer >= 0:
            descriptor, self._writer = self._writer, -1
            trio.lowlevel.notify_closing(descriptor)
            os.close(descriptor)
        await trio.lowlevel.checkpoint()
