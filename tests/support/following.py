"""A log file in a directory, and a reader of it that runs beside the test and notes what it reads."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from trio.testing import wait_all_tasks_blocked

from optio_agents.hosts.base import LOG_START, LogLost, LogPosition, Window
from optio_agents.hosts.files.directory import Directory
from optio_agents.hosts.log.local_reader import LocalLogReader, open_log_reader
from optio_agents.protocol.paths import LOG_NAME


class Follower:
    """Notes the windows of a reader that runs in the background, one reader after another.

    Those that are offered early are taken if `wants` says so.
    """

    def __init__(
        self,
        directory: Path,
        nursery: trio.Nursery,
        settled: Callable[[bytes], bool],
        wants: Callable[[Window], bool],
    ) -> None:
        self.path = directory / LOG_NAME
        self.windows: list[Window] = []
        self.taken = 0
        self.position: LogPosition = LOG_START
        self.failure: LogLost | None = None
        self.ended = trio.Event()
        self._directory = Directory(str(directory))
        self._nursery = nursery
        self._settled = settled
        self._wants = wants
        self._reader: LocalLogReader | None = None
        self._scope = trio.CancelScope()

    @property
    def lines(self) -> list[bytes]:
        return b"".join(window.data for window in self.windows).split(b"\n")[:-1]

    @property
    def lost(self) -> int:
        return sum(window.lost for window in self.windows)

    def append(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    def replace(self, data: bytes) -> None:
        """Another file takes the log's name, as an editor saves it."""
        new = self.path.with_suffix(".new")
        new.write_bytes(data)
        os.replace(new, self.path)

    def start(self) -> None:
        """Start a reader at the end of the last window that was noted."""
        self.ended = trio.Event()
        self._scope = trio.CancelScope()
        self._nursery.start_soon(self._follow)

    async def stop(self) -> None:
        """End the reader where it stands, as a crash would."""
        self._scope.cancel()
        await self.ended.wait()

    async def look(self) -> None:
        """Until the reader has nothing more to do. An event of inotify is there before the write returns, so
        it is seen.
        """
        await wait_all_tasks_blocked()

    async def finish(self) -> None:
        if self._reader is not None:
            self._reader.finish()
        await self.ended.wait()

    async def _follow(self) -> None:
        try:
            with (
                self._scope,
                open_log_reader(
                    self._directory, LOG_NAME, self.position, settled=self._settled
                ) as self._reader,
            ):
                while (window := await self._reader.read(self._take)) is not None:
                    self._note(window)
        except LogLost as failure:
            self.failure = failure
        finally:
            self._reader = None
            self.ended.set()

    def _take(self, window: Window) -> bool:
        if not self._wants(window):
            return False
        self.taken += 1
        self._note(window)
        return True

    def _note(self, window: Window) -> None:
        self.windows.append(window)
        self.position = window.end


@asynccontextmanager
async def following(
    directory: Path,
    *,
    settled: Callable[[bytes], bool] = lambda partial: False,
    wants: Callable[[Window], bool] = lambda window: True,
) -> AsyncIterator[Follower]:
    """A follower whose reader runs, and is cancelled at the end of the block if it still does."""
    async with trio.open_nursery() as nursery:
        follower = Follower(directory, nursery, settled, wants)
        follower.start()
        await follower.look()
        yield follower
        nursery.cancel_scope.cancel()


def rotate_and_write(log: Follower, data: bytes) -> None:
    log.path.rename(log.path.with_name(f"optio.log.{len(list(log.path.parent.iterdir()))}"))
    log.path.write_bytes(data)
