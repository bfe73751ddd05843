"""What waits to be written to the agent: the conversation's actor never waits for a full pipe."""

from __future__ import annotations

import trio

from optio_agents.conversation.transport import Transport


class Outbox:
    """A buffer with one writer task.

    It stays small by itself: one prompt is outstanding at a time, and the rest are answers to what the
    agent asked.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._writing = False
        self._broken = False
        self._changed = trio.Event()

    def put(self, data: bytes) -> None:
        """Write this as soon as possible; ignored once the agent does not listen any more."""
        if data and not self._broken:
            self._data += data
            self._notify()

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
