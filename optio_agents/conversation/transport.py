"""What carries a conversation's bytes: a process of ours, or, in tests, something in memory."""

from __future__ import annotations

from typing import Protocol


class Transport(Protocol):
    """One running agent. `receive` and `send` are each called by one task; `end` by anybody, more than once."""

    async def receive(self) -> bytes:
        """Some of what it printed; `b""` once it will print no more. Never raises because the agent is
        gone.
        """

    async def send(self, data: bytes) -> None:
        """Write `data`.

        Raises:
            trio.BrokenResourceError: it does not listen any more.
            trio.ClosedResourceError: `end` has closed its input.
        """

    async def end(self, *, ask: bool) -> None:
        """End it and everything it started: by the end of its input first (`ask`), else by signals at once.

        Returns when all of it is gone, or after a bounded time.
        """

    async def wait(self) -> str:
        """Wait until it is gone; how it ended, in words for people."""

    async def finish(self) -> None:
        """End it whatever happened before, and release everything. Bounded, also when cancelled. Called last."""
