"""Lines for a program that may read them late, or not at all: writing them never delays our reading."""

from __future__ import annotations

import os

import trio

PIECE = 4096
"""How much is written at once: a pipe that is writable takes this much without blocking (PIPE_BUF)."""

BEHIND = 1024 * 1024
"""How many bytes may wait before `room` waits."""

LIMIT = 256 * 1024 * 1024
"""How many bytes may wait at all. Beyond this, the reader counts as gone."""


class LineWriter:
    """Writes lines to a descriptor in the background: `put` never waits, `room` waits while the reader is behind."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._data = bytearray()
        self.gone = trio.Event()
        """Whether the reader has gone."""
        self._changed = trio.Event()
        self._pollable = True

    def put(self, line: bytes) -> None:
        """Write it when the reader takes it. Past the limit it is dropped, and the reader counts as gone."""
        if len(self._data) > LIMIT:
            self.gone.set()
            return
        self._data += line
        self._notify()

    async def room(self) -> None:
        """Wait while the reader is behind."""
        while len(self._data) > BEHIND:
            await self._changed.wait()

    async def flushed(self) -> None:
        """Wait until everything is written."""
        while self._data:
            await self._changed.wait()

    async def run(self) -> None:
        """Write until cancelled, or until the reader is gone."""
        while True:
            while not self._data:
                await self._changed.wait()
            await self._wait_writable()
            try:
                written = os.write(self._descriptor, self._data[:PIECE])
            except OSError:
                self.gone.set()
                return
            del self._data[:written]
            if len(self._data) <= BEHIND:
                self._notify()

    async def _wait_writable(self) -> None:
        if self._pollable:
            try:
                await trio.lowlevel.wait_writable(self._descriptor)
            except OSError:
                self._pollable = False  # a regular file is always writable
        await trio.lowlevel.checkpoint()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
