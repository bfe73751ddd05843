"""What waits to be written to the agent: the conversation's actor never waits for a full pipe.

Nearly all of it are answers to what the agent asks, so an agent that asks on and on and never reads would fill our
memory. Not to read its output until it reads its input is no way out: one that is stopped in the middle of writing
does not read either, and the two of us would wait for each other. So what may wait is bounded, and past the bound
the conversation ends, with that reason.
"""

from __future__ import annotations

import trio

from optio_agents.conversation.transport import Transport


class Outbox:
    """A buffer with one writer task; `limit` is how many bytes may wait while the agent does not read."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()
        self._writing = False
        self._broken = False
        self._changed = trio.Event()

    def put(self, data: bytes) -> bool:
        """Write this as soon as possible; ignored once the agent does not listen any more.

        Returns `False`, and does not take it, if more than the limit waits already behind what is being written.
        One text alone is never too long.
        """
        if data and not self._broken:
            if self._writing and len(self._data) > self._limit:
                return False
            self._data += data
            self._notify()
        return True

    async def flushed(self) -> None:
        """Wait until everything is written, or cannot be."""
        while (self._data or self._writing) and not self._broken:
            await self._changed.wait()

    async def write_to(self, transport: Transport) -> None:
        """The writer: runs until it is cancelled or the agent does not listen any more."""
        while True:
            while not self._data:
                await self._changed.wait()
            data = bytes(self._data)
            self._data.clear()
            self._writing = True
            try:
                await transport.send(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                # That it is gone is noticed where it is read from; here there is nobody left to tell.
                self._broken = True
                self._data.clear()
                self._notify()
                return
            self._writing = False
            self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
