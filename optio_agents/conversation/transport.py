"""The transport of a conversation's bytes: a process of ours, or, in tests, an object in memory."""

from __future__ import annotations

from typing import Protocol


class Transport(Protocol):
    """One running agent. `receive` and `send` are each called by one task; `end` by any task, more than once."""

    async def receive(self) -> bytes:
        """Some of its output; `b""` at the end. Does not raise when the agent is gone."""

    async def send(self, data: bytes) -> None:
        """Write `data`.

        Raises:
            trio.BrokenResourceError: it has closed its input.
            trio.ClosedResourceError: `end` has closed its input.
        """

    async def end(self, *, ask: bool) -> None:
        """End it and everything it started: by the end of its input first (`ask`), else by signals at once.

        Returns when all its processes have ended, or after a limited time.
        """

    async def wait(self) -> str:
        """Wait until it is gone; return how it ended, as text."""

    async def finish(self) -> None:
        """End it in any state, and release everything. Takes a limited time, also when cancelled. Called last."""
