"""Following a log through a host's `tail_file`, which yields decoded lines and always begins at the first."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import trio

from optio_agents.bridge.boundary import Boundary
from optio_agents.hosts.base import LogLost, LogPosition, Take, Window
from optio_agents.hosts.log.framer import Framer

BATCH = 128 * 1024
"""Characters of lines that are held before the iterator must wait."""

QUIET = 1.0
"""Seconds without a line after which a log that can only be tailed counts as read completely."""

REST = 30.0
"""Seconds after `finish` for which a log that can only be tailed is read, if it is never quiet."""

CLOSING = 2.0
"""Seconds that an iterator gets to clean up. What it raises then is ignored."""

RETRY = (0.5, 30.0)
"""Seconds before an iterator that has ended is opened again: the first and the longest pause."""


class ForeignLogReader:
    """Implements `hosts.base.LogReader`. A position's offset counts lines, as `tail_file` shows no bytes.

    Args:
        boundary: to the world in which `tail` iterates.
        tail: opens the iterator of lines. Without it, the log is read when nothing more will be written.
        position: where to continue; lines before it are skipped.
        fetch: reads the whole log as bytes, to see its end. Without it, the end is a second of silence.
    """

    def __init__(
        self,
        boundary: Boundary,
        tail: Callable[[], AsyncIterator[str]] | None,
        position: LogPosition,
        fetch: Callable[[], Awaitable[bytes]] | None,
    ) -> None:
        self._boundary = boundary
        self._tail = tail
        self._fetch = fetch
        self._taken = position.offset
        """Lines handed out or held."""
        self._held: deque[bytes] = deque()
        self._held_size = 0
        self._windows: deque[Window] = deque()
        self._changed = trio.Event()
        self._room = trio.Event()
        self._failure: Exception | None = None
        self._finishing = False
        self._finished_at = 0.0
        self._exhausted = False
        """The iterator has ended, and a new one showed nothing new."""
        self._complete = False

    async def read(self, take: Take | None = None) -> Window | None:
        """See `hosts.base.LogReader.read`."""
        await trio.lowlevel.checkpoint()
        while True:
            if self._held:
                self._frame()
            if self._windows:
                return self._windows.popleft()
            if self._complete:
                return None
            if self._failure is not None and not (self._finishing and self._fetch is not None):
                raise LogLost(f"the host's tail_file failed: {self._failure!r}") from self._failure
            if self._finishing:
                await self._read_rest()
            else:
                await self._changed.wait()
                self._changed = trio.Event()

    def finish(self) -> None:
        """See `hosts.base.LogReader.finish`."""
        if not self._finishing:
            self._finishing = True
            self._finished_at = trio.current_time()
        self._changed.set()

    async def follow(self) -> None:
        """Pull lines until cancelled. An iterator that ends is opened again, at once if it yielded something."""
        if self._tail is None:
            await trio.sleep_forever()
        pause = RETRY[0]
        while True:
            taken = self._taken
            await self._pull_all(self._tail)
            if self._failure is not None:
                self._changed.set()
                await trio.sleep_forever()
            self._exhausted = self._taken == taken
            if not self._exhausted:
                pause = RETRY[0]
                continue
            self._changed.set()
            await trio.sleep(pause)
            pause = min(2 * pause, RETRY[1])

    async def _pull_all(self, tail: Callable[[], AsyncIterator[str]]) -> None:
        """Open one iterator and pull until it ends."""
        lines, seen, ended = tail(), 0, False

        async def pull() -> None:
            nonlocal seen, ended
            async for line in lines:
                seen += 1
                if seen > self._taken:
                    self._take(line)
                if self._held_size > BATCH:
                    return
            ended = True

        try:
            while not ended:
                await self._boundary.call(pull, label="tail_file")
                while self._held_size > BATCH:
                    self._room = trio.Event()
                    await self._room.wait()
        except Exception as failure:  # noqa: BLE001 - raised by `read`
            self._failure = failure
        finally:
            await self._close(lines)

    async def _close(self, lines: AsyncIterator[str]) -> None:
        """Let an iterator that we have left clean up in the loop where it was opened."""
        aclose = getattr(lines, "aclose", None)
        if aclose is not None:
            with trio.move_on_after(CLOSING, shield=True), suppress(Exception):
                await self._boundary.call(aclose, label="the end of tail_file", grace=CLOSING / 2)

    async def _read_rest(self) -> None:
        """Read to the end, as nothing more will be written."""
        if self._tail is None and self._fetch is None:
            raise NotImplementedError("this host offers no way to read the log: no tail_file")
        if self._fetch is None or not await self._fetch_rest(self._fetch):
            with trio.move_on_after(0.0 if self._exhausted else QUIET):
                self._changed = trio.Event()
                await self._changed.wait()
                if trio.current_time() < self._finished_at + REST:
                    return
        self._complete = True

    async def _fetch_rest(self, fetch: Callable[[], Awaitable[bytes]]) -> bool:
        """Take what `tail_file` has not yielded yet. Returns False if there is no such file to read."""
        try:
            content = await fetch()
        except FileNotFoundError:
            return False
        except Exception as failure:
            raise LogLost(f"the log cannot be read: {failure!r}") from failure
        lines = content.decode("utf-8", "replace").split("\n")
        if lines[-1] == "":
            lines.pop()
        for line in lines[self._taken :]:
            self._take(line)
        return True

    def _take(self, line: str) -> None:
        """Hold one line. Called from the user's event loop, in this thread."""
        data = line.rstrip("\r\n").encode("utf-8", "replace").replace(b"\n", b"\r") + b"\n"
        self._taken += 1
        self._held.append(data)
        self._held_size += len(data)
        self._changed.set()

    def _frame(self) -> None:
        """Make windows of what is held."""
        data = b"".join(self._held)
        self._held.clear()
        self._held_size = 0
        self._room.set()
        first, end = self._taken - data.count(b"\n"), 0
        for frame in Framer().feed(data):
            end += frame.size
            position = LogPosition(first + data.count(b"\n", 0, end))
            if frame.data:
                self._windows.append(Window(frame.data, position, frame.cut))
