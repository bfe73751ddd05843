"""Bytes that wait to be written to the agent: the conversation's actor never waits for a full pipe.

Most of them are answers to the agent's requests, so an agent that sends requests without reading the answers would fill
our memory. We cannot stop reading its output until it reads its input: an agent that is blocked in a write does not
read either, and both sides would wait for each other. So the amount is limited. Past the limit the conversation ends
with that reason.
"""

from __future__ import annotations

import trio

from optio_agents.conversation.transport import Transport


class Outbox:
    """A buffer with one writer task; `limit` is the number of bytes that may wait while the agent does not read."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()
        self._writing = False
        self._broken = False
        self._changed = trio.Event()

    def put(self, data: bytes) -> bool:
        """Queue `data` for writing. It is ignored after the agent has closed its input.

        Returns `False`, and does not queue it, if more than the limit waits already in addition to what is being
        written. A single text is never too long.
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
        """The writer: runs until it is cancelled or the agent has closed its input."""
        while True:
            while not self._data:
                await self._changed.wait()
            data = bytes(self._data)
            self._data.clear()
            self._writing = True
            try:
                await transport.send(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                # The reader of its output notices that it is gone; the writer need not report it.
                self._broken = True
                self._data.clear()
                self._notify()
                return
            self._writing = False
            self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
